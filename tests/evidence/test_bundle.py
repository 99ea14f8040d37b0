"""A bundle keeps every byte, and is read strictly."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.dcap.collateral import Collateral
from twinproof.errors import EvidenceError, Malformed
from twinproof.evidence.bundle import SCHEMA, bundle_to_json, parse_bundle
from twinproof.evidence.evidence import Evidence, Origin
from twinproof.evidence.nonce import challenge_for

COLLATERAL = Collateral(
    pck_crl_issuer_chain="chain",
    root_ca_crl=b"\x30\x01",
    pck_crl=b"\x30\x02",
    tcb_info_issuer_chain="chain\n",
    tcb_info='{"id":"TDX"}',
    tcb_info_signature=bytes(64),
    qe_identity_issuer_chain="chain",
    qe_identity='{"id":"TD_QE"}',
    qe_identity_signature=bytes(64),
)
TEXTS = st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=50))


@given(
    quote=st.binary(max_size=100),
    event_log=TEXTS,
    app_compose=TEXTS,
    statement=TEXTS,
    fetched_at=st.one_of(st.none(), st.integers(0, 1 << 40)),
    session=st.binary(min_size=32, max_size=32),
)
def test_a_bundle_round_trips_byte_for_byte(  # noqa: PLR0917  (hypothesis passes by name)
    quote: bytes,
    event_log: str | None,
    app_compose: str | None,
    statement: str | None,
    fetched_at: int | None,
    session: bytes,
) -> None:
    evidence = Evidence(
        source="https://prod9.example",
        origin=Origin.TOY_EXAMPLE,
        quote=quote,
        event_log=event_log,
        app_compose=app_compose,
        statement=statement,
        fetched_at=fetched_at,
        challenge=challenge_for(session, 1, "https://prod9.example"),
        tls_certificate=b"\x30",
        collateral=COLLATERAL,
    )
    text = bundle_to_json(evidence)
    assert parse_bundle(text) == evidence
    assert bundle_to_json(parse_bundle(text.encode())) == text
    assert text.isascii()


def bundle(**changes: object) -> str:
    members: dict[str, object] = {"schema": SCHEMA, "source": "x", "origin": "quote", "quote": "00"}
    return json.dumps({name: value for name, value in {**members, **changes}.items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": "twinproof/evidence/v2"}, "unknown bundle schema"),
        ({"extra": 1}, "unknown member"),
        ({"origin": "elsewhere"}, "unknown origin"),
        ({"quote": None}, "exactly one member"),
        ({"attestation": "00"}, "exactly one member"),
        ({"quote": "0"}, "not hex text"),
        ({"fetched_at": -1}, "out of range"),
        ({"fetched_at": "now"}, "wrong type"),
        ({"challenge": {}}, "missing member"),
        ({"challenge": {"nonce": "00", "session": "00", "index": 0, "url": ""}}, "wrong length"),
        ({"collateral": {}}, "missing member"),
        ({"collateral": {"extra": ""}}, "unknown member"),
        ({"event_log": 1}, "wrong type"),
        ({"statement": None, "source": 1}, "wrong type"),
    ],
)
def test_a_bundle_with_a_defect_is_malformed(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse_bundle(bundle(**changes))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_bundle_or_malformed(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_bundle(data)
