"""A devnet machine for the tests of the verifier: a good quote, good collateral, and how judging them ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.verify import PLAN, Appraisal, appraise
from twinproof.ledger import Ledger
from twinproof.memo import Memo
from twinproof.verdict import Check, Status
from twinproof_devnet.collateral import make
from twinproof_devnet.host import TdMeasurements, TdxHost
from twinproof_devnet.pki import Pki

AT = 1_790_000_000
"""2026-09-21, the time at which everything here is valid."""
REPORT_DATA = bytes(range(64))
TD = TdMeasurements(rtmr3=bytes([3]) * 48)


@cache
def pki() -> Pki:
    return Pki.create(AT)


@cache
def host() -> TdxHost:
    return TdxHost.create(pki(), AT)


@cache
def quote(version: int = 4, body: str = "TD1.0") -> bytes:
    return host().quote(TD, REPORT_DATA, version, body=body)


@cache
def _collateral_text(tee: str) -> str:
    return json.dumps(make(pki(), AT, tee=tee))


def members(tee: str = "TDX") -> dict[str, str]:
    """The nine members of good collateral."""
    good: dict[str, str] = json.loads(_collateral_text(tee))
    return good


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a verification ended: an appraisal, or the step that failed and why."""

    appraisal: Appraisal | None
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[str, str]:
        """Step and error class of the failure; two empty texts without one."""
        for check in self.checks:
            if check.status is Status.FAIL:
                return check.id, check.error
        return "", ""

    @property
    def reason(self) -> str:
        return next((check.reason for check in self.checks if check.status is Status.FAIL), "")

    def check(self, step_id: str) -> Check:
        return next(check for check in self.checks if check.id == step_id)

    @property
    def genuine(self) -> bool:
        return self.appraisal is not None and self.failed == ("", "")

    @property
    def good(self) -> Appraisal:
        assert self.appraisal is not None, self.reason
        return self.appraisal


def judge(
    quote: bytes,
    collateral: dict[str, str] | None = None,
    *,
    at: int = AT,
    tree: Pki | None = None,
    memo: Memo | None = None,
) -> Judgement:
    """Judge under the devnet's root, by default with good collateral and without memory."""
    ledger = Ledger(PLAN)
    appraisal = appraise(
        quote,
        Collateral.from_json(json.dumps(members() if collateral is None else collateral)),
        at=at,
        root=TrustRoot.from_pem_or_der((tree or pki()).root.der),
        ledger=ledger,
        memo=memo or Memo(),
    )
    return Judgement(appraisal, ledger.checks())
