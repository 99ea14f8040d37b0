"""What records say about each other and about time: no answer stands behind two, and none is from the future."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployment_records import AT, failed, record
from twinproof.deployments.check import MAX_SKEW, clock_findings, replays
from twinproof.deployments.record import Record

NOW = AT + 3600


def facts(made: Record) -> list[str]:
    return [finding.fact for finding in clock_findings(made, NOW)]


def attested_at(made: Record, at: int) -> Record:
    assert made.attested is not None
    return replace(made, attested=replace(made.attested, at=at))


@pytest.mark.parametrize("made", [record(), failed(), record(at=NOW + MAX_SKEW), attested_at(record(), AT - 60)])
def test_times_in_their_order_are_true(made: Record) -> None:
    assert facts(made) == []


@pytest.mark.parametrize("made", [record(at=NOW + MAX_SKEW + 1), failed(at=253402300799)])
def test_a_record_from_the_future_would_be_the_last_one_for_ever_and_is_false(made: Record) -> None:
    assert facts(made) == ["at"]


def test_an_answer_later_than_its_record_is_false() -> None:
    assert facts(attested_at(record(), AT + MAX_SKEW + 1)) == ["attested.at"]


def test_an_answer_from_before_its_hash_was_allowed_is_false() -> None:
    assert facts(attested_at(record(), AT - 60 - MAX_SKEW - 1)) == ["attested.at"]


def test_one_answer_behind_two_records_is_named_at_the_later_one() -> None:
    first, second, third = record(run="1-1"), record(run="2-1", at=AT + 9), record(run="3-1", at=AT + 99)
    found = replays({first.name: b"a", second.name: b"a", third.name: b"b"}, [third, second, first])
    assert {name: str(findings[0]) for name, findings in found.items()} == {
        second.name: f"attested.bundle: the same answer stands behind {first.name}"
    }
