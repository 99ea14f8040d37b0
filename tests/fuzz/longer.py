"""The same targets under a coverage-guided fuzzer, for as long as you like: `make fuzz SECONDS=60 TARGETS="quote crl"`.

Each target runs in a process of its own, limited in time, memory and seconds per input; what it found to be wrong is
kept under --keep, and running this file with `--reproduce NAME FILE` shows it again. Needs atheris
(requirements/fuzz.txt), which the locked development environment does not bring.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

HERE = Path(__file__).resolve().parent
MEMORY_MIB = 2048
SECONDS_PER_INPUT = 10
_DONE = re.compile(r"Done (\d+) runs")


def fuzz_one(name: str, arguments: Sequence[str]) -> None:
    """Never returns: libFuzzer ends the process. `arguments` are libFuzzer's."""
    import atheris

    with atheris.instrument_imports(include=["twinproof"]):
        from fuzz.targets import TARGETS
    from twinproof.errors import TwinproofError

    target = TARGETS[name]

    def once(data: bytes) -> None:
        with suppress(TwinproofError):
            target(data)

    atheris.Setup([sys.argv[0], *arguments], once)
    atheris.Fuzz()


def fuzz(name: str, seconds: int, keep: Path) -> bool:
    """Run one target in a process of its own; whether it found nothing wrong."""
    from fuzz.seeds import seeds

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds(name)):
            (Path(corpus) / str(number)).write_bytes(seed)
        started = monotonic()
        limits = [
            f"-max_total_time={seconds}",
            f"-rss_limit_mb={MEMORY_MIB}",
            f"-timeout={SECONDS_PER_INPUT}",
            f"-artifact_prefix={keep}/{name}-",
            "-print_final_stats=1",
            "-max_len=65536",
        ]
        command = [sys.executable, str(HERE / "longer.py"), "--one", name, *limits, corpus]
        done = subprocess.run(command, capture_output=True, check=False, encoding="utf-8", errors="replace")
    runs = _DONE.search(done.stderr)
    sys.stdout.write(f"{name:<22} {runs[1] if runs else '?':>9} runs in {monotonic() - started:5.0f} s")
    sys.stdout.write("\n" if done.returncode == 0 else f"  FAILED, see {keep}/{name}-*\n{done.stderr[-3000:]}\n")
    sys.stdout.flush()
    return done.returncode == 0


def main(argv: Sequence[str] | None = None) -> int:
    """0 when nothing was wrong, 1 otherwise, 2 for wrong usage."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["--one"]:
        fuzz_one(argv[1], argv[2:])
    from fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description="Fuzz the readers of untrusted bytes, one after the other.")
    parser.add_argument("--seconds", type=int, default=60, help="for each target; default: 60")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"), help="directory for what was wrong")
    parser.add_argument("--reproduce", nargs=2, metavar=("NAME", "FILE"), help="give this file to this target")
    parser.add_argument("targets", nargs="*", metavar="NAME", help=f"default: all of {', '.join(TARGETS)}")
    arguments = parser.parse_args(argv)
    if arguments.reproduce:
        name, file = arguments.reproduce
        TARGETS[name](Path(file).read_bytes())
        return 0
    unknown = set(arguments.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    arguments.keep.mkdir(parents=True, exist_ok=True)
    results = [fuzz(name, arguments.seconds, arguments.keep) for name in arguments.targets or TARGETS]
    sys.stdout.write(f"{sum(results)} of {len(results)} targets without a finding\n")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))  # the tests' own modules
    sys.exit(main())
