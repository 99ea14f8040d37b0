"""Run an entry point over the samples of dcap-qvl's suite, as its own script judges them.

python tests/conformance/run_suite.py --verifier "CMD ..." DIR      DIR holds samples/NAME/... and certs/root_ca.der

A sample that has to fail and fails with other words than expected is a warning, as in the suite. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

SECONDS = 60.0


def judged(verifier: Sequence[str], sample: Path, root: Path) -> tuple[str, str]:
    """`pass`, `warn` or `fail`, and what the entry point said."""
    expected = json.loads((sample / "expected.json").read_text(encoding="utf-8"))
    command = [*verifier, "verify", str(sample / "quote.bin"), str(sample / "collateral.json"), str(root)]
    done = subprocess.run(
        command, capture_output=True, check=False, timeout=SECONDS, encoding="utf-8", errors="replace"
    )
    said = done.stdout + done.stderr
    if expected["should_succeed"]:
        status = expected.get("expected_status")
        good = done.returncode == 0 and (not status or f"Status: {status}" in said.splitlines())
        return ("pass" if good else "fail"), said
    if done.returncode != 1:
        return "fail", said
    error = expected.get("expected_error")
    return ("pass" if error and error in said else "warn"), f"expected {error!r}\n{said}"


def main(argv: Sequence[str] | None = None) -> int:
    """0 without a failure, 1 with one, 2 for wrong usage."""
    parser = argparse.ArgumentParser(description="Run an entry point over the samples of dcap-qvl's suite.")
    parser.add_argument("--verifier", required=True, metavar="CMD")
    parser.add_argument("directory", type=Path, metavar="DIR")
    arguments = parser.parse_args(argv)
    root = arguments.directory / "certs" / "root_ca.der"
    found = sorted(path.parent for path in (arguments.directory / "samples").glob("*/expected.json"))
    if not found or not root.is_file():
        parser.error(f"{arguments.directory} holds no samples/ and certs/root_ca.der")
    counts: Counter[str] = Counter()
    for sample in found:
        outcome, said = judged(shlex.split(arguments.verifier), sample, root)
        counts[outcome] += 1
        if outcome != "pass":
            sys.stdout.write(f"{outcome.upper()} {sample.name}\n")
            sys.stdout.writelines(f"     {line}\n" for line in said.splitlines())
    sys.stdout.write(f"{len(found)} samples: {counts['pass']} pass, {counts['warn']} warn, {counts['fail']} fail\n")
    return 1 if counts["fail"] else 0


if __name__ == "__main__":
    sys.exit(main())
