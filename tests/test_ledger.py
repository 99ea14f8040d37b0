"""Nothing in a verification is skipped without being written down."""

from __future__ import annotations

import pytest

from twinproof.errors import Forged, Refused
from twinproof.ledger import Ledger, Plan
from twinproof.verdict import Status, Step

PLAN = tuple(Step(name, f"{name} holds", "someone could lie", "test") for name in ("a", "b", "c"))


def statuses(ledger: Ledger) -> dict[str, str]:
    return {check.id: check.status.value for check in ledger.checks()}


def test_a_failure_blocks_what_follows_and_says_so() -> None:
    ledger = Ledger(PLAN)
    with ledger.line("a") as line:
        line.step("b")
        raise Forged("bad signature", got="x", expected="y", hint="look at it")
    assert statuses(ledger) == {"a": "pass", "b": "fail", "c": "not_checked"}
    _, failed, blocked = ledger.checks()
    assert (failed.error, failed.got, failed.expected, failed.hint) == ("Forged", "x", "y", "look at it")
    assert blocked.reason == "blocked by b"


def test_refusals_are_recorded_as_what_they_are() -> None:
    ledger = Ledger(PLAN)
    with ledger.line("a"):
        raise Refused("debug TD")
    assert ledger.checks()[0].error == "Refused"


def test_a_step_that_never_ran_is_not_checked_and_not_absent() -> None:
    assert [check.status for check in Ledger(PLAN).checks()] == [Status.NOT_CHECKED] * 3
    assert all(check.reason for check in Ledger(PLAN).checks())


def test_a_bug_inside_a_step_is_not_turned_into_a_verdict() -> None:
    ledger = Ledger(PLAN)
    with pytest.raises(KeyError), ledger.line("a"):
        raise KeyError("bug")
    assert not ledger.passed("a")


def test_a_step_passes_only_when_the_next_begins_or_the_line_ends() -> None:
    ledger = Ledger(PLAN)
    with ledger.line("a") as line:
        assert not ledger.passed("a")
        line.step("b")
        assert ledger.passed("a")
        assert not ledger.passed("b")
    assert statuses(ledger) == {"a": "pass", "b": "pass", "c": "not_checked"}


def test_a_bug_leaves_the_running_step_unrecorded_and_what_ended_recorded() -> None:
    ledger = Ledger(PLAN)
    with ledger.line("a"):
        pass
    with pytest.raises(ZeroDivisionError), ledger.line("b"):
        raise ZeroDivisionError
    assert statuses(ledger) == {"a": "pass", "b": "not_checked", "c": "not_checked"}


def test_what_one_step_says_is_not_said_by_the_next() -> None:
    ledger = Ledger(PLAN)
    with ledger.line("a") as line:
        line.got, line.expected, line.warning = "x", "y", "look"
        line.explain("hashed", b"abc")
        line.step("b")
        line.not_checked = "unused"
        line.step("c")
    first, second, third = ledger.checks()
    assert (first.status, first.got, first.reason, first.detail) == (Status.WARN, "x", "look", (("hashed", "616263"),))
    assert (second.status, second.got, second.expected, second.detail) == (Status.NOT_CHECKED, "", "", ())
    assert third == Plan(PLAN).passed["c"]


def test_a_failing_line_inside_another_does_not_end_it() -> None:
    ledger = Ledger(PLAN)
    with ledger.line("a") as outer:
        with ledger.line("b"):
            raise Forged("no")
        outer.step("c")
    assert statuses(ledger) == {"a": "pass", "b": "fail", "c": "pass"}


def test_a_step_cannot_run_inside_itself() -> None:
    ledger = Ledger(PLAN)
    with pytest.raises(ValueError, match="twice"), ledger.line("a"), ledger.line("a"):
        pass
    assert not ledger.passed("a")


def test_not_checked_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="needs a reason"):
        Ledger(PLAN).not_checked("a", "")


def test_a_step_cannot_be_recorded_twice() -> None:
    ledger = Ledger(PLAN)
    ledger.not_checked("a", "no log")
    with pytest.raises(ValueError, match="twice"), ledger.line("a"):
        pass
    with pytest.raises(ValueError, match="twice"):
        ledger.not_checked("a", "again")


def test_a_step_outside_the_plan_is_a_bug() -> None:
    with pytest.raises(KeyError), Ledger(PLAN).line("d"):
        pass


def test_a_plan_with_two_steps_of_one_name_is_a_bug() -> None:
    with pytest.raises(ValueError, match="twice"):
        Ledger((*PLAN, PLAN[0]))


def test_a_warning_passes_and_is_shown() -> None:
    ledger = Ledger(PLAN)
    with ledger.line("a") as entry:
        entry.warning = "an image is named by tag"
    assert ledger.checks()[0].status is Status.WARN
    assert ledger.passed("a")


def test_a_step_may_find_that_it_cannot_check() -> None:
    ledger = Ledger(PLAN)
    with ledger.line("a") as entry:
        entry.not_checked = "mr_config_id is unused"
    assert not ledger.passed("a")
    assert ledger.checks()[0].status is Status.NOT_CHECKED


def test_a_plan_reads_as_the_steps_it_was_made_of() -> None:
    plan = Plan(PLAN)
    assert (len(plan), tuple(plan), plan[0], tuple(plan[1:])) == (3, PLAN, PLAN[0], PLAN[1:])


def test_ledgers_that_share_a_plan_do_not_share_what_happened() -> None:
    plan = Plan(PLAN)
    first, second = Ledger(plan), Ledger(plan)
    with first.line("a") as entry:
        entry.explain("hashed", "abc")
    with second.line("a"):
        pass
    first.not_checked("b", "no log")
    assert first.checks()[0].detail == (("hashed", "abc"),)
    assert second.checks()[0].detail == ()
    assert second.checks()[1].reason != "no log"


def test_any_number_of_reasons_is_recorded_and_few_are_kept() -> None:
    plan = Plan(PLAN)
    for number in range(5000):
        ledger = Ledger(plan)
        ledger.not_checked("a", f"reason {number}")
        assert ledger.checks()[0].reason == f"reason {number}"
    assert len(plan._not_checked) < 1000


def test_a_part_that_did_not_run_is_written_down_step_by_step_and_only_once() -> None:
    ledger = Ledger(PLAN)
    with ledger.line("a"):
        pass
    with pytest.raises(ValueError, match="ran twice"):
        ledger.none_checked(("a", "b"), "no chain")
    with pytest.raises(ValueError, match="needs a reason"):
        ledger.none_checked(("b", "c"), "")
    ledger.none_checked(("b", "c"), "no chain")
    assert [(check.id, check.status, check.reason) for check in ledger.checks()[1:]] == [
        ("b", Status.NOT_CHECKED, "no chain"),
        ("c", Status.NOT_CHECKED, "no chain"),
    ]
    with pytest.raises(ValueError, match="ran twice"):
        ledger.not_checked("c", "again")


def test_a_step_that_holds_is_written_like_a_line_of_one_step() -> None:
    ledger, line = Ledger(PLAN), Ledger(PLAN)
    ledger.holds("a")
    ledger.holds("b", "1", "2", (("name", ("text", b"\x01")),))
    with line.line("a"):
        pass
    with line.line("b") as entry:
        entry.got, entry.expected = "1", "2"
        entry.explain("name", "text", b"\x01")
    assert ledger.checks() == line.checks()
    with pytest.raises(ValueError, match="ran twice"):
        ledger.holds("a")


def test_adopted_checks_end_the_step_before_and_begin_the_one_after() -> None:
    first = Ledger(PLAN)
    with first.line("a") as line:
        line.step("b")
        line.got = "found"
        line.step("c")
    again = Ledger(PLAN)
    with again.line("a") as line:
        line.adopt(first.recorded(("b",)), "c")
        raise Forged("no")
    assert statuses(again) == {"a": "pass", "b": "pass", "c": "fail"}
    assert again.checks()[1].got == "found"


def test_nothing_is_adopted_for_a_step_that_ran() -> None:
    first = Ledger(PLAN)
    first.holds("a")
    with pytest.raises(ValueError, match="ran twice"):
        first.adopt(first.recorded(("a",)))
    other = Ledger(PLAN)
    other.holds("b")
    with pytest.raises(ValueError, match="ran twice"), other.line("a") as line:
        line.adopt({"b": other.recorded(("b",))["b"]}, "c")
