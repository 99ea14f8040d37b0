"""An audit in words: what holds, what changed, what is broken, and the times and versions without a proof."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from twinproof.report.layout import bullet, paragraph
from twinproof.report.style import Style
from twinproof.report.verdict_text import simulated_line, time_text
from twinproof.wire import shown

__all__ = ["MOST_NAMED", "Audit", "Problem", "Timeline", "audit_text"]

MOST_NAMED = 1000
"""Problems that are named; all are counted."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An entry of the archive, and what is wrong with it."""

    number: int
    source: str
    what: str


@dataclass(slots=True)
class Timeline:
    """First and last proof of one version, in unix seconds, and how many there are."""

    first: int
    last: int
    count: int = 1

    def add(self, at: int) -> None:
        self.first, self.last, self.count = min(self.first, at), max(self.last, at), self.count + 1


@dataclass(slots=True)
class Audit:
    """What was found, in memory that does not grow with the archive."""

    head: str
    head_found: bool | None
    simulated: tuple[str, ...] = ()
    """Names of the trust roots that are not Intel's."""
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[Problem] = field(default_factory=list)
    changed: list[Problem] = field(default_factory=list)
    worse: int = 0
    """Entries that were genuine when they were added, and are not now."""
    refused: int = 0
    """Entries that were not accepted when they were added, and are not now: they hold as what they are."""
    versions: dict[str, Timeline] = field(default_factory=dict)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    without_proof: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """3 for what is broken or no longer genuine, 4 for what changed otherwise and for what is missing."""
        if self.counts["broken"] or self.worse or self.head_found is False:
            return 3
        return 4 if self.counts["changed"] or self.gaps or self.without_proof else 0

    def to_json(self) -> dict[str, object]:
        def named(problems: list[Problem]) -> list[dict[str, object]]:
            return [{"number": item.number, "source": item.source, "what": item.what} for item in problems]

        return {
            "schema": "twinproof/audit/v1",
            "exit_code": self.exit_code,
            "simulated_hardware": bool(self.simulated),
            "counts": dict(self.counts),
            "head": self.head,
            "head_found": self.head_found,
            "broken": named(self.broken),
            "changed": named(self.changed),
            "versions": {
                name: {"first": line.first, "last": line.last, "count": line.count}
                for name, line in self.versions.items()
            },
            "gaps": [{"from": start, "to": end} for start, end in self.gaps],
            "versions_without_proof": self.without_proof,
        }


def audit_text(audit: Audit, style: Style) -> str:
    """The whole report of `twinproof audit`."""
    counts = audit.counts
    lines = simulated_line(set(audit.simulated), style) if audit.simulated else []
    lines.append(style.rule(double=True))
    if not counts.total():
        lines.append("THE ARCHIVE IS EMPTY")
    elif audit.exit_code == 0 and audit.refused:
        said = f"EVERY ENTRY IS JUDGED AS BEFORE, {audit.refused} OF THEM NOT ACCEPTED"
        lines.append(style.paint(said, "bold", "yellow"))
    elif audit.exit_code == 0:
        lines.append(style.paint("EVERY ENTRY HOLDS", "bold", "green"))
    else:
        lines.append(style.paint("NOT EVERYTHING HOLDS", "bold", "red"))
    total = f"{counts.total()} entries: {counts['holds']} judged as before, {counts['changed']} otherwise"
    lines += paragraph(f"{total}, {counts['broken']} broken. Each was judged at its own time.", style)
    lines += [*_problems(audit, style), *_times(audit, style)]
    return "\n".join([*lines, f"  head {audit.head}", style.rule(double=True)]) + "\n"


def _problems(audit: Audit, style: Style) -> list[str]:
    lines: list[str] = []
    counts = audit.counts
    for heading, problems in (("BROKEN", audit.broken), ("JUDGED OTHERWISE THAN WHEN ADDED", audit.changed)):
        if problems:
            lines += ["", heading]
            for item in problems:
                source = f", {shown(item.source, 200)}" if item.source else ""
                lines += bullet("-", 1, f"entry {item.number}{source}: {item.what}", style)
    if counts["broken"] > len(audit.broken) or counts["changed"] > len(audit.changed):
        lines.append(f"  and more; the first {MOST_NAMED} of each kind are named")
    if audit.head_found is False:
        lost = "The hash given by --head is not in this archive: entries were removed, or written anew."
        lines += ["", *paragraph(lost, style)]
    return lines


def _times(audit: Audit, style: Style) -> list[str]:
    """Versions with their proofs, and the times and versions without one."""
    lines: list[str] = []
    if audit.versions:
        lines += ["", "PROOFS BY VERSION"]
        for name, line in sorted(audit.versions.items(), key=lambda item: item[1].first):
            spread = f"{time_text(line.first)} to {time_text(line.last)}, {line.count} proofs"
            lines += bullet("-", 1, f"{shown(name, 80) or 'no version'}: {spread}", style)
    for start, end in audit.gaps:
        lines += paragraph(f"no proof between {time_text(start)} and {time_text(end)}", style)
    for version in audit.without_proof:
        lines += paragraph(f"version {shown(version, 80)} was deployed, and has no proof here", style)
    return lines
