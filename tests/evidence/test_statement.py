"""The statement is read strictly, and the quote signs exactly its bytes."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import Malformed
from twinproof.evidence import statement
from twinproof.evidence.nonce import challenge_for
from twinproof.evidence.statement import expected_report_data, parse_statement

MEMBERS: dict[str, object] = {
    "app_id": "11" * 20,
    "build_time": "2026-11-23T12:00:00Z",
    "compose_hash": "22" * 32,
    "eat_nonce": "33" * 32,
    "environment": "production",
    "git_sha": "4" * 40,
    "health": "ok",
    "instance_id": "55" * 20,
    "issued_at": 1795000000,
    "schema": "toy-example/statement/v1",
    "signup_count": 3,
    "version": "1.2.0",
}


def text(**changes: object) -> str:
    members = {name: value for name, value in {**MEMBERS, **changes}.items() if value is not None}
    return json.dumps(members, sort_keys=True, separators=(",", ":"))


def test_a_statement_is_read() -> None:
    statement = parse_statement(text(tls_spki_sha256="66" * 32))
    assert (statement.version, statement.signup_count, statement.instance_id) == ("1.2.0", 3, b"\x55" * 20)
    assert statement.tls_spki_sha256 == b"\x66" * 32
    assert parse_statement(text()).tls_spki_sha256 is None


def test_an_app_without_instance_ids_says_so_with_an_empty_one() -> None:
    assert parse_statement(text(instance_id="")).instance_id == b""


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"schema": "toy-example/statement/v2"}, "statement.schema"),
        ({"extra": 1}, "statement"),
        ({"version": "1.2"}, "statement.version"),
        ({"version": "v1.2.0"}, "statement.version"),
        ({"version": "1.2.0\n"}, "statement.version"),
        ({"version": 1}, "statement.version"),
        ({"git_sha": "4" * 39}, "statement.git_sha"),
        ({"git_sha": "A" * 40}, "statement.git_sha"),
        ({"build_time": "yesterday"}, "statement.build_time"),
        ({"compose_hash": "22" * 31}, "statement.compose_hash"),
        ({"eat_nonce": "zz" * 32}, "statement.eat_nonce"),
        ({"instance_id": "55" * 19}, "statement.instance_id"),
        ({"signup_count": -1}, "statement.signup_count"),
        ({"signup_count": True}, "statement.signup_count"),
        ({"issued_at": "now"}, "statement.issued_at"),
        ({"health": None}, "statement.health"),
        ({"tls_spki_sha256": ""}, "statement.tls_spki_sha256"),
    ],
)
def test_anything_else_is_refused_with_its_place(changes: dict[str, object], where: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_statement(text(**changes))
    assert caught.value.where == where


def test_report_data_is_over_the_exact_bytes() -> None:
    spaced = json.dumps(MEMBERS)
    assert expected_report_data(text()) != expected_report_data(spaced)
    assert expected_report_data("x") == hashlib.sha512(b"toy-example/attestation/v1:x").digest()


@given(st.binary(min_size=32, max_size=32), st.integers(0, 1000), st.text("abc/:.", max_size=20))
def test_a_nonce_is_derived_from_session_index_and_url(session: bytes, index: int, url: str) -> None:
    expected = hashlib.sha256(session + index.to_bytes(4, "big") + url.encode()).digest()
    assert challenge_for(session, index, url).nonce == expected
    assert challenge_for(session, index + 1, url).nonce != expected


def test_a_short_session_is_a_bug() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        challenge_for(b"", 0, "http://localhost")


def strictly(given_text: str) -> statement.Statement | str:
    try:
        return statement._member_by_member(given_text)
    except Malformed as error:
        return error.what


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "version": st.sampled_from(["1.2.0-rc.1+5", "1.2.03", "0.0.0", "1." + "9" * 98 + ".0", "1.2.0\n"]),
            "environment": st.text(max_size=101),
            "health": st.sampled_from(["", "a" * 200, "a" * 201, '"', "\\", "\x7f", "\u00e9"]),
            "instance_id": st.sampled_from(["", "5A" * 20, "55" * 19, "5" * 41]),
            "issued_at": st.sampled_from([0, 253402300799, 253402300800, 999999999999, -1]),
            "signup_count": st.integers(-1, 1 << 64),
            "tls_spki_sha256": st.sampled_from(["66" * 32, "6" * 63, ""]),
            "build_time": st.sampled_from(["2026-11-23T12:00:00Z", "2026-11-23 12:00:00Z"]),
        },
    ),
    st.booleans(),
)
def test_the_form_that_is_served_is_read_as_any_other(changes: dict[str, object], compact: bool) -> None:
    given_text = text(**changes) if compact else json.dumps({**MEMBERS, **changes})
    read = statement._as_served(given_text)
    assert read is None or read == strictly(given_text)


@given(st.integers(min_value=0), st.characters(max_codepoint=0x2FF))
def test_one_character_changed_is_read_as_strictly(index: int, character: str) -> None:
    whole = text(tls_spki_sha256="66" * 32)
    index %= len(whole)
    changed = whole[:index] + character + whole[index + 1 :]
    read = statement._as_served(changed)
    assert read is None or read == strictly(changed)


def test_what_the_app_serves_has_that_form() -> None:
    assert statement._as_served(text()) == statement._member_by_member(text())
    assert statement._as_served(text(tls_spki_sha256="6a" * 32, instance_id="")) is not None
    assert statement._as_served(text() + " ") is None
