"""RA-TLS certificates: the quote is taken out, the issuer's word is not believed."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from small_boot import VM_CONFIG, Boot, v0_attestation, v1_attestation, v1_members
from twinproof.dstack.event_log import parse_event_log
from twinproof.dstack.ra_tls import RaTlsEvidence, expected_report_data, read_ra_tls_certificate
from twinproof.errors import Contradiction, Malformed

QUOTE = b"\x04\x00quote"
ARC = "1.3.6.1.4.1.62397.1"
SMALL = Boot(firmware=[])
LOG = SMALL.log().encode()


@cache
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def octets(data: bytes) -> bytes:
    if len(data) < 0x80:
        return b"\x04" + bytes([len(data)]) + data
    size = len(data).to_bytes((len(data).bit_length() + 7) // 8, "big")
    return b"\x04" + bytes([0x80 | len(size)]) + size + data


def certificate(values: dict[str, bytes], *, raw: bool = False) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "app")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key().public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
    )
    for last, value in values.items():
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{ARC}.{last}"), value if raw else octets(value))
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key(), hashes.SHA256()).public_bytes(Encoding.DER)


def read(values: dict[str, bytes]) -> RaTlsEvidence:
    return read_ra_tls_certificate(certificate(values))


def test_the_older_form_holds_quote_and_log() -> None:
    evidence = read({"1": QUOTE, "2": LOG, "3": bytes(20), "4": b"app:custom"})
    assert (evidence.quote, evidence.vm_config, evidence.attestation) == (QUOTE, None, None)
    assert evidence.event_log == parse_event_log(SMALL.log())
    assert (evidence.app_id, evidence.usage, evidence.app_info) == (bytes(20), "app:custom", None)


def test_the_newer_form_holds_a_versioned_attestation() -> None:
    evidence = read({"8": v0_attestation(SMALL, QUOTE)})
    assert (evidence.quote, evidence.vm_config) == (QUOTE, VM_CONFIG)
    assert evidence.attestation is not None
    assert evidence.event_log == parse_event_log(SMALL.log())


def test_the_quote_must_sign_the_certificates_own_key() -> None:
    evidence = read({"1": QUOTE, "2": LOG})
    spki = key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert evidence.spki == spki
    assert evidence.report_data == expected_report_data(spki) == hashlib.sha512(b"ratls-cert:" + spki).digest()


def test_a_compressed_log_is_unpacked() -> None:
    assert read({"1": QUOTE, "2": b"ELGZv1" + gzip.compress(LOG)}).event_log == parse_event_log(SMALL.log())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"ELGZv1" + gzip.compress(b" " * (16 * 1024 + 1), mtime=0), "unpacks to too much"),
        (b"ELGZv1" + gzip.compress(bytes(1 << 24), mtime=0), "unpacks to too much"),
        (b"ELGZv1" + gzip.compress(LOG, mtime=0) + b"x", "does not end"),
        (b"ELGZv1" + gzip.compress(LOG, mtime=0)[:-1], "does not end"),
        (b"ELGZv1", "does not end"),
        (b"ELGZv1 not gzip", "not gzip"),
        (b"\xff", "not UTF-8"),
        (b"{}", "not an array"),
    ],
    ids=["spaces", "zeros", "a tail", "cut short", "nothing", "no gzip", "no text", "no array"],
)
def test_a_bomb_or_a_broken_log_is_malformed(value: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read({"1": QUOTE, "2": value})


def test_a_certificate_without_a_quote_is_no_ra_tls_certificate() -> None:
    with pytest.raises(Malformed, match="no quote"):
        read({"3": bytes(20)})


def test_a_quote_without_its_log_is_refused() -> None:
    with pytest.raises(Malformed, match="without an event log"):
        read({"1": QUOTE})


@pytest.mark.parametrize("older", ["1", "2"])
def test_evidence_in_both_forms_is_malformed_even_when_it_is_the_same(older: str) -> None:
    same = {"1": QUOTE, "2": LOG}[older]
    with pytest.raises(Malformed, match="evidence in two forms"):
        read({older: same, "8": v0_attestation(SMALL, QUOTE)})


def test_an_extension_that_stands_twice_is_malformed() -> None:
    data = certificate({"1": QUOTE, "2": LOG, "3": bytes(20), "5": bytes(20)})
    third, fifth = (x509.ObjectIdentifier(f"{ARC}.{last}") for last in "35")
    assert b"\x06\x0a" + _oid(fifth) in data
    with pytest.raises(Malformed, match="not a readable"):
        read_ra_tls_certificate(data.replace(_oid(fifth), _oid(third)))


def _oid(identifier: x509.ObjectIdentifier) -> bytes:
    """Its DER content: all that differs within the arc is the last byte."""
    return bytes.fromhex("2b0601040183e73d01") + bytes([int(identifier.dotted_string.rpartition(".")[2])])


def test_every_part_of_the_evidence_may_be_compressed_and_nothing_else() -> None:
    def packed(data: bytes) -> bytes:
        return b"ELGZv1" + gzip.compress(data)

    assert read({"1": packed(QUOTE), "2": packed(LOG)}).quote == QUOTE
    assert read({"8": packed(v0_attestation(SMALL, QUOTE))}).quote == QUOTE
    assert read({"1": QUOTE, "2": LOG, "3": packed(b"x")}).app_id == packed(b"x")


def test_a_v1_attestation_is_read_too() -> None:
    evidence = read({"8": v1_attestation(v1_members(SMALL, QUOTE))})
    assert (evidence.quote, evidence.event_log) == (QUOTE, parse_event_log(SMALL.log()))


def test_a_usage_is_short_text() -> None:
    assert read({"1": QUOTE, "2": LOG, "4": b"kms:rpc"}).usage == "kms:rpc"
    for usage, reason in ((b"\xff", "not UTF-8"), (b"x" * 65, "too long")):
        with pytest.raises(Malformed, match=reason):
            read({"1": QUOTE, "2": LOG, "4": usage})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "not an OCTET STRING"),
        (b"\x04", "not an OCTET STRING"),
        (b"\x0c\x01a", "not an OCTET STRING"),
        (b"\x04\x02a", "of another length"),
        (b"\x04\x01ab", "of another length"),
        (b"\x04\x81\x01a", "not DER"),
        (b"\x04\x82\x00\x81" + bytes(0x81), "not DER"),
        (b"\x04\x80a\x00\x00", "not DER"),
        (b"\x04\x85\x00\x00\x00\x00\x01a", "not DER"),
        (b"\x04\x84\xff\xff\xff\xff", "of another length"),
    ],
)
def test_an_extension_that_is_no_der_octet_string_is_malformed(value: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read_ra_tls_certificate(certificate({"1": value}, raw=True))


def test_every_der_length_form_is_read() -> None:
    for size in (0x7F, 0x80, 0xFF, 0x100, 0xFFFF):
        assert read({"1": bytes(size), "2": LOG}).quote == bytes(size)


@given(st.binary(max_size=300))
def test_random_bytes_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_ra_tls_certificate(data)


def test_a_flipped_bit_never_leaves_another_exception() -> None:
    data = certificate({"1": QUOTE, "2": LOG})
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 1 << at % 8
        with contextlib.suppress(Malformed, Contradiction):
            read_ra_tls_certificate(bytes(flipped))


def test_a_serial_number_that_is_not_positive_is_malformed_where_warnings_are_errors() -> None:
    data = certificate({"1": QUOTE, "2": LOG})
    assert data.count(b"\x02\x01\x01") == 1
    with pytest.raises(Malformed, match="not a readable"):
        read_ra_tls_certificate(data.replace(b"\x02\x01\x01", b"\x02\x01\x00"))


def test_a_huge_certificate_is_refused_unread() -> None:
    with pytest.raises(Malformed, match="too large"):
        read_ra_tls_certificate(bytes((1 << 20) + 1))
