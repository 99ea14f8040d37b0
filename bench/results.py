"""What a run found, as plain values: written to bench/results.json, and from there to docs/BENCHMARKS.md."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Bar", "Section"]


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise: `value` is at most (or, with `at_least`, at least) `limit`. `unit` is `x` for a ratio."""

    promise: str
    value: float
    limit: float
    unit: str = "x"
    at_least: bool = False

    def to_json(self) -> dict[str, object]:
        return {
            "promise": self.promise,
            "value": round(self.value, 2),
            "limit": self.limit,
            "unit": self.unit,
            "at_least": self.at_least,
        }


@dataclass(frozen=True, slots=True)
class Section:
    """One scenario. `method` says how it was measured, `rows` are `Figure.to_json` values, `notes` explain a result."""

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
