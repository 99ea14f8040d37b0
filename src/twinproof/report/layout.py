"""Rows and paragraphs that fit their width: one column per instance while they fit, else one under another."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from twinproof.report.style import Style
from twinproof.verdict import Status
from twinproof.wire import shown

__all__ = ["bullet", "capital", "marked", "paragraph", "shorten", "table"]

_LONG_HEX = re.compile(r"[0-9a-f]{33,}")
_LABEL = 16
_GAP = 2
_NARROWEST = 18


def table(headings: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], style: Style) -> list[str]:
    """A heading line and one line per row; cells are cut to their column, never wrapped into the next one."""
    cells = len(headings)
    width = (style.width - 2 - _LABEL - _GAP * cells) // cells
    if width < _NARROWEST:
        return _stacked(headings, rows, style)
    lines = [
        "  "
        + " " * _LABEL
        + "".join(" " * _GAP + style.paint(_cell(h, width, style), "bold") for h in headings).rstrip(),
        "  " + style.rule()[: style.width - 2],
    ]
    for label, values in rows:
        line = "  " + style.ellipsis(label, _LABEL).ljust(_LABEL)
        line += "".join(" " * _GAP + _cell(value, width, style) for value in values)
        lines.append(line.rstrip())
    return lines


def _cell(text: str, width: int, style: Style) -> str:
    return style.ellipsis(shown(text, 4096), width).ljust(width)


def _stacked(headings: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], style: Style) -> list[str]:
    lines: list[str] = []
    for index, heading in enumerate(headings):
        lines.append("  " + style.paint(style.ellipsis(shown(heading, 200), style.width - 2), "bold"))
        for label, values in rows:
            room = style.width - 4 - _LABEL - _GAP
            lines.append(f"    {label.ljust(_LABEL)}{' ' * _GAP}{_cell(values[index], room, style)}".rstrip())
    return lines


def paragraph(text: str, style: Style, indent: str = "  ") -> list[str]:
    """Words wrapped to the width; a word longer than the line (a hash) is broken, not lost."""
    return textwrap.wrap(shown(text, 1 << 16), style.width, initial_indent=indent, subsequent_indent=indent)


def capital(text: str) -> str:
    """The text with a capital letter in front; `str.capitalize` would make the other ones small."""
    return text[:1].upper() + text[1:]


def shorten(text: str, style: Style) -> str:
    """Long hex values cut to what a reader can compare by eye; `--explain` and `--json` have them whole."""
    return _LONG_HEX.sub(lambda match: style.ellipsis(match[0], 17), text)


def marked(status: Status, text: str, style: Style) -> list[str]:
    """A line with its status in front."""
    return bullet(style.mark(status), 6 if style.unicode else 4, text, style)


def bullet(mark: str, mark_width: int, text: str, style: Style) -> list[str]:
    """A marked line; its continuation lines stand under the text."""
    hang = " " * (2 + mark_width + 2)
    lines = textwrap.wrap(shown(text, 1 << 16), style.width - len(hang)) or [""]
    return [f"  {mark}  {lines[0]}", *(hang + line for line in lines[1:])]
