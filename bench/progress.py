"""What a scenario is doing, on standard error: some of them take minutes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

__all__ = ["rounds_within", "say"]

_START = time.monotonic()


def say(text: str) -> None:
    """One line, with the time since the start."""
    print(f"{time.monotonic() - _START:7.1f} s  {text}", file=sys.stderr, flush=True)


def rounds_within(rounds: int, seconds: float) -> Iterator[int]:
    """Round numbers from 1, as long as another one like the longest so far ends within `seconds`; at least one."""
    start, longest = time.monotonic(), 0.0
    for number in range(1, rounds + 1):
        before = time.monotonic()
        if number > 1 and before - start + longest > seconds:
            say(f"{number - 1} of {rounds} rounds: there is no time for another")
            return
        say(f"round {number} of {rounds}")
        yield number
        longest = max(longest, time.monotonic() - before)
