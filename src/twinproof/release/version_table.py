"""The Version History table of the README: one row per version between two markers, newest first.

Git SHA and compose hash are known only after the version was built and deployed; until then their cells hold a dash,
and `with_deployments` fills them in from the deployment records.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from twinproof.errors import Malformed
from twinproof.release.inert import inert
from twinproof.release.versions import Version
from twinproof.wire import shown

__all__ = ["BEGIN", "END", "Row", "with_deployments", "with_row"]

BEGIN, END = "<!-- versions:begin -->", "<!-- versions:end -->"
HEADING = "| Version | Date | Git SHA | Compose Hash | Changes |"
RULE = "|---|---|---|---|---|"
MAX_CHANGES = 160
_ROW = re.compile(r"\| (?P<version>[0-9A-Za-z.+-]+) \| (?P<date>[0-9-]+) \| [^|]+ \| [^|]+ \| (?P<changes>.*)")


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
        return f"| {self.version} | {self.date} | - | - | {inert(text)} |"


def with_row(readme: str, row: Row) -> str:
    """The README with this row on top of the table. Raises Malformed without exactly one pair of markers.

    A version that already has a row keeps it: running again adds nothing.
    """
    lines, start, end, rows = _table(readme)
    ending = "\r" if lines[start].endswith("\r") else ""
    if not any(existing.startswith(f"| {row.version} |") for existing in rows):
        rows.insert(0, row.line)
    return _joined(lines, start, end, rows, ending)


def with_deployments(readme: str, deployed: Mapping[str, tuple[str, str]]) -> str:
    """The README whose rows say what was deployed: git SHA and compose hash by version, and a dash for all others.

    What somebody wrote into these cells is lost: they are true or empty. Raises Malformed without exactly one pair of
    markers, and for a row of another form.
    """
    lines, start, end, rows = _table(readme)
    ending = "\r" if lines[start].endswith("\r") else ""
    for index, existing in enumerate(rows):
        match = _ROW.fullmatch(existing)
        if match is None:
            raise Malformed("not a row of the table of versions", where="README.md", got=shown(existing, 100))
        git_sha, compose_hash = deployed.get(match["version"], ("", ""))
        cells = (f"`{git_sha[:12]}`", f"`{compose_hash}`") if compose_hash else ("-", "-")
        rows[index] = f"| {match['version']} | {match['date']} | {' | '.join(cells)} | {match['changes']}"
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
