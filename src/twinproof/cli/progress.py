"""A progress bar on standard error: only on a terminal, redrawn ten times a second, out of the way of the output."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from twinproof.report.style import Style

__all__ = ["Progress", "State", "progress_line"]

BAR = 24  # columns
NARROWEST = 60  # columns of a terminal with room for it
INTERVAL = 0.1  # seconds
CLEAR = "\r\x1b[K"


@dataclass(frozen=True, slots=True)
class State:
    """How far a batch is. `total` items, and the `fraction` of the input that was read, are None where not known."""

    done: int
    bad: int
    seconds: float
    total: int | None = None
    fraction: float | None = None


def progress_line(state: State, style: Style) -> str:
    """`[#####.....]  50%  1200/2400  400/s  3 failed`, without what is not known."""
    fraction = state.fraction if state.total is None else state.done / state.total
    words = [f"{state.done}" if state.total is None else f"{state.done}/{state.total}"]
    words.append(f"{state.done / max(state.seconds, 1e-3):.0f}/s")
    if state.bad:
        words.append(style.paint(f"{state.bad} failed", "red"))
    if fraction is not None:
        words.insert(0, f"{fraction:.0%}")
        full, empty = ("█", "░") if style.unicode else ("#", ".")
        filled = int(fraction * BAR)
        if style.width >= NARROWEST:
            words.insert(0, f"[{full * filled}{empty * (BAR - filled)}]")
    return "  " + "  ".join(words)


class Progress:
    """Nothing at all where standard error is no terminal."""

    def __init__(
        self,
        total: int | None,
        fraction: Callable[[], float | None],
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream or sys.stderr
        self._total, self._fraction, self._clock = total, fraction, clock
        self._start = clock()
        self._drawn = float("-inf")
        self._on = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._line = ""
        encoding = (self._stream.encoding or "").lower().replace("-", "")
        self._style = Style(
            colour=not os.environ.get("NO_COLOR"),
            unicode=encoding.startswith("utf"),
            width=shutil.get_terminal_size((80, 24)).columns,
        )
        self._hidden = True

    @property
    def seconds(self) -> float:
        return self._clock() - self._start

    def show(self, done: int, bad: int) -> None:
        """Bring the bar up to date when it is time, and back when it was hidden."""
        if not self._on:
            return
        now = self._clock()
        due = now - self._drawn >= INTERVAL
        if due:
            self._drawn = now
            state = State(done, bad, now - self._start, self._total, self._fraction())
            self._line = progress_line(state, self._style)
        if due or self._hidden:
            self._stream.write(CLEAR + self._line)
            self._stream.flush()
            self._hidden = False

    def hide(self) -> None:
        """Before anything else is written to the same terminal, and at the end."""
        if not self._hidden:
            self._stream.write(CLEAR)
            self._stream.flush()
            self._hidden = True
