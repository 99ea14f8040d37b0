"""Is the platform good enough? Status, advisories, age of the collateral and report attributes of a genuine quote."""

from __future__ import annotations

from functools import lru_cache

from twinproof.dcap.attributes import check_report_attributes
from twinproof.dcap.levels import Evaluation
from twinproof.dcap.tcb import OUT_OF_DATE, TcbStatus
from twinproof.dcap.verify import Appraisal
from twinproof.errors import Refused
from twinproof.ledger import Ledger
from twinproof.policy import DAY, Policy

__all__ = ["check_platform"]


def check_platform(appraisal: Appraisal, policy: Policy, ledger: Ledger, *, at: int) -> None:
    """Each question is answered even when another fails; `at` is the time of judgement (unix seconds, UTC)."""
    _check_status(appraisal, policy, ledger, at)
    _check_advisories(appraisal, policy, ledger)
    _check_evaluation(appraisal, policy, ledger)
    _check_collateral_age(appraisal, policy, ledger, at)
    if policy.attributes.allow_any:
        ledger.not_checked("policy.report_attributes", f"the profile {policy.profile} judges no attributes")
        return
    try:
        check_report_attributes(appraisal.quote.report, policy.attributes)
    except Refused:
        with ledger.line("policy.report_attributes"):
            raise
    else:
        ledger.holds("policy.report_attributes")


def _check_status(appraisal: Appraisal, policy: Policy, ledger: Ledger, at: int) -> None:
    """For TD 1.5 the TCB of launch and the current one are both held against the policy."""
    current, statuses = appraisal.current, policy.accepted_tcb_statuses
    accepted = _listed(statuses)
    if appraisal.tcb_status in statuses and (current is None or current.status in statuses):
        ledger.holds("policy.tcb_status", str(appraisal.tcb_status), accepted)
        return
    judged = [("", appraisal.tcb_status, appraisal.launch)]
    if current is not None:
        judged.append(("current ", current.status, current))
    with ledger.line("policy.tcb_status") as entry:
        entry.got, entry.expected = appraisal.tcb_status.value, accepted
        for which, status, evaluation in judged:
            if status in statuses:
                continue
            grace = _grace(status, evaluation, policy, at)
            if not grace:
                raise Refused(
                    f"the platform's {which}TCB status is not accepted",
                    got=status.value + (f" ({', '.join(evaluation.advisory_ids)})" if evaluation.advisory_ids else ""),
                    expected=accepted,
                    hint=f"--accept-tcb {status.value} accepts it; the report then says so",
                )
            entry.warning = f"{which}{status.value}, accepted for {grace} more days by the policy's grace period"


@lru_cache(maxsize=64)
def _listed(statuses: frozenset[TcbStatus]) -> str:
    return ", ".join(sorted(statuses))


def _grace(status: TcbStatus, evaluation: Evaluation, policy: Policy, at: int) -> int:
    """Days that are left, at least 1; 0 when there is no grace. Each part that is out of date has its own period."""
    if status not in OUT_OF_DATE or evaluation.without_age not in policy.accepted_tcb_statuses:
        return 0
    parts = ((evaluation.platform_out_of_date, policy.platform_grace), (evaluation.qe_out_of_date, policy.qe_grace))
    left = [date + period - at for date, period in parts if date is not None]
    return max(0, min(left) // DAY + 1) if left else 0


def _check_advisories(appraisal: Appraisal, policy: Policy, ledger: Ledger) -> None:
    current = appraisal.current
    names = {*appraisal.launch.advisory_ids, *(current.advisory_ids if current is not None else ())}
    if not policy.refused_advisories and policy.tolerated_advisories is None:
        found = f"the platform has {', '.join(sorted(names))}" if names else "the platform has none"
        ledger.not_checked("policy.advisories", f"no advisory is refused by name; {found}")
        return
    with ledger.line("policy.advisories") as entry:
        entry.got = ", ".join(sorted(names))
        refused = {name for name in names if name.upper() in policy.refused_advisories}
        if policy.tolerated_advisories is not None:
            refused |= {name for name in names if name.upper() not in policy.tolerated_advisories}
        if refused:
            raise Refused("the platform has advisories that are refused", got=", ".join(sorted(refused)))


def _check_evaluation(appraisal: Appraisal, policy: Policy, ledger: Ledger) -> None:
    number, minimum = appraisal.tcb_evaluation_data_number, policy.minimum_tcb_evaluation_data_number
    got, expected = str(number), f"at least {minimum}"
    if minimum == 0:
        reason = f"no minimum was set; the collateral is of TCB recovery {number}"
        ledger.not_checked("policy.tcb_evaluation", reason, got=got, expected=expected)
        return
    with ledger.line("policy.tcb_evaluation") as entry:
        entry.got, entry.expected = got, expected
        if number < minimum:
            raise Refused("the collateral is of an older TCB recovery", got=got, expected=expected)


def _check_collateral_age(appraisal: Appraisal, policy: Policy, ledger: Ledger, at: int) -> None:
    age, limit = at - appraisal.oldest_document, policy.max_collateral_age
    days = f"{age // DAY} days"
    if limit is None:
        ledger.not_checked("policy.collateral_age", "no maximum was set", got=days)
        return
    with ledger.line("policy.collateral_age") as entry:
        entry.got = days
        if age > limit:
            raise Refused("the collateral is too old", got=f"{age} s", expected=f"at most {limit} s")
