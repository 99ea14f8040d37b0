"""Two compose files line by line: the text inside the JSON is shown as the lines that people wrote."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from twinproof.errors import Malformed
from twinproof.wire import parse_object

__all__ = ["Line", "compose_lines", "lines_of"]

CONTEXT = 3
MOST_LINES = 4000


@dataclass(frozen=True, slots=True)
class Line:
    """`kind` is `same`, `old`, `new` or `gap`; numbers count the lines of each side from 1, 0 where there is none."""

    kind: str
    old: int
    new: int
    text: str


def compose_lines(old: str, new: str) -> tuple[Line, ...]:
    """The differing lines of two app-compose texts, with three lines around each; empty where the bytes are equal.

    Texts that differ only in how the JSON is written differ in bytes and so in hash: then the raw texts are compared.
    """
    if old == new:
        return ()
    before, after = lines_of(old), lines_of(new)
    if before == after:
        before, after = old.splitlines() or [""], new.splitlines() or [""]
        if before == after:
            return (Line("old", 1, 0, ascii(old)), Line("new", 0, 1, ascii(new)))
    lines = list(_compared(before[:MOST_LINES], after[:MOST_LINES]))
    if max(len(before), len(after)) > MOST_LINES:
        lines.append(Line("gap", 0, 0, f"only the first {MOST_LINES} lines are compared here"))
    return tuple(lines)


def _compared(before: Sequence[str], after: Sequence[str]) -> Iterator[Line]:
    matcher = difflib.SequenceMatcher(None, before, after)  # its shortcut for long texts bounds the time
    for number, group in enumerate(matcher.get_grouped_opcodes(CONTEXT)):
        if number:
            yield Line("gap", 0, 0, "")
        for kind, i, i_end, j, j_end in group:
            if kind == "equal":
                yield from (Line("same", i + n + 1, j + n + 1, before[i + n]) for n in range(i_end - i))
                continue
            yield from (Line("old", n + 1, 0, before[n]) for n in range(i, i_end))
            yield from (Line("new", 0, n + 1, after[n]) for n in range(j, j_end))


def lines_of(text: str) -> list[str]:
    """`name: value`, a line each; a value of several lines stands under its name. What is no JSON stays as it is."""
    try:
        members = parse_object(text, "app-compose", max_bytes=8 << 20).raw
    except Malformed:
        return text.splitlines()
    return [line for name, value in members.items() for line in _member(name, value)]


def _member(name: str, value: object) -> Iterator[str]:
    if isinstance(value, str) and "\n" in value:
        yield f"{name}:"
        yield from (f"    {line}" for line in value.splitlines())
    elif isinstance(value, list) and value:
        yield f"{name}:"
        yield from (f"    - {item}" for item in value)
    else:
        yield f"{name}: {value}"
