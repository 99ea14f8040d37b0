"""Every check of a report as one list, with the instance it is about: what formats for machines are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from twinproof.comparison import Proof
from twinproof.report.side_by_side import titles
from twinproof.verdict import Check
from twinproof.verifier import Verdict

__all__ = ["BETWEEN", "Finding", "findings"]

BETWEEN = "between the instances"


@dataclass(frozen=True, slots=True)
class Finding:
    """`instance` is a title as the reports show it, `source` the URL or file; both are BETWEEN for comparisons."""

    instance: str
    source: str
    check: Check


def findings(proof: Proof | None, verdicts: Sequence[Verdict]) -> Iterator[Finding]:
    """Each instance's checks in the plan's order, then those between the instances."""
    for title, verdict in zip(titles(verdicts), verdicts, strict=True):
        yield from (Finding(title, verdict.source, check) for check in verdict.checks)
    yield from (Finding(BETWEEN, BETWEEN, check) for check in (proof.checks if proof is not None else ()))
