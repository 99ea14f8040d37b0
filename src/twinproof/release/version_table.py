"""The Version History table of the README: one row per version between two markers, newest first.

Git SHA and compose hash are known only after the version was built and deployed; until then their cells hold a dash,
and `with_deployment` fills them in from a deployment record.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from twinproof.errors import Malformed
from twinproof.release.versions import Version

__all__ = ["BEGIN", "END", "Row", "with_deployment", "with_row"]

BEGIN, END = "<!-- versions:begin -->", "<!-- versions:end -->"
HEADING = "| Version | Date | Git SHA | Compose Hash | Changes |"
RULE = "|---|---|---|---|---|"
MAX_CHANGES = 160
_UNFILLED = re.compile(r"\| (?P<version>[0-9.]+) \| (?P<date>[0-9-]+) \| - \| - \| (?P<changes>.*)")


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
    lines, start, end, rows = _table(readme)
    ending = "\r" if lines[start].endswith("\r") else ""
    if not any(existing.startswith(f"| {row.version} |") for existing in rows):
        rows.insert(0, row.line)
    return _joined(lines, start, end, rows, ending)


def with_deployment(readme: str, version: Version, git_sha: str, compose_hash: str) -> str:
    """The README with these cells of the version's row filled in; without such a row, unchanged.

    A row that holds another hash already is left as it is: a version never changes, and `deployments verify` names it.
    Raises Malformed without exactly one pair of markers.
    """
    lines, start, end, rows = _table(readme)
    ending = "\r" if lines[start].endswith("\r") else ""
    for index, existing in enumerate(rows):
        match = _UNFILLED.fullmatch(existing)
        if match is not None and match["version"] == str(version):
            rows[index] = f"| {version} | {match['date']} | `{git_sha[:12]}` | `{compose_hash}` | {match['changes']}"
    return _joined(lines, start, end, rows, ending)


def _joined(lines: list[str], start: int, end: int, rows: list[str], ending: str) -> str:
    return "\n".join([*lines[: start + 1], *(f"{line}{ending}" for line in (HEADING, RULE, *rows)), *lines[end:]])


def _table(readme: str) -> tuple[list[str], int, int, list[str]]:
    """All lines, where the markers are, and the rows between them. Raises Malformed."""
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
    table = [line.rstrip("\r") for line in lines[start + 1 : end] if line.strip()]
    if table[:2] not in ([], [HEADING, RULE]):
        raise Malformed("not the table of versions", where="README.md", got=table[0], expected=HEADING)
    return lines, start, end, table[2:]
