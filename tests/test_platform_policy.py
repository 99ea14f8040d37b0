"""A genuine platform against the policy: statuses and grace, advisories, age of the collateral, profiles."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

import recorded
from small_instance import AT, Instance, devnet_collateral, judge, root
from twinproof import wanted
from twinproof.dcap.appraisal import Appraisal
from twinproof.dcap.levels import combine
from twinproof.dcap.tcb import WITHOUT_AGE, TcbStatus
from twinproof.dcap.tcb_info import SvnLevel, TcbLevel
from twinproof.dcap.verify import PLAN as DCAP
from twinproof.dcap.verify import appraise
from twinproof.errors import Refused
from twinproof.ledger import Ledger
from twinproof.memo import Memo
from twinproof.platform_policy import check_platform
from twinproof.policy import DAY, PROFILES, Policy
from twinproof.verdict import Check, Status

S = TcbStatus


@cache
def genuine() -> Appraisal:
    quote = Instance().evidence().quote
    assert quote is not None
    found = appraise(quote, devnet_collateral(), at=AT, root=root(), ledger=Ledger(DCAP), memo=Memo())
    assert found is not None
    return found


def check(appraisal: Appraisal, policy: Policy, step: str, *, at: int = AT) -> Check:
    ledger = Ledger(wanted.PLAN)
    check_platform(appraisal, policy, ledger, at=at)
    return next(item for item in ledger.checks() if item.id == f"policy.{step}")


def with_status(
    status: TcbStatus,
    *,
    platform: int | None = None,
    qe: int | None = None,
    advisories: tuple[str, ...] = (),
    without_age: TcbStatus | None = None,
) -> Appraisal:
    """The genuine appraisal with another outcome; `platform` and `qe` are TCB dates of what is out of date."""
    launch = genuine().launch._replace(
        status=status,
        platform_out_of_date=platform,
        qe_out_of_date=qe,
        advisory_ids=advisories,
        without_age=without_age or WITHOUT_AGE.get(status, status),
    )
    return genuine()._replace(tcb_status=status, launch=launch, advisory_ids=advisories)


def test_an_up_to_date_platform_passes_everything_that_is_asked() -> None:
    policy = Policy(minimum_tcb_evaluation_data_number=1, max_collateral_age=DAY, refused_advisories=frozenset({"X"}))
    for step in ("tcb_status", "advisories", "tcb_evaluation", "collateral_age", "report_attributes"):
        assert check(genuine(), policy, step).status is Status.PASS


@pytest.mark.parametrize("status", sorted(set(S) - {S.UP_TO_DATE}))
def test_the_strict_profile_refuses_every_status_but_up_to_date(status: TcbStatus) -> None:
    found = check(with_status(status), Policy(), "tcb_status")
    assert (found.status, found.error) == (Status.FAIL, Refused.__name__)


@pytest.mark.parametrize("status", sorted(set(S) - {S.REVOKED}))
def test_the_profile_intel_accepts_every_status_but_revoked(status: TcbStatus) -> None:
    assert check(with_status(status), PROFILES["intel"], "tcb_status").status is Status.PASS


def test_the_profile_intel_refuses_revoked() -> None:
    assert check(with_status(S.REVOKED), PROFILES["intel"], "tcb_status").status is Status.FAIL


def test_the_profile_intel_says_that_attributes_were_not_judged() -> None:
    found = check(genuine(), PROFILES["intel"], "report_attributes")
    assert (found.status, found.reason) == (Status.NOT_CHECKED, "the profile intel judges no attributes")


def test_a_current_tcb_that_is_not_accepted_is_refused_behind_an_accepted_launch() -> None:
    current = genuine().launch._replace(status=S.OUT_OF_DATE)
    found = check(genuine()._replace(current=current), Policy(), "tcb_status")
    assert found.status is Status.FAIL
    assert "current TCB status" in found.reason


GRACE = Policy(platform_grace=30 * DAY, qe_grace=10 * DAY)


@pytest.mark.parametrize(
    ("platform", "qe", "status"),
    [
        (AT - 30 * DAY, None, Status.WARN),
        (AT - 30 * DAY - 1, None, Status.FAIL),
        (None, AT - 10 * DAY, Status.WARN),
        (None, AT - 10 * DAY - 1, Status.FAIL),
        (AT - DAY, AT - 11 * DAY, Status.FAIL),
        (AT - 31 * DAY, AT - DAY, Status.FAIL),
        (AT - DAY, AT - DAY, Status.WARN),
        (None, None, Status.FAIL),
    ],
)
def test_each_part_that_is_out_of_date_has_its_own_grace(platform: int | None, qe: int | None, status: Status) -> None:
    assert check(with_status(S.OUT_OF_DATE, platform=platform, qe=qe), GRACE, "tcb_status").status is status


def test_grace_is_said_with_the_days_that_are_left() -> None:
    found = check(with_status(S.OUT_OF_DATE, platform=AT - 28 * DAY), GRACE, "tcb_status")
    assert found.reason == "OutOfDate, accepted for 3 more days by the policy's grace period"


def test_grace_does_not_cover_a_configuration_that_is_not_accepted() -> None:
    appraisal = with_status(S.OUT_OF_DATE_CONFIGURATION_NEEDED, platform=AT - DAY)
    assert check(appraisal, GRACE, "tcb_status").status is Status.FAIL
    wider = replace(GRACE, accepted_tcb_statuses=frozenset({S.UP_TO_DATE, S.CONFIGURATION_NEEDED}))
    assert check(appraisal, wider, "tcb_status").status is Status.WARN


@pytest.mark.parametrize("hidden", [S.SW_HARDENING_NEEDED, S.CONFIGURATION_AND_SW_HARDENING_NEEDED])
def test_an_old_quoting_enclave_does_not_hide_what_the_platform_needs(hidden: TcbStatus) -> None:
    """Intel's convergence calls hardening and an old quoting enclave together simply out of date."""
    level = TcbLevel((0,) * 16, 0, (0,) * 16, hidden, AT, ())
    evaluation = combine(level, SvnLevel(0, S.OUT_OF_DATE, AT - DAY, ()), None)
    assert (evaluation.status in {S.OUT_OF_DATE, S.OUT_OF_DATE_CONFIGURATION_NEEDED}, evaluation.without_age) == (
        True,
        hidden,
    )
    appraisal = genuine()._replace(tcb_status=evaluation.status, launch=evaluation)
    wide = replace(GRACE, accepted_tcb_statuses=frozenset({S.UP_TO_DATE, S.CONFIGURATION_NEEDED}))
    assert check(appraisal, wide, "tcb_status").status is Status.FAIL
    accepting = replace(wide, accepted_tcb_statuses=wide.accepted_tcb_statuses | {hidden})
    assert check(appraisal, accepting, "tcb_status").status is Status.WARN


def test_grace_does_not_cover_a_relaunch_status() -> None:
    assert check(with_status(S.TD_RELAUNCH_ADVISED, platform=AT - DAY), GRACE, "tcb_status").status is Status.FAIL


def test_a_refused_advisory_is_found_whatever_its_case_and_whatever_the_status() -> None:
    policy = replace(PROFILES["intel"], refused_advisories=frozenset({"INTEL-SA-00837"}))
    found = check(with_status(S.UP_TO_DATE, advisories=("Intel-SA-00837",)), policy, "advisories")
    assert (found.status, found.error) == (Status.FAIL, Refused.__name__)


def test_a_refused_advisory_of_the_current_tcb_is_found_too() -> None:
    current = genuine().launch._replace(advisory_ids=("INTEL-SA-00837",))
    policy = Policy(refused_advisories=frozenset({"INTEL-SA-00837"}))
    assert check(genuine()._replace(current=current), policy, "advisories").status is Status.FAIL


def test_an_advisory_that_is_not_among_the_tolerated_is_refused() -> None:
    policy = Policy(tolerated_advisories=frozenset({"INTEL-SA-00615"}))
    tolerated = with_status(S.UP_TO_DATE, advisories=("INTEL-SA-00615",))
    assert check(tolerated, policy, "advisories").status is Status.PASS
    other = with_status(S.UP_TO_DATE, advisories=("INTEL-SA-00615", "INTEL-SA-00657"))
    found = check(other, policy, "advisories")
    assert (found.status, found.got) == (Status.FAIL, "INTEL-SA-00657")


def test_without_a_list_the_advisories_are_said_and_not_judged() -> None:
    found = check(with_status(S.UP_TO_DATE, advisories=("INTEL-SA-00615",)), Policy(), "advisories")
    assert found.status is Status.NOT_CHECKED
    assert "INTEL-SA-00615" in found.reason


def test_collateral_that_is_too_old_is_refused_and_its_age_counts_to_the_time_of_judgement() -> None:
    issued = genuine().oldest_document
    policy = Policy(max_collateral_age=DAY)
    assert check(genuine(), policy, "collateral_age", at=issued + DAY).status is Status.PASS
    assert check(genuine(), policy, "collateral_age", at=issued + DAY + 1).status is Status.FAIL


def test_a_statement_that_is_too_old_is_refused() -> None:
    young = judge(Instance().evidence(), Policy(max_statement_age=0))
    assert young.check("policy.statement_age").status is Status.PASS
    old = judge(Instance(said={"issued_at": AT - 11}).evidence(), Policy(max_statement_age=10))
    assert (old.check("policy.statement_age").error, old.exit_code) == (Refused.__name__, 4)


def test_a_maximum_age_without_a_statement_is_not_a_pass() -> None:
    bare = replace(Instance().evidence(), statement=None, challenge=None)
    found = judge(bare, Policy(max_statement_age=10)).check("policy.statement_age")
    assert (found.status, found.reason) == (Status.FAIL, "required, but there is no statement with a time")


@pytest.mark.vectors
@pytest.mark.parametrize("case", recorded.cases().values(), ids=recorded.cases().keys())
def test_the_profile_intel_accepts_real_quotes_exactly_where_a_level_covers_them(case: recorded.Json) -> None:
    supplied, quote = recorded.collateral(case["collateral"]), recorded.quote_bytes(case["quote"])
    found = recorded.appraised(quote, supplied, case["now"])
    expected = case["tcb_status_before_attribute_policy"]
    if isinstance(found, recorded.Outcome):
        assert (expected, found.step) == (None, "dcap.tcb_level")
        return
    assert found.tcb_status == expected
    assert check(found, PROFILES["intel"], "tcb_status", at=case["now"]).status is Status.PASS


@pytest.mark.vectors
@pytest.mark.parametrize("case", recorded.cases().values(), ids=recorded.cases().keys())
def test_the_profile_strict_accepts_real_quotes_exactly_where_both_tcbs_are_up_to_date(case: recorded.Json) -> None:
    supplied, quote = recorded.collateral(case["collateral"]), recorded.quote_bytes(case["quote"])
    found = recorded.appraised(quote, supplied, case["now"])
    if isinstance(found, recorded.Outcome):
        return
    statuses = {check(found, Policy(), step, at=case["now"]).status for step in ("tcb_status", "report_attributes")}
    up_to_date = found.current_tcb_status in (None, S.UP_TO_DATE)
    expected = case["ok"] and case["status"] == "UpToDate" and up_to_date
    assert (statuses == {Status.PASS}) is expected
