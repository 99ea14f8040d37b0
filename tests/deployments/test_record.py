"""A deployment record is whole or is none: what it may not lack, contradict or smuggle in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployment_records import failed, record
from twinproof.deployments.facts import printable_reason
from twinproof.deployments.record import MAX_REASON, MAX_RECORD_BYTES, Outcome, parse_record
from twinproof.errors import Malformed

WHERE = "record.json"


def members() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(record().to_json())
    return document


@pytest.mark.parametrize("made", [record(), failed()], ids=["deployed", "failed"])
def test_a_record_reads_back_as_it_was_written(made: Any) -> None:
    assert parse_record(made.to_json(), WHERE) == made
    assert parse_record(made.to_json(), WHERE).to_json() == made.to_json()


@pytest.mark.parametrize("part", ["attested", "onchain"])
def test_a_deployment_without_its_proof_is_no_record(part: str) -> None:
    document = members()
    del document[part]
    with pytest.raises(Malformed, match="a deployment without its proof"):
        parse_record(json.dumps(document), WHERE)


def test_a_failed_deployment_may_not_be_renamed_deployed() -> None:
    document = json.loads(failed().to_json()) | {"status": "deployed"}
    with pytest.raises(Malformed, match="a status that the record contradicts"):
        parse_record(json.dumps(document), WHERE)
    assert failed().outcome is Outcome.FAILED


@pytest.mark.parametrize("word", ["Active", "Replaced", "ok", "pending", ""])
def test_a_status_that_only_others_can_give_is_refused(word: str) -> None:
    with pytest.raises(Malformed, match="a status that the record contradicts"):
        parse_record(json.dumps(members() | {"status": word}), WHERE)


@pytest.mark.parametrize("part", ["", "attested", "onchain"])
def test_an_unknown_member_is_refused(part: str) -> None:
    document = members()
    (document[part] if part else document)["note"] = "trust me"
    with pytest.raises(Malformed, match="unknown member"):
        parse_record(json.dumps(document), WHERE)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("onchain", "transaction", "pending"),
        ("onchain", "transaction", "02f901108221"),
        ("onchain", "transaction", None),
        ("onchain", "block", "12"),
        ("onchain", "log_index", -1),
        ("onchain", "chain_id", 0),
        ("attested", "compose_hash", "0x" + "11" * 32),
        ("attested", "device_id", "prod9"),
        ("attested", "app_id", "11" * 21),
        ("attested", "instance_id", "11" * 19),
        ("attested", "simulated", "no"),
    ],
)
def test_a_fact_of_another_form_is_refused_with_its_place(part: str, name: str, value: object) -> None:
    document = members()
    document[part][name] = value
    with pytest.raises(Malformed) as caught:
        parse_record(json.dumps(document), WHERE)
    assert caught.value.where == f"{WHERE}.{part}.{name}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("machine", "../../etc/passwd"),
        ("machine", ".hidden"),
        ("machine", "prod 9"),
        ("machine", ""),
        ("run", "1/2"),
        ("run", "1|2"),
        ("git_sha", "main"),
        ("git_sha", "0123456789ABCDEF0123456789abcdef01234567"),
        ("version", "v1.2.0"),
        ("version", "1.2"),
        ("schema", "twinproof/deployment/v2"),
    ],
)
def test_a_name_that_is_no_name_is_refused(name: str, value: str) -> None:
    with pytest.raises(Malformed):
        parse_record(json.dumps(members() | {name: value}), WHERE)


def test_a_half_written_record_is_malformed_at_every_length() -> None:
    text = record().to_json().rstrip()
    for length in range(len(text)):
        with pytest.raises(Malformed):
            parse_record(text[:length], WHERE)


def test_a_record_too_large_is_refused_unread() -> None:
    with pytest.raises(Malformed, match="too large"):
        parse_record(b" " * (MAX_RECORD_BYTES + 1), WHERE)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_record_or_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_record(data, WHERE)


@given(st.text(max_size=3000))
def test_any_reason_becomes_one_printable_line(text: str) -> None:
    reason = printable_reason(text)
    assert 0 < len(reason) <= MAX_REASON
    assert reason.isprintable()


def test_neither_a_key_nor_a_signed_transaction_stays_in_a_reason() -> None:
    text = f"replacement fee too low: 0x02f901108221{'05' * 160} for phak_abcDEF123 and hash 0x{'ab' * 32}"
    assert printable_reason(text) == f"replacement fee too low: [cut] for [cut] and hash 0x{'ab' * 32}"
