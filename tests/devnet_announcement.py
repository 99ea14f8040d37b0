"""What `twinproof devnet up` prints before it waits to be stopped."""

from __future__ import annotations

import subprocess

__all__ = ["announced"]


def announced(process: subprocess.Popen[str]) -> str:
    """Everything up to its last line, read from a process that is still running."""
    assert process.stdout is not None
    lines: list[str] = []
    while "Ctrl-C stops it.\n" not in lines:
        line = process.stdout.readline()
        assert line, lines
        lines.append(line)
    return "".join(lines)
