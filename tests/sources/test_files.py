"""Files of every kind are told apart, read strictly, and written whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import EvidenceError, Malformed, UsageError
from twinproof.evidence.bundle import bundle_to_json
from twinproof.evidence.evidence import Evidence, Origin
from twinproof.sources.files import evidence_from_bytes, load_evidence, read_file, save_bundle

QUOTE = b"\x04\x00" + bytes(50)
TOY_ANSWER = {
    "schema": "toy-example/attestation/v1",
    "statement": '{"a":"\u00e9"}',
    "quote": QUOTE.hex(),
    "event_log": "[]",
    "vm_config": "{}",
    "app_compose": "{}\n",
}


@pytest.mark.parametrize(
    ("data", "origin"),
    [
        (QUOTE, Origin.QUOTE),
        (QUOTE.hex().encode(), Origin.QUOTE),
        (b"  " + QUOTE.hex(" ", 16).replace(" ", "\r\n").encode(), Origin.QUOTE),
        (b"0X" + QUOTE.hex().encode(), Origin.QUOTE),
        (b"0x" + QUOTE.hex().upper().encode() + b"\n", Origin.QUOTE),
        (b"\x00\x00", Origin.ATTESTATION),
        (b"\x83", Origin.ATTESTATION),
        (b"\xde\x00", Origin.ATTESTATION),
        (json.dumps({"quote": QUOTE.hex(), "event_log": "[]"}).encode(), Origin.GET_QUOTE),
        (b' \n{"attestation": "8300"}', Origin.ATTESTATION),
        (json.dumps(TOY_ANSWER).encode(), Origin.TOY_EXAMPLE),
        (bundle_to_json(Evidence(source="x", origin=Origin.RA_TLS, ra_tls_certificate=b"0")).encode(), Origin.RA_TLS),
    ],
)
def test_the_kind_of_a_file_is_told_by_its_first_bytes(data: bytes, origin: Origin) -> None:
    assert evidence_from_bytes(data, "file").origin is origin


def test_hex_and_binary_are_the_same_quote() -> None:
    assert evidence_from_bytes(QUOTE, "a").quote == evidence_from_bytes(QUOTE.hex().encode(), "a").quote == QUOTE


@given(st.binary(max_size=200))
def test_any_bytes_are_evidence_or_an_error_of_ours(data: bytes) -> None:
    try:
        evidence_from_bytes(data, "file")
    except EvidenceError:
        return
    assert (
        data.lstrip()[:1] in b"{"
        or data[:1] in b"\x00\x03\x04\x05\xde\xdf"
        or data[0] >= 0x80
        or data.strip().isalnum()
    )


def test_an_answer_kept_with_curl_is_evidence_without_a_challenge() -> None:
    kept = evidence_from_bytes(json.dumps(TOY_ANSWER).encode(), "answer.json")
    assert (kept.statement, kept.app_compose, kept.challenge) == ('{"a":"\u00e9"}', "{}\n", None)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"schema": "toy-example/attestation/v2"}', "unknown schema"),
        (b'{"schema": 4}', "unknown schema"),
        (b'{"schema": "toy-example/attestation/v1"}', "missing member"),
        (json.dumps({**TOY_ANSWER, "more": 1}).encode(), "unknown member"),
        (b'{"tcb_info": "", "app_cert": "", "app_id": ""}', "no certificate with a quote"),
        (b'{"tcb_info": 1, "app_cert": "", "app_id": ""}', "wrong type"),
        (b'{"tcb_info": "", "tcb_info": ""}', "duplicate JSON member"),
        (b"0400f", "not hex text"),
        (b"4", "not hex text"),
    ],
)
def test_a_file_of_a_known_kind_with_a_defect_says_which(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason) as caught:
        evidence_from_bytes(data, "file")
    assert "file" in caught.value.where


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b" <html>", "HTML page"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"\xff\xfe{\x00}\x00", "byte order mark"),
    ],
)
def test_a_mistake_that_people_make_gets_a_hint(data: bytes, hint: str) -> None:
    with pytest.raises(Malformed, match="not evidence of a known kind") as caught:
        evidence_from_bytes(data, "file")
    assert hint in caught.value.hint


@given(st.sampled_from(["", "0x"]), st.binary(min_size=1, max_size=100), st.sampled_from(["\n", " ", "\r\n", "\t"]))
def test_hex_says_what_the_bytes_say(prefix: str, data: bytes, space: str) -> None:
    text = (space + prefix + data.hex(" ", 8).replace(" ", space) + space).encode()
    try:
        direct: object = evidence_from_bytes(data, "file")
    except Malformed as error:
        direct = error.what
    try:
        through_hex: object = evidence_from_bytes(text, "file")
    except Malformed as error:
        through_hex = error.what
    if data[:1] in b"\x00\x03\x04\x05" or data[0] >= 0x80:  # other bytes may be text themselves
        assert through_hex == direct


def test_undecidable_bytes_name_what_was_expected() -> None:
    with pytest.raises(Malformed, match="not evidence of a known kind"):
        evidence_from_bytes(b"\x01\x02", "file")


@pytest.mark.parametrize("name", ["/nonexistent", "/", "\x00"])
def test_a_file_that_cannot_be_read_is_the_users_to_mend(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_evidence(name)


def test_a_file_over_its_cap_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(11))
    with pytest.raises(UsageError, match="too large"):
        read_file(str(path), "file", max_bytes=10)


def evidence(source: str, quote: bytes = QUOTE) -> Evidence:
    return Evidence(source=source, origin=Origin.QUOTE, quote=quote)


def test_a_saved_bundle_is_the_evidence(tmp_path: Path) -> None:
    path = save_bundle(str(tmp_path / "new"), evidence("https://prod9.example:8443/app"))
    assert path.name == "prod9.example-8443-app.json"
    assert load_evidence(str(path)) == replace(evidence("https://prod9.example:8443/app"), stored=True)


def test_saving_never_replaces_other_content(tmp_path: Path) -> None:
    first = save_bundle(str(tmp_path), evidence("https://prod9"))
    second = save_bundle(str(tmp_path), evidence("https://prod9", QUOTE + b"x"))
    again = save_bundle(str(tmp_path), evidence("https://prod9"))
    assert first == again != second
    assert len(list(tmp_path.iterdir())) == 2


def test_a_hostile_source_cannot_choose_where_its_bundle_goes(tmp_path: Path) -> None:
    path = save_bundle(str(tmp_path / "d"), evidence("https://x/../../../../etc/passwd"))
    assert path.parent == tmp_path / "d"


@pytest.mark.parametrize("source", ["", "-", "..", "https://", "https://" + "x" * 2000, "/etc/passwd", "a/b c"])
def test_any_source_gives_a_name_that_can_be_written(tmp_path: Path, source: str) -> None:
    path = save_bundle(str(tmp_path), evidence(source))
    assert path.parent == tmp_path
    assert not path.name.startswith(".")
    assert load_evidence(str(path)).source == source[:2048]


def test_a_file_with_an_odd_name_can_be_saved_and_read_again(tmp_path: Path) -> None:
    (tmp_path / "a\n\x1b[31mb").write_bytes(QUOTE)
    found = load_evidence(str(tmp_path / "a\n\x1b[31mb"))
    assert found.source.isprintable()
    assert load_evidence(str(save_bundle(str(tmp_path), found))) == found


def test_what_is_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "prod9.json").mkdir()
    (tmp_path / "prod9-2.json").symlink_to(tmp_path / "nowhere")
    assert save_bundle(str(tmp_path), evidence("https://prod9")).name == "prod9-3.json"


def test_a_directory_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="cannot write"):
        save_bundle(str(tmp_path / "file"), evidence("https://x"))
