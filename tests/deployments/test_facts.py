"""A record is made of what was proved or not at all; and every fact of it, once changed, is found to be false."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from deployment_records import AT, mined
from live_instance import CHAIN_ID, Live, live_instance
from twinproof.deployments.check import assess, cross_check
from twinproof.deployments.facts import Chain
from twinproof.deployments.record import Failure
from twinproof.errors import Malformed, NotGenuine, Refused, TwinproofError, Unavailable, UsageError
from twinproof.release.versions import Version
from twinproof.sources.attested_wait import wait_attested
from twinproof.verifier import Verdict, Verifier


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with live_instance() as found:
        yield found


def test_a_proved_deployment_becomes_a_record_of_what_was_proved(live: Live) -> None:
    record = live.record()
    assert record.machine == "prod9"
    assert record.attested is not None
    assert record.anchor is not None
    assert record.attested.compose_hash == live.release.compose_hash
    assert record.attested.simulated
    assert (record.anchor.log_index, record.anchor.block_time) == (4, AT - 60)
    assert live.findings(record) == []


def test_a_reverted_transaction_gives_no_record(live: Live) -> None:
    with pytest.raises(Refused, match="the transaction was reverted"):
        live.record(mined=mined(live.app_id, live.release.compose_hash, succeeded=False))


@pytest.mark.parametrize("other", ["another hash", "another contract", "no log"])
def test_a_transaction_that_allowed_something_else_gives_no_record(live: Live, other: str) -> None:
    logs = {
        "another hash": mined(live.app_id, bytes(32)),
        "another contract": mined(bytes(20), live.release.compose_hash),
        "no log": mined(live.app_id),
    }
    with pytest.raises(Refused, match="the transaction did not allow this compose hash"):
        live.record(mined=logs[other])


@pytest.mark.parametrize(
    ("what", "changed"),
    [
        ("compose hash", {"compose_hash": bytes(32)}),
        ("version", {"version": Version(9, 9, 9)}),
        ("git SHA", {"git_sha": "ab" * 20}),
    ],
)
def test_another_release_than_the_attested_one_is_not_recorded(live: Live, what: str, changed: Any) -> None:
    with pytest.raises(Refused, match=f"another {what} is attested"):
        live.record(release=replace(live.release, **changed))


def test_another_app_than_the_one_on_chain_is_not_recorded(live: Live) -> None:
    with pytest.raises(Refused, match="another app id is attested"):
        live.record(chain=Chain(CHAIN_ID, bytes(20)))


def test_a_machine_that_nobody_named_is_not_recorded(live: Live) -> None:
    nobody = replace(live.verdict, policy=replace(live.verdict.policy, machines=()))
    with pytest.raises(Refused, match="the device id belongs to no machine"):
        live.record(verdict=nobody)


def test_an_answer_to_no_nonce_is_not_recorded(live: Live) -> None:
    evidence = replace(live.verdict.evidence, challenge=None)
    with pytest.raises(Refused, match="not an answer to a fresh nonce"):
        live.record(verdict=live.verifier.verify(evidence))


def test_what_was_not_accepted_is_not_recorded(live: Live) -> None:
    forged = replace(live.verdict.evidence, statement="{}")
    with pytest.raises(Refused, match="what was not proved is not recorded"):
        live.record(verdict=live.verifier.verify(forged))


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("attested", "device_id", bytes(32)),
        ("attested", "instance_id", bytes(20)),
        ("attested", "at", AT),
        ("attested", "proof", bytes(32)),
        ("attested", "simulated", False),
        ("anchor", "block", 1),
        ("anchor", "block_hash", bytes(32)),
        ("anchor", "log_index", 3),
        ("anchor", "block_time", AT),
    ],
)
def test_every_changed_fact_of_a_record_is_named(live: Live, part: str, name: str, value: object) -> None:
    record = live.record()
    changed: Any = {name: value}
    edited = replace(record, **{part: replace(getattr(record, part), **changed)})
    assert live.findings(edited) == [f"{'onchain' if part == 'anchor' else part}.{name}"]


@pytest.mark.parametrize(
    ("name", "value"), [("machine", "prod7"), ("version", Version(0, 0, 1)), ("git_sha", "ab" * 20)]
)
def test_every_changed_name_of_a_record_is_named(live: Live, name: str, value: object) -> None:
    changed: Any = {name: value}
    assert live.findings(replace(live.record(), **changed)) == [name]


def test_a_changed_compose_hash_contradicts_chain_and_evidence(live: Live) -> None:
    record = live.record()
    assert record.attested is not None
    edited = replace(record, attested=replace(record.attested, compose_hash=bytes(31) + b"\x01"))
    assert live.findings(edited) == ["onchain.transaction", "attested.compose_hash"]


def test_another_bundle_in_its_place_is_named(live: Live) -> None:
    record = live.record()
    assert record.attested is not None
    edited = replace(record, attested=replace(record.attested, bundle=hashlib.sha256(b"other").digest()))
    assert live.findings(edited) == ["attested.bundle"]


def test_what_could_not_be_asked_is_not_checked_and_never_true(live: Live) -> None:
    error = Unavailable("no answer", where="127.0.0.1:1")
    for given in (error, None):
        assessment = assess(live.record(), mined=given, verdict=given)
        assert len(assessment.unchecked) == 2
        assert (assessment.holds, assessment.exit_code) == (False, 5)


def test_a_failed_record_with_a_transaction_that_nothing_was_attested_for_is_named(live: Live) -> None:
    failed = replace(live.record(), attested=None, failure=Failure("attest", "no answer"))
    assert live.findings(failed) == ["onchain"]


def test_two_records_of_one_version_may_not_disagree_about_it(live: Live) -> None:
    record = live.record()
    assert record.attested is not None
    other = replace(record, machine="prod7", attested=replace(record.attested, app_id=bytes(20)))
    found = cross_check([record, other])
    assert [(name, finding.fact) for name, findings in found.items() for finding in findings] == [
        (record.name, "attested.app_id")
    ]


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def wait(
    live: Live, *answers: Verdict | TwinproofError, compose_hash: bytes | None = None, device_id: bytes | None = None
) -> tuple[Verdict, float]:
    """Ask for at most 10 seconds; the last answer repeats. The verdict, and when it came."""
    left, clock = list(answers), Clock()

    def ask() -> Verdict:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, TwinproofError):
            raise answer
        return answer

    wanted = live.release.compose_hash if compose_hash is None else compose_hash
    platform = live.verdict.claims.platform
    assert platform is not None
    device_id = platform.device_id if device_id is None else device_id
    verdict = wait_attested(
        ask, compose_hash=wanted, device_id=device_id, seconds=10, pause=2, sleep=clock.sleep, clock=clock
    )
    return verdict, clock.now


def test_the_first_accepted_verdict_about_the_hash_ends_the_wait(live: Live) -> None:
    booting = Unavailable("no connection")
    assert wait(live, booting, booting, live.verdict) == (live.verdict, 4.0)


def test_an_instance_that_attests_another_hash_for_ever_is_refused_at_the_deadline(live: Live) -> None:
    with pytest.raises(Refused, match=r"another compose hash is attested \(after 10 s\)") as caught:
        wait(live, live.verdict, compose_hash=bytes(32))
    assert (caught.value.got, caught.value.expected) == (live.release.compose_hash.hex(), bytes(32).hex())


def test_an_instance_that_never_answers_is_unavailable_at_the_deadline(live: Live) -> None:
    with pytest.raises(Unavailable, match="after 10 s"):
        wait(live, Unavailable("no connection"))


def test_evidence_that_does_not_hold_is_not_genuine_at_the_deadline(live: Live) -> None:
    forged = live.verifier.verify(replace(live.verdict.evidence, statement="{}"))
    with pytest.raises(NotGenuine, match="does not hold"):
        wait(live, forged)
    with pytest.raises(NotGenuine):
        wait(live, Malformed("not JSON"))


def test_a_replayed_answer_is_no_attestation_of_now(live: Live) -> None:
    old = live.verifier.verify(replace(live.verdict.evidence, challenge=None))
    with pytest.raises(Refused, match="not an answer to a fresh nonce"):
        wait(live, old)


def test_a_policy_that_refuses_it_is_told_by_its_check(live: Live) -> None:
    policy = replace(live.verdict.policy, pins=live.verdict.policy.pins._replace(version="9.9.9"))
    roots = (live.verdict.root,)
    with pytest.raises(Refused, match=r"policy\.version"):
        wait(live, Verifier(roots=roots, policy=policy).verify(live.verdict.evidence))


def test_a_mistake_of_the_user_does_not_wait(live: Live) -> None:
    with pytest.raises(UsageError):
        wait(live, UsageError("no URL"), live.verdict)


def test_the_right_code_on_another_machine_is_not_the_deployment_that_is_waited_for(live: Live) -> None:
    with pytest.raises(Refused, match="another machine answers at this address"):
        wait(live, live.verdict, device_id=bytes(32))
