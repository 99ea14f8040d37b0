"""The third question, was it allowed in public?, asked about what the first two found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinproof.chain.plan import NOT_ASKED, PLAN
from twinproof.claims import Claims
from twinproof.evidence.evidence import Evidence
from twinproof.ledger import Ledger
from twinproof.policy import Policy

if TYPE_CHECKING:
    from twinproof.chain.on_chain import OnChain
    from twinproof.chain.questions import Attested

__all__ = ["attested_by", "check_on_chain"]

_STEPS = (*(step.id for step in PLAN), "policy.chain")
_NOT_SHOWN = "what runs was not shown, so there is nothing to ask a chain about"


def attested_by(claims: Claims) -> Attested | None:
    """What a chain has to be asked about this instance; None when the evidence does not show what runs.

    The OS image is the one that the registers prove, or else the one that the event log names.
    """
    software, platform = claims.software, claims.platform
    if software is None or platform is None:
        return None
    from twinproof.chain.questions import Attested  # noqa: PLC0415  (most evidence says nothing of a chain)

    return Attested(
        app_id=software.app_id,
        compose_hash=software.compose_hash,
        device_id=platform.device_id,
        os_image_hash=software.recomputed_image or software.os_image_hash,
        kms_root=bytes.fromhex(software.key_provider_id) if software.key_provider_name == "kms" else None,
        key_provider=software.key_provider_name,
    )


def check_on_chain(evidence: Evidence, claims: Claims, policy: Policy, ledger: Ledger, *, at: int) -> OnChain | None:
    """The steps `chain.*` and `policy.chain`. The chain and the contract that are believed are the policy's."""
    attested = None if evidence.chain is None else attested_by(claims)
    if evidence.chain is None or attested is None:
        reason = (evidence.chain_failure or NOT_ASKED) if evidence.chain is None else _NOT_SHOWN
        ledger.none_checked(_STEPS, reason)
        return None
    from twinproof.chain.verify import check_chain  # noqa: PLC0415

    return check_chain(evidence.chain, attested, policy.trusted_chain, ledger, at=at)
