"""Colour and symbols, or neither: decided once, at the edge, by NO_COLOR and by what the output is."""

from __future__ import annotations

from typing import NamedTuple

from twinproof.verdict import Status

__all__ = ["PLAIN", "Style"]

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
_WORDS = {Status.PASS: "pass", Status.FAIL: "FAIL", Status.WARN: "warn", Status.NOT_CHECKED: "----"}
_SYMBOLS = {Status.PASS: "✓", Status.FAIL: "✗", Status.WARN: "!", Status.NOT_CHECKED: "○"}
_COLOURS = {Status.PASS: "green", Status.FAIL: "red", Status.WARN: "yellow", Status.NOT_CHECKED: "dim"}


class Style(NamedTuple):
    """`colour` adds ANSI codes, `unicode` lines and symbols, `width` is in columns."""

    colour: bool = False
    unicode: bool = True
    width: int = 80

    def paint(self, text: str, *names: str) -> str:
        if not self.colour:
            return text
        return "".join(f"\x1b[{_CODES[name]}m" for name in names) + text + "\x1b[0m"

    def mark(self, status: Status) -> str:
        """The status in four columns (five with its symbol): a word that survives without colour, and its symbol."""
        text = f"{_SYMBOLS[status]} {_WORDS[status]}" if self.unicode else _WORDS[status]
        return self.paint(text, _COLOURS[status])

    def rule(self, double: bool = False) -> str:
        character = ("═" if double else "─") if self.unicode else ("=" if double else "-")
        return character * self.width

    def ellipsis(self, text: str, width: int) -> str:
        """The text in at most `width` columns; what was cut is shown to be cut."""
        if len(text) <= width:
            return text
        dots = "…" if self.unicode else "..."
        return text[: max(0, width - len(dots))] + dots


PLAIN = Style()
