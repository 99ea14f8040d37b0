"""What a verification of one instance gives: a Check for every step of the plan, and what they mean together."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import Never

from twinproof.chain import plan as chain
from twinproof.claims import Claims
from twinproof.dcap import plan as dcap
from twinproof.dcap import second_opinion
from twinproof.dcap.roots import TrustRoot
from twinproof.dstack import plan as dstack
from twinproof.eat_claims import eat_claims
from twinproof.evidence import carrier, channel, checks
from twinproof.evidence.channel import ChannelBinding
from twinproof.evidence.evidence import Evidence
from twinproof.ledger import Plan
from twinproof.names import unconfirmed
from twinproof.policy import Machine, Policy
from twinproof.verdict import Check, Question, Status
from twinproof.wanted import PLAN as WANTED

__all__ = ["NOT_APPLICABLE", "PLAN", "REQUIRED_BUT", "Verdict"]

PLAN = Plan(
    (
        *carrier.PLAN,
        *dcap.PLAN,
        *second_opinion.PLAN,
        *checks.PLAN,
        *channel.PLAN,
        *dstack.PLAN,
        *chain.PLAN,
        *WANTED,
    )
)
_ESSENTIAL = itemgetter(*(list(PLAN).index(step) for step in (*carrier.PLAN, *dcap.PLAN)))
"""Of all Checks in the order of the plan, those on the quote: none of them may be missing."""
SCHEMA = "twinproof/verdict/v1"
_PASS, _WARN, _FAIL = Status.PASS, Status.WARN, Status.FAIL
NOT_APPLICABLE, REQUIRED_BUT = "not applicable", "required, but "


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one instance's evidence is worth at `at` (unix seconds, UTC), check by check."""

    source: str
    at: int
    root: TrustRoot
    policy: Policy
    checks: tuple[Check, ...]
    claims: Claims
    evidence: Evidence
    machine: Machine | None = None

    def __bool__(self) -> Never:
        raise TypeError("a verdict is not a yes or no: ask for .genuine, .accepted or .checks")

    @property
    def title(self) -> str:
        """A short name for reports; `source` tells apart what has the same one."""
        return self.machine.title if self.machine else self._unconfirmed

    @property
    def name(self) -> str:
        """The same without the region, for sentences."""
        return self.machine.name if self.machine else self._unconfirmed

    @property
    def _unconfirmed(self) -> str:
        return unconfirmed(self.source, [label for machine in self.policy.machines for label in machine.labels])

    @property
    def genuine(self) -> bool:
        """Every check on the quote passed, and no check on its log or its statement failed."""
        return self._essentials_hold and not any(_disproves(check) for check in self.failures)

    @property
    def accepted(self) -> bool:
        """Genuine, and nothing that was wanted is missing."""
        return self._essentials_hold and not self.failures

    @property
    def _essentials_hold(self) -> bool:
        for check in _ESSENTIAL(self.checks):
            status = check.status
            if status is not _PASS and status is not _WARN and not _not_applicable(check):
                return False
        return True

    @property
    def fresh(self) -> bool:
        """The quote answers the nonce of the evidence's challenge, and is judged at the time of that answer."""
        return self.check("policy.fresh").status is Status.PASS

    @property
    def channel_binding(self) -> ChannelBinding:
        """What is proved about the TLS connection: never that a session is bound."""
        passed = self.genuine and self.check("evidence.tls_key").passed
        return channel.channel_binding(self.evidence, self.claims.tls_key, tls_key_passed=passed)

    @property
    def simulated(self) -> bool:
        return not self.root.is_intel

    @property
    def tcb_status(self) -> str | None:
        return self.claims.platform.tcb_status if self.claims.platform else None

    @property
    def advisory_ids(self) -> tuple[str, ...]:
        return self.claims.platform.advisory_ids if self.claims.platform else ()

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple([check for check in self.checks if check.status is _FAIL])

    def check(self, step_id: str) -> Check:
        return next(check for check in self.checks if check.id == step_id)

    @property
    def exit_code(self) -> int:
        """0 genuine and accepted, 3 not genuine, 4 genuine but not what was wanted."""
        return 0 if self.accepted else 4 if self.genuine else 3

    def to_json(self) -> dict[str, object]:
        return {
            "schema": SCHEMA,
            "source": self.source,
            "machine": self.machine.title if self.machine else None,
            "stored": self.evidence.stored,
            "at": self.at,
            "genuine": self.genuine,
            "accepted": self.accepted,
            "fresh": self.fresh,
            "channel_binding": self.channel_binding.value,
            "simulated_hardware": self.simulated,
            "trust_root": {"name": self.root.name, "sha256": self.root.fingerprint},
            "policy": {
                "profile": self.policy.profile,
                "digest": self.policy.digest,
                "weakenings": list(self.policy.weakenings),
            },
            "tcb_status": self.tcb_status,
            "advisory_ids": list(self.advisory_ids),
            "claims": self.claims.to_json(),
            "eat": eat_claims(self.claims),
            "checks": [check.to_json() for check in self.checks],
        }


def _not_applicable(check: Check) -> bool:
    """It has nothing to look at; requiring it all the same asks for more than being genuine."""
    refused = check.status is Status.FAIL and check.error == "Refused"
    reason = check.reason.removeprefix(REQUIRED_BUT) if refused else check.reason
    return (refused or check.status is Status.NOT_CHECKED) and reason.startswith(NOT_APPLICABLE)


def _disproves(check: Check) -> bool:
    """A failure of this kind says that the evidence is not genuine, and not only that it is not what was wanted."""
    return check.step.question is Question.GENUINE and check.error != "Refused"
