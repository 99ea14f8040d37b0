"""Evidence in, Verdict out: the whole verification of one instance, in the order of its plan.

1. dcap.*        is the quote genuine at this time?       (Intel's root, collateral, TCB)
2. evidence.*    whose question does it answer?           (statement, nonce)
3. dstack.*      what runs?                               (event log, compose hash, key provider)
4. policy.*      is it what was wanted?                   (statuses, attributes, pins)

Each part runs only on what the parts before it accepted; what did not run says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Never

from twinproof import wanted
from twinproof.chain import plan as chain
from twinproof.chain_question import check_on_chain
from twinproof.claims import Claims, Platform, Registers, Software
from twinproof.dcap import second_opinion
from twinproof.dcap import verify as dcap
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import INTEL_SGX_ROOT_CA, TrustRoot
from twinproof.dcap.second_opinion import SecondOpinion, check_second_opinion
from twinproof.dstack import verify as dstack
from twinproof.eat_claims import eat_claims
from twinproof.errors import UsageError
from twinproof.evidence import carrier, channel, checks
from twinproof.evidence.channel import ChannelBinding
from twinproof.evidence.evidence import Evidence, Origin
from twinproof.evidence.statement import Statement
from twinproof.ledger import Ledger, Plan
from twinproof.memo import Memo
from twinproof.names import unconfirmed
from twinproof.platform_policy import check_platform
from twinproof.policy import Machine, Policy
from twinproof.tdx.report import TdReport
from twinproof.verdict import Check, Question, Status
from twinproof.wire import shown

__all__ = ["PLAN", "Verdict", "Verifier"]

PLAN = Plan(
    (
        *carrier.PLAN,
        *dcap.PLAN,
        *second_opinion.PLAN,
        *checks.PLAN,
        *channel.PLAN,
        *dstack.PLAN,
        *chain.PLAN,
        *wanted.PLAN,
    )
)
ESSENTIAL = frozenset(step.id for step in (*carrier.PLAN, *dcap.PLAN))
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
        for check in self.checks:
            status = check.status
            if status is _PASS or status is _WARN:
                continue
            if check.step.id in ESSENTIAL and not _not_applicable(check):
                return False
            if status is _FAIL and _disproves(check):
                return False
        return True

    @property
    def accepted(self) -> bool:
        """Genuine, and nothing that was wanted is missing."""
        return self.genuine and not self.failures

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


class Verifier:
    """Judges evidence against trust roots and a policy. Owns the bounded caches; safe to keep for a process's life.

    `roots` are tried in order: the first under which the quote's certificates hold is the one reported.
    `second_opinion` is another verifier, asked about every quote: see `dcap.second_opinion`.
    """

    def __init__(
        self,
        *,
        roots: Sequence[TrustRoot] = (INTEL_SGX_ROOT_CA,),
        policy: Policy | None = None,
        second_opinion: SecondOpinion | None = None,
    ) -> None:
        if not roots:
            raise UsageError("no trust root", expected="at least one certificate")
        self._roots = self.roots = tuple(roots)
        self.policy = policy or Policy()
        known = frozenset(step.id for step in PLAN)
        self._required = wanted.required_ids(self.policy.required, known) | wanted.pinned_ids(self.policy)
        self._memo = Memo()
        self._second_opinion = second_opinion

    def verify_quote(self, quote: bytes, collateral: Collateral, *, at: int) -> Verdict:
        """Judge a bare quote at time `at` (unix seconds, UTC); what needs a log or a statement is `not_checked`."""
        return self.verify(Evidence(source="quote", origin=Origin.QUOTE, quote=quote, collateral=collateral), at=at)

    def verify(self, evidence: Evidence, *, at: int | None = None) -> Verdict:
        """Judge one instance's evidence at `at`, by default at the time when it was collected.

        Raises UsageError when there is no time or no collateral to judge it by; never because of the evidence.
        """
        time = evidence.fetched_at if at is None else at
        if time is None:
            raise UsageError("no time to judge this evidence at", where=evidence.source, hint="--at TIME says it")
        if evidence.collateral is None:
            raise UsageError(
                "no collateral to judge this evidence by", where=evidence.source, hint="pass --collateral FILE"
            )
        first = self._verify(evidence, evidence.collateral, time, self._roots[0])
        if len(self._roots) == 1 or first.check("dcap.pck_chain").status is Status.PASS:
            return first
        others = (self._verify(evidence, evidence.collateral, time, root) for root in self._roots[1:])
        return next((v for v in others if v.check("dcap.pck_chain").status is Status.PASS), first)

    def _verify(self, evidence: Evidence, collateral: Collateral, at: int, root: TrustRoot) -> Verdict:
        ledger = Ledger(PLAN)
        claims = Claims()
        appraisal = software = registers = None
        carried = carrier.open_carrier(evidence, ledger)
        if carried is not None:
            appraisal = dcap.appraise(carried.quote, collateral, at=at, root=root, ledger=ledger, memo=self._memo)
        if carried is not None and appraisal is not None:
            report = appraisal.quote.report
            check_platform(appraisal, self.policy, ledger, at=at)
            statement = checks.check_binding(
                evidence, report.report_data, ledger, attestation=carried.attestation, ra_tls=carried.ra_tls
            )
            channel.check_tls_key(evidence, carried.ra_tls, statement, ledger)
            if isinstance(report, TdReport):
                registers = _registers(report)
                software = self._software(carried, appraisal, report, statement, ledger)
            else:
                for step in dstack.PLAN:
                    ledger.not_checked(step.id, f"{NOT_APPLICABLE}: an SGX quote has no event log")
                for step_id in ("evidence.agreement", "evidence.ra_tls_claims"):
                    ledger.not_checked(step_id, f"{NOT_APPLICABLE}: an SGX quote has no event log")
            if ledger.failed("evidence.") or not ledger.passed("evidence.agreement"):
                statement = None  # what was not bound, or is the word of something that was not measured, is no claim
            tls_key = channel.attested_tls_key(carried.ra_tls, statement, ledger)
            claims = Claims(_platform(appraisal), registers, software, statement, tls_key)
            allowed = check_on_chain(evidence, claims, self.policy, ledger, at=at)
            claims = replace(claims, chain=allowed) if allowed is not None else claims
        machine = wanted.machine_of(self.policy, evidence, claims)
        if appraisal is not None:
            wanted.check_pins(claims, evidence, machine, self.policy, ledger, at=at)
        if self._second_opinion is None:
            ledger.not_checked("dcap.second_opinion", second_opinion.NOT_ASKED)
        elif carried is not None:
            theirs = self._second_opinion(carried.quote, collateral, at=at, root=root)
            check_second_opinion(self._second_opinion.name, theirs, appraisal, ledger)
        return Verdict(
            source=evidence.source,
            at=at,
            root=root,
            policy=self.policy,
            checks=tuple(map(self._demand, ledger.checks())) if self._required else ledger.checks(),
            claims=claims,
            evidence=evidence,
            machine=machine,
        )

    def _software(
        self,
        carried: carrier.Carried,
        platform: dcap.Appraisal,
        report: TdReport,
        statement: Statement | None,
        ledger: Ledger,
    ) -> Software | None:
        appraisal = dstack.appraise(
            report,
            carried.event_log,
            carried.vm_config,
            carried.app_compose,
            carried.guest_info,
            ledger=ledger,
            device_id=platform.device_id,
        )
        if appraisal is None:
            return None
        boot = appraisal.boot
        agreed = checks.check_agreement(
            statement,
            app_id=boot.app_id,
            compose_hash=boot.compose_hash,
            instance_id=boot.instance_id,
            ledger=ledger,
        )
        certified = channel.check_ra_tls_claims(
            carried.ra_tls, report, appraisal, device_id=platform.device_id, ledger=ledger
        )
        if not agreed or not certified:
            return None
        return Software(
            app_id=boot.app_id,
            compose_hash=boot.compose_hash,
            instance_id=boot.instance_id,
            os_image_hash=appraisal.os_image_hash,
            recomputed_image=appraisal.recomputed_image,
            key_provider_name=boot.key_provider.name,
            key_provider_id=boot.key_provider.id,
            mr_aggregated=appraisal.mr_aggregated,
            app_events=tuple(shown(event.event, 100) for event in boot.app_events),
        )

    def _demand(self, check: Check) -> Check:
        """A required check that did not run is a failure of what was wanted, not of the evidence.

        A pin is a requirement: whoever answers decides what is shown, and showing less may not make a pin go away.
        """
        if check.id in self._required and check.status is Status.NOT_CHECKED:
            return check._replace(status=Status.FAIL, reason=f"{REQUIRED_BUT}{check.reason}", error="Refused")
        return check


def _platform(appraisal: dcap.Appraisal) -> Platform:
    current = appraisal.current_tcb_status
    return Platform(
        tee=appraisal.quote.tee,
        quote_version=appraisal.quote.header.version,
        fmspc=appraisal.pck.fmspc,
        pck_ca=appraisal.pck_ca,
        device_id=appraisal.device_id,
        tcb_status=appraisal.tcb_status.value,
        current_tcb_status=current.value if current else None,
        advisory_ids=appraisal.advisory_ids,
        tcb_date=appraisal.tcb_date,
        tcb_evaluation_data_number=appraisal.tcb_evaluation_data_number,
        collateral_issued=appraisal.latest_issue,
        collateral_expires=appraisal.earliest_expiration,
    )


def _registers(report: TdReport) -> Registers:
    return Registers(
        mrtd=report.mrtd,
        rtmr0=report.rtmr0,
        rtmr1=report.rtmr1,
        rtmr2=report.rtmr2,
        rtmr3=report.rtmr3,
        mr_config_id=report.mr_config_id,
        mrseam=report.mrseam,
        mrsignerseam=report.mrsignerseam,
        tee_tcb_svn=report.tee_tcb_svn,
        td_attributes=report.td_attributes,
        xfam=report.xfam,
        report_data=report.report_data,
    )
