"""Every fact of a record with what became of it: what was compared, what is false, and what could not be looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from twinproof.deployments.check import Assessment, Finding
from twinproof.verdict import Status

__all__ = ["FactLine", "fact_lines"]

_WHOLE = {"attested": ("attested", "attested.bundle"), "onchain": ("onchain", "onchain.transaction")}
"""Findings after which nothing else of their part was compared."""


class FactLine(NamedTuple):
    """One fact: what the record says of it, and why it is false or open."""

    fact: str
    recorded: str
    status: Status
    note: str = ""


def fact_lines(item: Assessment) -> tuple[FactLine, ...]:
    """All of them, in the order of the record; then findings that are about no single one, and what stayed open."""
    return tuple(_lines(item))


def _lines(item: Assessment) -> Iterator[FactLine]:
    record, told = item.record, set[int]()
    facts = [("attested", name, str(getattr(record, name))) for name in ("version", "machine", "git_sha")]
    facts.append(("record", "at", str(record.at)))
    for part, held in (("attested", record.attested), ("onchain", record.anchor)):
        if held is not None:
            facts += [(part, f"{part}.{name}", _text(getattr(held, name))) for name in held.__slots__]
    for part, name, recorded in facts:
        mine = [finding for finding in item.findings if finding.fact == name]
        told |= {id(finding) for finding in mine}
        if mine:
            yield FactLine(name, recorded, Status.FAIL, "; ".join(finding.found for finding in mine))
        elif reason := _open(item, part):
            yield FactLine(name, recorded, Status.NOT_CHECKED, reason)
        else:
            yield FactLine(name, recorded, Status.PASS)
    for finding in item.findings:
        if id(finding) not in told:
            yield FactLine(finding.fact, finding.recorded, Status.FAIL, finding.found)
    for text in item.unchecked:
        yield FactLine("not checked", "", Status.NOT_CHECKED, text)


def _open(item: Assessment, part: str) -> str:
    """Why nothing of this part was compared; empty where it was."""
    whole = next((finding for finding in item.findings if _ends(finding, part)), None)
    if whole is not None:
        return f"not compared: {whole.fact} is false as a whole"
    if part == "attested" and item.record.attested is None:
        return "nothing was attested"
    return next((text for text in item.unchecked if text.startswith(f"{part}: ")), "")


def _ends(finding: Finding, part: str) -> bool:
    names = _WHOLE.get(part, ())
    return finding.fact == names[0] or (finding.fact == names[1] and bool(finding.recorded)) if names else False


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
