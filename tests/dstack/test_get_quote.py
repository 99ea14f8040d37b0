"""The guest agent's answers as files."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_boot import Boot, v1_attestation, v1_members
from twinproof.dstack.get_quote import parse_quote_answer
from twinproof.errors import Contradiction, Malformed

QUOTE = b"\x04\x00quote"


def text_of(**members: object) -> str:
    return json.dumps(members)


def test_a_get_quote_answer() -> None:
    answer = parse_quote_answer(text_of(quote=QUOTE.hex(), event_log="[]", report_data="00" * 64, vm_config="{}"))
    assert (answer.quote, answer.event_log, answer.vm_config) == (QUOTE, "[]", "{}")
    assert (answer.report_data, answer.attestation) == (bytes(64), None)


def test_an_older_tdx_quote_answer() -> None:
    answer = parse_quote_answer(text_of(quote=QUOTE.hex(), event_log="[]", hash_algorithm="raw", prefix=""))
    assert (answer.quote, answer.vm_config, answer.report_data) == (QUOTE, None, None)


def test_an_attest_answer_and_empty_members() -> None:
    answer = parse_quote_answer(text_of(attestation="00", quote="", event_log="", vm_config="", report_data=""))
    assert (answer.quote, answer.attestation, answer.event_log, answer.vm_config) == (None, b"\x00", None, None)


def test_an_answer_that_holds_the_same_quote_twice_is_one_answer() -> None:
    both = text_of(quote=QUOTE.hex(), attestation=v1_attestation(v1_members(Boot(), QUOTE)).hex())
    answer = parse_quote_answer(both)
    assert (answer.quote, answer.attestation) == (QUOTE, None)


def test_an_answer_with_two_different_quotes_is_a_contradiction() -> None:
    with pytest.raises(Contradiction, match="two different quotes"):
        parse_quote_answer(text_of(quote="00", attestation=v1_attestation(v1_members(Boot(), QUOTE)).hex()))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "no quote"),
        (text_of(quote=""), "no quote"),
        (text_of(quote="0x00"), "not hex"),
        (text_of(quote=1), "wrong type"),
        (text_of(quote="00", event_log=[]), "wrong type"),
        (text_of(quote="00", report_data="00" * 65), "too long"),
        (text_of(quote="00" * 70_000), "too long"),
        (text_of(quote="00", is_valid=True), "unknown member"),
        ('{"quote":"00","quote":"01"}', "duplicate"),
    ],
)
def test_an_odd_answer_is_malformed(text: str, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse_quote_answer(text)


@given(st.binary(max_size=100))
def test_random_bytes_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_quote_answer(data)
