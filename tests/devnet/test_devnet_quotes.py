"""Devnet quotes are what Intel's formats say: read here by offsets of our own, signatures checked by cryptography."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from twinproof_devnet.boot import Boot
from twinproof_devnet.certificate import new_key
from twinproof_devnet.host import Tampering, TdxHost
from twinproof_devnet.pki import Pki

AT = 1_800_000_000
PKI = Pki.create(AT)
HOST = TdxHost.create(PKI, AT)
TD = Boot().measurements
REPORT_DATA = bytes(range(64))

FORMS = [(4, "TD1.0", 48, 584), (5, "TD1.0", 54, 584), (5, "TD1.5", 54, 648), (5, "TD1.5ex", 54, 885)]


@dataclass(frozen=True)
class Read:
    """The parts of a quote, told apart by their lengths alone."""

    signed: bytes
    signature: bytes
    key: bytes
    qe_report: bytes
    qe_signature: bytes
    auth: bytes
    kind: int
    certificates: bytes


def read(quote: bytes, signed_size: int, *, outer: bool = True) -> Read:
    (size,) = struct.unpack_from("<I", quote, signed_size)
    data = quote[signed_size + 4 :]
    assert len(data) == size
    rest = data[128:]
    if outer:
        kind, length = struct.unpack_from("<HI", rest)
        assert (kind, length) == (6, len(rest) - 6)
        rest = rest[6:]
    (auth_size,) = struct.unpack_from("<H", rest, 448)
    tail = rest[450 + auth_size :]
    kind, length = struct.unpack_from("<HI", tail)
    assert length == len(tail) - 6
    auth = rest[450 : 450 + auth_size]
    return Read(quote[:signed_size], data[:64], data[64:128], rest[:384], rest[384:448], auth, kind, tail[6:])


def verify(key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes) -> None:
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    key.verify(encode_dss_signature(r, s), data, ec.ECDSA(SHA256()))


def pck_key(parts: Read) -> ec.EllipticCurvePublicKey:
    key = x509.load_pem_x509_certificates(parts.certificates.rstrip(b"\x00"))[0].public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def attestation_key(parts: Read) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + parts.key)


@pytest.mark.parametrize(("version", "body", "start", "size"), FORMS)
def test_every_form_is_signed_over_its_header_and_report(version: int, body: str, start: int, size: int) -> None:
    quote = HOST.quote(TD, REPORT_DATA, version, body=body)
    parts = read(quote, start + size)
    verify(attestation_key(parts), parts.signature, parts.signed)
    verify(pck_key(parts), parts.qe_signature, parts.qe_report)
    assert struct.unpack_from("<HHI", quote) == (version, 2, 0x81)
    assert quote[12:28].hex() == "939a7233f79c4ca9940a0db3957f0607"
    assert parts.kind == 5
    assert parts.certificates.endswith(b"-----END CERTIFICATE-----\n\x00")


@pytest.mark.parametrize(("version", "body", "start", "size"), FORMS)
def test_registers_lie_where_intel_puts_them(version: int, body: str, start: int, size: int) -> None:
    report = HOST.quote(TD, REPORT_DATA, version, body=body)[start : start + size]
    assert report[0:16] == HOST.module.tee_tcb_svn
    assert report[120:128].hex() == "0000001000000000"  # SEPT_VE_DISABLE
    assert report[128:136].hex() == "e702060000000000"
    assert report[136:184] == TD.mrtd
    assert report[184:232] == TD.mr_config_id
    assert (report[328:376], report[376:424]) == (TD.rtmr0, TD.rtmr1)
    assert (report[424:472], report[472:520]) == (TD.rtmr2, TD.rtmr3)
    assert report[520:584] == REPORT_DATA


@pytest.mark.parametrize(("body", "kind", "size"), [("TD1.0", 2, 584), ("TD1.5", 3, 648), ("TD1.5ex", 4, 885)])
def test_a_version_5_quote_says_which_body_it_has(body: str, kind: int, size: int) -> None:
    assert struct.unpack_from("<HI", HOST.quote(TD, REPORT_DATA, 5, body=body), 48) == (kind, size)


def test_the_quoting_enclave_names_the_attestation_key() -> None:
    parts = read(HOST.quote(TD, REPORT_DATA), 632)
    bound = hashlib.sha256(parts.key + parts.auth).digest()
    assert parts.qe_report[320:384] == bound + bytes(32)
    assert parts.auth == bytes(range(32))


def test_an_sgx_quote_has_no_outer_certification_data() -> None:
    quote = HOST.sgx_quote(HOST.enclave(REPORT_DATA))
    parts = read(quote, 432, outer=False)
    verify(attestation_key(parts), parts.signature, parts.signed)
    verify(pck_key(parts), parts.qe_signature, parts.qe_report)
    assert struct.unpack_from("<HHI", quote) == (3, 2, 0)
    assert quote[48 + 320 : 432] == REPORT_DATA


def test_every_lie_about_a_signature_breaks_it() -> None:
    other = new_key()
    quote_lie = read(HOST.quote(TD, REPORT_DATA, tampering=Tampering(quote_signed_by=other)), 632)
    with pytest.raises(InvalidSignature):
        verify(attestation_key(quote_lie), quote_lie.signature, quote_lie.signed)
    qe_lie = read(HOST.quote(TD, REPORT_DATA, tampering=Tampering(qe_report_signed_by=other)), 632)
    with pytest.raises(InvalidSignature):
        verify(pck_key(qe_lie), qe_lie.qe_signature, qe_lie.qe_report)


def test_a_machine_is_the_same_machine_whenever_it_is_named() -> None:
    again = TdxHost.create(Pki.create(AT), AT)
    assert again.device_id == HOST.device_id == hashlib.sha256(HOST.machine.ppid).digest()
    assert again.pck.key.private_numbers() != HOST.pck.key.private_numbers()
    assert TdxHost.create(PKI, AT, name="prod7").device_id != HOST.device_id
