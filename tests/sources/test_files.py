"""Files of every kind are told apart, read strictly, and written whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import EvidenceError, Malformed, UsageError
from twinproof.evidence.bundle import bundle_to_json
from twinproof.evidence.evidence import Evidence, Origin
from twinproof.sources.files import evidence_from_bytes, load_evidence, read_file, save_bundle

QUOTE = b"\x04\x00" + bytes(50)


@pytest.mark.parametrize(
    ("data", "origin"),
    [
        (QUOTE, Origin.QUOTE),
        (QUOTE.hex().encode(), Origin.QUOTE),
        (b"0x" + QUOTE.hex().upper().encode() + b"\n", Origin.QUOTE),
        (b"\x00\x00", Origin.ATTESTATION),
        (b"\x83", Origin.ATTESTATION),
        (b"\xde\x00", Origin.ATTESTATION),
        (json.dumps({"quote": QUOTE.hex(), "event_log": "[]"}).encode(), Origin.GET_QUOTE),
        (b' \n{"attestation": "8300"}', Origin.ATTESTATION),
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
    assert load_evidence(str(path)) == evidence("https://prod9.example:8443/app")


def test_saving_never_replaces_other_content(tmp_path: Path) -> None:
    first = save_bundle(str(tmp_path), evidence("https://prod9"))
    second = save_bundle(str(tmp_path), evidence("https://prod9", QUOTE + b"x"))
    again = save_bundle(str(tmp_path), evidence("https://prod9"))
    assert first == again != second
    assert len(list(tmp_path.iterdir())) == 2


def test_a_hostile_source_cannot_choose_where_its_bundle_goes(tmp_path: Path) -> None:
    path = save_bundle(str(tmp_path / "d"), evidence("https://x/../../../../etc/passwd"))
    assert path.parent == tmp_path / "d"


def test_a_directory_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="cannot write"):
        save_bundle(str(tmp_path / "file"), evidence("https://x"))
