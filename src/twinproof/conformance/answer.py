"""One question of the corpus, answered: accepted with a TCB status, or refused by a check, and why."""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.dcap.attributes import AttributeRules, check_report_attributes
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.verify import PLAN, appraise
from twinproof.errors import EvidenceError, Refused
from twinproof.evidence.bundle import parse_bundle
from twinproof.ledger import Ledger
from twinproof.memo import Memo
from twinproof.verdict import Check, Status
from twinproof.verifier import Verifier

__all__ = ["Answer", "judge_bundle", "judge_quote"]

ATTRIBUTES = "policy.report_attributes"


@dataclass(frozen=True, slots=True)
class Answer:
    """`stage`: the check that refused, or `collateral` or `bundle` for a file that cannot be read; empty: accepted."""

    tcb_status: str = ""
    advisory_ids: tuple[str, ...] = ()
    stage: str = ""
    reason: str = ""

    @property
    def accepted(self) -> bool:
        return not self.stage

    def to_json(self) -> dict[str, object]:
        if self.accepted:
            return {"verdict": "accept", "tcb_status": self.tcb_status, "advisory_ids": list(self.advisory_ids)}
        return {"verdict": "refuse", "stage": self.stage, "reason": self.reason}


def judge_quote(quote: bytes, collateral: bytes, *, root: TrustRoot, at: int, memo: Memo) -> Answer:
    """Is this quote genuine at `at` (unix seconds), and are its attributes those of the strict rules?

    Every TCB status but Revoked is accepted: which of them are good enough is the caller's question.
    """
    try:
        supplied = Collateral.from_json(collateral)
    except EvidenceError as error:
        return Answer(stage="collateral", reason=str(error))
    ledger = Ledger(PLAN)
    appraisal = appraise(quote, supplied, at=at, root=root, ledger=ledger, memo=memo)
    if appraisal is None:
        return _refused(ledger.checks())
    try:
        check_report_attributes(appraisal.quote.report, AttributeRules())
    except Refused as error:
        return Answer(stage=ATTRIBUTES, reason=str(error))
    return Answer(appraisal.tcb_status.value, appraisal.advisory_ids)


def judge_bundle(bundle: bytes, *, root: TrustRoot, at: int) -> Answer:
    """Is this instance's evidence genuine at `at`, and is it what the default policy wants?"""
    try:
        evidence = parse_bundle(bundle)
    except EvidenceError as error:
        return Answer(stage="bundle", reason=str(error))
    if evidence.collateral is None:
        return Answer(stage="bundle", reason="no collateral in this bundle")
    verdict = Verifier(roots=(root,)).verify(evidence, at=at)
    if not verdict.accepted:
        return _refused(verdict.checks)
    return Answer(verdict.tcb_status or "", verdict.advisory_ids)


def _refused(checks: tuple[Check, ...]) -> Answer:
    failed = next(check for check in checks if check.status is Status.FAIL)
    return Answer(stage=failed.id, reason=failed.reason)
