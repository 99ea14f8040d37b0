"""The versions of an archive as bars over time, in a drawing without styles of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinproof.sources.archive.lookup import VersionSpan

__all__ = ["LABEL", "ROW", "WIDTH", "Bar", "bars"]

WIDTH, LABEL, ROW = 720, 150, 26
_NARROWEST = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One version: its row's top, its bar's left edge and width, in user units."""

    span: VersionSpan
    y: int
    x: int
    width: int


def bars(spans: Sequence[VersionSpan]) -> list[Bar]:
    """One row each, in their order; all bars share one scale."""
    if not spans:
        return []
    start, end = min(span.first for span in spans), max(span.last for span in spans)
    scale = (WIDTH - LABEL - _NARROWEST) / max(1, end - start)
    return [
        Bar(
            span,
            row * ROW,
            LABEL + round((span.first - start) * scale),
            max(_NARROWEST, round((span.last - span.first) * scale)),
        )
        for row, span in enumerate(spans)
    ]
