"""Measuring alternatives against each other on a machine that is never quiet.

All alternatives take turns in every round, so that what disturbs one disturbs its neighbours too. A figure is the
median of its rounds, a ratio the median of the ratios within each round. Time is the CPU time of the process (or, for
whole processes, the wall clock). The collector of cycles runs between turns and not inside them: a verification leaves
no cycles behind, and a collection would be charged to whoever is running when it is due.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Figure", "Turn", "in_turns", "ratio"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One alternative: `prepare` makes the inputs of a round, unmeasured; `run` uses them all.

    `run` gives the seconds of one call when it has measured them itself, otherwise None.
    """

    name: str
    calls: int
    prepare: Callable[[], Sequence[object]]
    run: Callable[[Sequence[object]], float | None]


@dataclass(frozen=True, slots=True)
class Figure:
    """Seconds per call, one for each round."""

    name: str
    seconds: tuple[float, ...]

    def to_json(self, unit: str) -> dict[str, object]:
        factor = {"µs": 1e6, "ms": 1e3, "s": 1.0}[unit]
        scaled = sorted(value * factor for value in self.seconds)
        return {
            "name": self.name,
            "unit": unit,
            "median": round(median(scaled), 1),
            "low": round(scaled[0], 1),
            "high": round(scaled[-1], 1),
        }


def in_turns(turns: Sequence[Turn], rounds: int, *, clock: Callable[[], float] = time.process_time) -> list[Figure]:
    """One warm-up round, then `rounds` measured ones."""
    seconds: dict[str, list[float]] = {turn.name: [] for turn in turns}
    for number in range(rounds + 1):
        for turn in turns:
            took = _take(turn, clock)
            if number:
                seconds[turn.name].append(took)
    return [Figure(name, tuple(values)) for name, values in seconds.items()]


def _take(turn: Turn, clock: Callable[[], float]) -> float:
    inputs = turn.prepare()
    gc.collect()
    gc.disable()
    try:
        start = clock()
        own = turn.run(inputs)
        return (clock() - start) / turn.calls if own is None else own
    finally:
        gc.enable()


def ratio(figure: Figure, base: Figure) -> float:
    """How many times `base`, round by round."""
    return median(mine / theirs for mine, theirs in zip(figure.seconds, base.seconds, strict=True))
