"""The Version History table of the README: one row per version between two markers, newest first.

Git SHA and compose hash are known only after the version was built and deployed; until then their cells hold a dash.
"""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.errors import Malformed
from twinproof.release.versions import Version

__all__ = ["BEGIN", "END", "Row", "with_row"]

BEGIN, END = "<!-- versions:begin -->", "<!-- versions:end -->"
HEADING = "| Version | Date | Git SHA | Compose Hash | Changes |"
RULE = "|---|---|---|---|---|"
MAX_CHANGES = 160


@dataclass(frozen=True, slots=True)
class Row:
    """One version. `date` is YYYY-MM-DD (UTC); `changes` are commit subjects, unescaped."""

    version: Version
    date: str
    changes: tuple[str, ...]

    @property
    def line(self) -> str:
        text = "; ".join(self.changes) or "no notable changes"
        text = text if len(text) <= MAX_CHANGES else f"{text[: MAX_CHANGES - 3].rstrip()}..."
        return f"| {self.version} | {self.date} | - | - | {_cell(text)} |"


def _cell(text: str) -> str:
    """Nothing in a commit's subject ends a cell, starts a tag or mentions a person."""
    text = "".join(char if char.isprintable() else " " for char in text)
    for char in "\\`*_[]|":
        text = text.replace(char, f"\\{char}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("@", "@&#8203;")


def with_row(readme: str, row: Row) -> str:
    """The README with this row on top of the table. Raises Malformed without exactly one pair of markers.

    A version that already has a row keeps it: running again adds nothing.
    """
    lines = readme.split("\n")
    places = [[index for index, line in enumerate(lines) if line.strip() == marker] for marker in (BEGIN, END)]
    if any(len(found) != 1 for found in places) or places[0][0] > places[1][0]:
        raise Malformed(
            "the table's markers have to stand once each, in this order",
            where="README.md",
            got=f"{len(places[0])} and {len(places[1])}",
            expected=f"{BEGIN} ... {END}",
        )
    start, end = places[0][0], places[1][0]
    ending = "\r" if lines[start].endswith("\r") else ""
    table = [line.rstrip("\r") for line in lines[start + 1 : end] if line.strip()]
    if table[:2] not in ([], [HEADING, RULE]):
        raise Malformed("not the table of versions", where="README.md", got=table[0], expected=HEADING)
    rows = table[2:]
    if not any(existing.startswith(f"| {row.version} |") for existing in rows):
        rows.insert(0, row.line)
    return "\n".join([*lines[: start + 1], *(f"{line}{ending}" for line in (HEADING, RULE, *rows)), *lines[end:]])
