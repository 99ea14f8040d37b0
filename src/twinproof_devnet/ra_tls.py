"""Certificates of dstack guests: leaf, app CA, KMS root CA; a leaf may carry the quote over its own key (RA-TLS).

Extensions under 1.3.6.1.4.1.62397.1, each a DER OCTET STRING inside the value: .1 quote and .2 event log (before
0.5.6), .8 versioned attestation, .3 app id, .4 usage, .9 app info.
report_data = SHA-512("ratls-cert:" || DER public key).
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from twinproof_devnet.certificate import Issued, moment, new_key
from twinproof_devnet.der import octet_string

__all__ = ["LeafRequest", "app_ca", "issue_leaf", "kms_root_ca", "report_data"]

ARC = "1.3.6.1.4.1.62397.1"
_TEN_YEARS = 3650 * 86_400
_USAGE = "4"


@dataclass(frozen=True, slots=True)
class LeafRequest:
    """Times are unix seconds. `attached` maps the last number of the arc to the value of that extension."""

    key: ec.EllipticCurvePrivateKey
    subject: str
    not_before: int
    not_after: int
    alt_names: tuple[str, ...] = ()
    server_auth: bool = True
    client_auth: bool = False
    attached: tuple[tuple[str, bytes], ...] = ()


def report_data(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The 64 bytes that bind a quote to this key."""
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha512(b"ratls-cert:" + spki).digest()


def kms_root_ca(at: int) -> Issued:
    return _ca("Dstack KMS CA", new_key(), None, at, 1)


def app_ca(issuer: Issued | None, key: ec.EllipticCurvePrivateKey, at: int) -> Issued:
    """By the KMS, or self-signed without one."""
    return _ca("Dstack App CA" if issuer else "App Root Cert", key, issuer, at, 0)


def _name(common_name: str) -> x509.Name:
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Dstack")]
    return x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else names)


def _ca(name: str, key: ec.EllipticCurvePrivateKey, issuer: Issued | None, at: int, path_length: int) -> Issued:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = _builder(_name(name), key, issuer, at - 86_400, at - 86_400 + _TEN_YEARS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    builder = builder.add_extension(usage, critical=True)
    return Issued(builder.sign(issuer.key if issuer else key, SHA256()), key)


def issue_leaf(request: LeafRequest, issuer: Issued) -> Issued:
    """A TLS certificate for the request's key."""
    builder = _builder(_name(request.subject), request.key, issuer, request.not_before, request.not_after)
    if request.alt_names:
        names = x509.SubjectAlternativeName([_general_name(name) for name in request.alt_names])
        builder = builder.add_extension(names, critical=False)
    usages = [ExtendedKeyUsageOID.SERVER_AUTH] * request.server_auth + [ExtendedKeyUsageOID.CLIENT_AUTH] * (
        request.client_auth
    )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    for number, value in (*request.attached, (_USAGE, b"app:custom")):
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{ARC}.{number}"), octet_string(value))
        builder = builder.add_extension(extension, critical=False)
    return Issued(builder.sign(issuer.key, SHA256()), request.key)


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: Issued | None, not_before: int, not_after: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment(not_before))
        .not_valid_after(max(moment(not_after), moment(not_before) + timedelta(seconds=1)))
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
