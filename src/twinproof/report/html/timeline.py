"""Bars over time, in a drawing without styles of its own: what held from when until when, a track for each name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LABEL", "ROW", "WIDTH", "Bar", "Piece", "Timeline", "Track", "draw_tracks"]

WIDTH, LABEL, ROW = 720, 150, 26
_NARROWEST = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """From `start` to `end` in unix seconds, None for what still holds. `status` is a Status's value or `info`."""

    start: int
    end: int | None
    status: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Track:
    """One row of the drawing."""

    name: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One piece: its left edge, top and width in user units."""

    piece: Piece
    x: int
    y: int
    width: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Names with the tops of their rows, and the bars."""

    names: tuple[tuple[str, int], ...]
    bars: tuple[Bar, ...]
    width: int
    height: int


def draw_tracks(tracks: Sequence[Track], *, until: int = 0) -> Timeline:
    """All tracks on one scale, from the earliest start to `until` or the latest end."""
    pieces = [piece for track in tracks for piece in track.pieces]
    start = min((piece.start for piece in pieces), default=until)
    end = max([until, *(piece.start for piece in pieces), *(piece.end for piece in pieces if piece.end is not None)])
    scale = (WIDTH - LABEL - _NARROWEST) / max(1, end - start)
    bars = [
        Bar(
            piece,
            LABEL + round((piece.start - start) * scale),
            row * ROW,
            max(_NARROWEST, round(((end if piece.end is None else piece.end) - piece.start) * scale)),
        )
        for row, track in enumerate(tracks)
        for piece in track.pieces
    ]
    names = tuple((track.name, row * ROW) for row, track in enumerate(tracks))
    return Timeline(names, tuple(bars), WIDTH, len(tracks) * ROW + 4)
