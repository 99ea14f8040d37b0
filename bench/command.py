"""A whole command of twinproof as its user sees it: wall time, and the memory and CPU time of its processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Spent", "spent"]

PAUSE = 0.05  # seconds between two looks at the processes
_TICKS = os.sysconf("SC_CLK_TCK")
_LONGEST = 600.0  # seconds; then it is ended, and was no measurement


@dataclass(frozen=True, slots=True)
class Spent:
    """`memory` in bytes: the sum of the largest resident sizes of all processes. CPU seconds of the first one alone."""

    seconds: float
    memory: int
    parent_cpu: float


def spent(arguments: Sequence[str], expected: bytes) -> Spent:
    """Run `twinproof ARGUMENTS`, which has to say `expected`, on its standard output or beside it."""
    found: dict[int, tuple[int, float]] = {}
    command = [sys.executable, "-m", "twinproof", *arguments]
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
            while process.poll() is None:
                found.update(_processes(process.pid))
                time.sleep(PAUSE)
                if time.perf_counter() - start > _LONGEST:
                    process.terminate()
            seconds = time.perf_counter() - start
        output.seek(0)
        said = output.read()
    if expected not in said:
        raise AssertionError(said[-2000:].decode())
    return Spent(seconds, sum(memory for memory, _ in found.values()), found[process.pid][1])


def _processes(pid: int) -> Iterator[tuple[int, tuple[int, float]]]:
    """The process and its children, which its threads start: largest resident size so far, and CPU seconds."""
    try:
        children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _words(task / "children")]
        for one in (pid, *children):
            words = _words(Path(f"/proc/{one}/status"))
            if "VmHWM:" in words:
                # Behind the name, which may hold anything, user and system time are fields 12 and 13.
                after = Path(f"/proc/{one}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                cpu = (int(after[11]) + int(after[12])) / _TICKS
                yield one, (int(words[words.index("VmHWM:") + 1]) * 1024, cpu)
    except OSError:
        return  # it has just ended


def _words(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split()
