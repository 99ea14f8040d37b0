"""Evidence in, Verdict out: the whole verification of one instance, in the order of its plan.

1. dcap.*        is the quote genuine at this time?       (Intel's root, collateral, TCB)
2. evidence.*    whose question does it answer?           (statement, nonce)
3. dstack.*      what runs?                               (event log, compose hash, key provider)
4. policy.*      is it what was wanted?                   (statuses, attributes, pins)

Each part runs only on what the parts before it accepted; what did not run says why.
"""

from __future__ import annotations

from collections.abc import Sequence

from twinproof import wanted
from twinproof.chain_question import check_on_chain
from twinproof.claims import Claims, Software
from twinproof.claims_of import platform_of, registers_of, software_of
from twinproof.dcap import second_opinion
from twinproof.dcap import verify as dcap
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import INTEL_SGX_ROOT_CA, TrustRoot
from twinproof.dcap.second_opinion import SecondOpinion, check_second_opinion
from twinproof.dstack import verify as dstack
from twinproof.errors import UsageError
from twinproof.evidence import carrier, channel, checks
from twinproof.evidence.evidence import Evidence, Origin
from twinproof.evidence.statement import Statement
from twinproof.instance_verdict import NOT_APPLICABLE, PLAN, REQUIRED_BUT, Verdict
from twinproof.ledger import Ledger
from twinproof.memo import Memo
from twinproof.platform_policy import check_platform
from twinproof.policy import Policy
from twinproof.tdx.report import TdReport
from twinproof.verdict import Check, Status

__all__ = ["PLAN", "Verdict", "Verifier"]


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
                registers = registers_of(report)
                software = self._software(carried, appraisal, report, statement, ledger)
            else:
                for step in dstack.PLAN:
                    ledger.not_checked(step.id, f"{NOT_APPLICABLE}: an SGX quote has no event log")
                for step_id in ("evidence.agreement", "evidence.ra_tls_claims"):
                    ledger.not_checked(step_id, f"{NOT_APPLICABLE}: an SGX quote has no event log")
            if ledger.failed("evidence.") or not ledger.passed("evidence.agreement"):
                statement = None  # what was not bound, or is the word of something that was not measured, is no claim
            tls_key = channel.attested_tls_key(carried.ra_tls, statement, ledger)
            claims = Claims(platform_of(appraisal), registers, software, statement, tls_key)
            allowed = check_on_chain(evidence, claims, self.policy, ledger, at=at)
            claims = claims._replace(chain=allowed) if allowed is not None else claims
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
        return software_of(appraisal)

    def _demand(self, check: Check) -> Check:
        """A required check that did not run is a failure of what was wanted, not of the evidence.

        A pin is a requirement: whoever answers decides what is shown, and showing less may not make a pin go away.
        """
        if check.id in self._required and check.status is Status.NOT_CHECKED:
            return check._replace(status=Status.FAIL, reason=f"{REQUIRED_BUT}{check.reason}", error="Refused")
        return check
