"""Untrusted JSON and hex are read strictly or refused with their place."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import Malformed
from twinproof.wire import MAX_JSON_DEPTH, parse_json, parse_object, shown, unhex


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a":1,"a":2}', "duplicate JSON member"),
        ('{"a":{"b":1,"b":1}}', "duplicate JSON member"),
        ("NaN", "not a JSON number"),
        ("-Infinity", "not a JSON number"),
        ("-0", "not a JSON number"),
        ("1" * 5000, "JSON number too large"),
        ("[" * 100_000, "not JSON"),
        ("[" * 40 + "]" * 40, "JSON nested too deeply"),
        ("{", "not JSON"),
        ("", "not JSON"),
        ('"\\ud800"', "half a surrogate pair"),
        ('{"\\udfff":1}', "half a surrogate pair"),
    ],
)
def test_what_two_readers_could_read_differently_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse_json(text, "answer")


def test_an_html_page_is_named_as_such() -> None:
    with pytest.raises(Malformed) as caught:
        parse_json("<!doctype html><html>", "answer")
    assert "HTML page" in caught.value.hint


def test_bytes_that_are_not_utf8_name_the_byte() -> None:
    with pytest.raises(Malformed, match="answer byte 1"):
        parse_json(b"\x22\xff\x22", "answer")


def test_a_document_over_its_cap_is_refused_before_parsing() -> None:
    with pytest.raises(Malformed, match="too large"):
        parse_json("[" + "1," * 100 + "1]", "answer", max_bytes=50)


def test_the_deepest_allowed_nesting_is_read() -> None:
    depth = MAX_JSON_DEPTH - 1
    assert parse_json("[" * depth + "]" * depth, "answer") is not None


@pytest.mark.parametrize("text", ["0", "0g", " 00", "00 ", "0x00", "0\n0", "00\n", "\u0660\u0660"])
def test_hex_is_digits_and_nothing_else(text: str) -> None:
    with pytest.raises(Malformed, match="not hex text"):
        unhex(text, "quote")


def test_hex_of_the_wrong_length_gives_both_lengths() -> None:
    with pytest.raises(Malformed, match="got 2 bytes, expected 3 bytes"):
        unhex("0102", "fmspc", size=3)
    with pytest.raises(Malformed, match="too long"):
        unhex("01020304", "fmspc", size=3)


@given(st.binary(max_size=200))
def test_hex_round_trips(data: bytes) -> None:
    assert unhex(data.hex(), "any") == unhex(data.hex().upper(), "any") == data


@given(st.text(max_size=200))
def test_any_text_is_json_or_malformed_never_another_error(text: str) -> None:
    try:
        value = parse_json(text, "any")
    except Malformed:
        return
    assert value == json.loads(text)


@pytest.mark.parametrize(
    ("member", "read", "reason"),
    [
        ("true", "integer", "wrong type"),
        ("1.0", "integer", "wrong type"),
        ("-1", "integer", "out of range"),
        ("1", "text", "wrong type"),
        ("null", "text", "wrong type"),
        ("1", "boolean", "wrong type"),
        ("[]", "child", "not a JSON object"),
        ("{}", "array", "wrong type"),
        ("[1]", "texts", "not a short string"),
        ("[1]", "objects", "not a JSON object"),
    ],
)
def test_a_member_of_the_wrong_type_is_refused_with_its_path(member: str, read: str, reason: str) -> None:
    fields = parse_object(f'{{"a":{{"b":{member}}}}}', "top").child("a")
    with pytest.raises(Malformed, match=reason) as caught:
        getattr(fields, read)("b")
    assert caught.value.where.startswith("top.a.b")


def test_an_absent_member_is_not_a_null() -> None:
    fields = parse_object('{"a":null}', "top")
    assert fields.optional_text("b") is None
    with pytest.raises(Malformed, match="wrong type"):
        fields.optional_text("a")
    with pytest.raises(Malformed, match="missing member"):
        fields.text("b")


def test_hostile_text_is_shown_without_control_characters() -> None:
    assert shown("\x1b[31mred\n") == "?[31mred?"
    assert shown("x" * 100, 10) == "x" * 10 + "..."


@pytest.mark.parametrize(
    "text",
    [
        "::add-mask::DIFFERENT",
        "x ::Error title=a::PROOF COMPLETE",
        "##[error]all is well",
        "a ##[ADD-MASK]PROOF",
        "::stop-commands::token",
        f"{'a' * 70}::add-mask::PROOF",
    ],
)
def test_what_is_shown_commands_no_runner_of_a_workflow(text: str) -> None:
    """It hides words in a public log, or writes PROOF COMPLETE on the page of the run."""
    assert not re.search(r"##\[|::(?i:add-mask|error|stop-commands)", shown(text, 200))
    assert shown(text, 200).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("text", ["[fd00::1]:443", "std::vec::Vec", "::1", "a # b [c]"])
def test_colons_that_command_nothing_are_shown_as_they_are(text: str) -> None:
    assert shown(text) == text
