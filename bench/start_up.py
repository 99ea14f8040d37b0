"""Whole processes: from the shell's point of view, imports and all."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.results import Bar, Section
from bench.rounds import Turn, in_turns
from bench.simulated import Platform
from twinproof.evidence.bundle import bundle_to_json

__all__ = ["measure"]

METHOD = """\
Wall time of a process of its own, files in the page cache, byte code compiled. The bundle is one instance's evidence
with its collateral."""


def _process(*arguments: str) -> Callable[[object], None]:
    def run(_: object) -> None:
        done = subprocess.run([sys.executable, *arguments], check=False, capture_output=True)
        if done.returncode != 0:
            raise AssertionError(done.stderr.decode())

    return run


def measure(rounds: int) -> list[Section]:
    platform = Platform.create()
    with tempfile.TemporaryDirectory() as directory:
        bundle, root = Path(directory, "bundle.json"), Path(directory, "root.der")
        (evidence,) = platform.instances(1, platform.collateral())
        bundle.write_text(bundle_to_json(evidence), encoding="utf-8")
        root.write_bytes(platform.root_der)
        commands = {
            "`twinproof --help`": _process("-m", "twinproof", "--help"),
            "`twinproof verify FILE`": _process("-m", "twinproof", "verify", str(bundle), "--trust-root", str(root)),
            "`python -c pass`, the floor": _process("-c", "pass"),
        }
        turns = [Turn(name, 1, list, run) for name, run in commands.items()]
        figures = in_turns(turns, 2 * rounds, clock=time.perf_counter)
    help_text, verify, floor = figures
    return [
        Section(
            "Start-up",
            METHOD,
            [figure.to_json("ms") for figure in figures],
            [
                Bar("`twinproof --help`", median(help_text.seconds) * 1e3, 150, "ms"),
                Bar("`twinproof verify FILE`", median(verify.seconds) * 1e3, 300, "ms"),
            ],
            [
                (
                    f"The floor was {median(floor.seconds) * 1e3:.0f} ms in this run."
                    " Where it is more than about 15 ms,"
                    " other work kept the processors busy, and the two bars say as much about that as about the"
                    " command."
                ),
            ],
        )
    ]
