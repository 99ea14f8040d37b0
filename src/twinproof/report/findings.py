"""Every check of a report as one list, with the instance it is about: what formats for machines are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from twinproof.comparison import Proof
from twinproof.comparison_rules import SOURCE
from twinproof.report.side_by_side import titles
from twinproof.verdict import Check, Status, Step
from twinproof.verifier import Verdict

__all__ = ["BETWEEN", "Finding", "findings"]

BETWEEN = "between the instances"
_PROVED = Step(
    "compare.proved",
    "what was asked for was shown",
    "no check fails where too little could be compared, and a reader of failures alone would take that for a proof",
    SOURCE,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """`instance` is a title as the reports show it, `source` the URL or file; both are BETWEEN for comparisons."""

    instance: str
    source: str
    check: Check


def findings(proof: Proof | None, verdicts: Sequence[Verdict]) -> Iterator[Finding]:
    """Each instance's checks in the plan's order, then those between the instances.

    At their end a failure of its own, where nothing failed and nothing was proved all the same.
    """
    for title, verdict in zip(titles(verdicts), verdicts, strict=True):
        yield from (Finding(title, verdict.source, check) for check in verdict.checks)
    if proof is None:
        return
    yield from (Finding(BETWEEN, BETWEEN, check) for check in proof.checks)
    everything = [*proof.checks, *(check for verdict in verdicts for check in verdict.checks)]
    if proof.exit_code and not any(check.status is Status.FAIL for check in everything):
        still_open = [f"{check.id}: {check.reason}" for check in proof.checks if check.status is Status.NOT_CHECKED]
        reason = "; ".join((proof.outcome.value, *still_open))
        yield Finding(BETWEEN, BETWEEN, Check(_PROVED, Status.FAIL, reason=reason, error="Refused"))
