"""What a run found, as plain values: written to bench/results.json, and from there to docs/BENCHMARKS.md."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Bar", "Run", "Section"]


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise: `value` is at most (or, with `at_least`, at least) `limit`. `unit` is `x` for a ratio.

    A value of None was not measured; a note of the section says why.
    """

    promise: str
    value: float | None
    limit: float
    unit: str = "x"
    at_least: bool = False

    def to_json(self) -> dict[str, object]:
        return {
            "promise": self.promise,
            "value": None if self.value is None else round(self.value, 2),
            "limit": self.limit,
            "unit": self.unit,
            "at_least": self.at_least,
        }


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the document. `method` says how it was measured, `rows` are `Figure.to_json` values, `notes` explain
    a result.
    """

    title: str
    method: str
    rows: list[dict[str, object]]
    bars: list[Bar] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        return {
            "title": self.title,
            "method": self.method,
            "rows": self.rows,
            "bars": [bar.to_json() for bar in self.bars],
            "notes": self.notes,
        }


@dataclass(frozen=True, slots=True)
class Run:
    """One scenario, measured once: on what, when, how long, and beside how much other work (see `OtherWork`)."""

    machine: str
    versions: dict[str, str]
    began: dt.datetime
    others: float
    seconds: float
    sections: Sequence[Section]

    def to_json(self) -> dict[str, object]:
        return {
            "machine": self.machine,
            "versions": self.versions,
            "began": self.began.strftime("%Y-%m-%d %H:%M UTC"),
            "others": round(self.others, 2),
            "seconds": round(self.seconds),
            "sections": [section.to_json() for section in self.sections],
        }
