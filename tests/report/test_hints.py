"""A failed check shows the hint of its error: the mistake that people really make."""

from __future__ import annotations

from twinproof.report.style import PLAIN
from twinproof.report.verdict_text import check_lines
from twinproof.verdict import Check, Status, Step

STEP = Step("policy.tcb_status", "the status is accepted", "holes", "Intel")


def test_the_hint_of_a_failure_stands_under_it() -> None:
    failed = Check(STEP, Status.FAIL, reason="not accepted", hint="--accept-tcb OutOfDate accepts it")
    assert check_lines(failed, PLAIN)[-1].strip() == "hint: --accept-tcb OutOfDate accepts it"
    assert failed.to_json()["hint"] == failed.hint


def test_without_a_hint_there_is_no_line_for_one() -> None:
    assert not any("hint" in line for line in check_lines(Check(STEP, Status.FAIL, reason="not accepted"), PLAIN))
