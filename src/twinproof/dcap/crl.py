"""Certificate revocation lists: both are required, signed by the CA whose certificates they list, and in their window.

Source: Intel PCK CRL profile 1.5 section 3; RFC 5280. `thisUpdate <= at < nextUpdate`.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID, SignatureAlgorithmOID

from twinproof.dcap.certificates import Certificate
from twinproof.dcap.timestamps import check_window
from twinproof.errors import Forged, Malformed, Revoked, Untrusted
from twinproof.wire import shown

__all__ = ["Crl", "check_crl", "check_crl_signature", "check_not_revoked", "load_crl"]

MAX_CRL_BYTES = 1 << 20
_REQUIRED = {ExtensionOID.CRL_NUMBER: "cRLNumber", ExtensionOID.AUTHORITY_KEY_IDENTIFIER: "authorityKeyIdentifier"}


@dataclass(frozen=True, slots=True)
class Crl:
    """A parsed list. Times are unix seconds, UTC."""

    der: bytes
    issuer_der: bytes
    authority_key_id: bytes
    this_update: int
    next_update: int
    revoked: frozenset[int]
    parsed: x509.CertificateRevocationList


def load_crl(der: bytes, where: str) -> Crl:
    """Parse a DER CRL. Raises Malformed; a list without nextUpdate is one, as it could be replayed for ever."""
    if len(der) > MAX_CRL_BYTES:
        raise Malformed("CRL too large", where=where, got=f"{len(der)} bytes", expected=f"at most {MAX_CRL_BYTES}")
    try:
        crl = x509.load_der_x509_crl(der)
        extensions = {extension.oid: extension for extension in crl.extensions}
        next_update = crl.next_update_utc
        revoked = frozenset(entry.serial_number for entry in crl)
        algorithm = crl.signature_algorithm_oid
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise Malformed("not a readable CRL", where=where, got=shown(str(error), 60)) from error
    if next_update is None:
        raise Malformed("a CRL without nextUpdate", where=where)
    for oid, name in _REQUIRED.items():
        if oid not in extensions:
            raise Malformed(f"a CRL without {name}", where=where)
    for oid, extension in extensions.items():
        if extension.critical and oid not in _REQUIRED:  # a delta or indirect CRL: it does not list what it seems to
            raise Untrusted("a critical CRL extension", where=where, got=oid.dotted_string)
    if algorithm != SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        raise Untrusted("signed by another algorithm", where=where, expected="ecdsa-with-SHA256")
    authority = extensions[ExtensionOID.AUTHORITY_KEY_IDENTIFIER].value
    key_id = authority.key_identifier if isinstance(authority, x509.AuthorityKeyIdentifier) else None
    return Crl(
        der=der,
        issuer_der=crl.issuer.public_bytes(),
        authority_key_id=key_id or b"",
        this_update=int(crl.last_update_utc.timestamp()),
        next_update=int(next_update.timestamp()),
        revoked=revoked,
        parsed=crl,
    )


def check_crl_signature(crl: Crl, issuer: Certificate, where: str) -> None:
    """The list is signed by the key of this CA. Raises Forged; depends on bytes alone."""
    if not crl.parsed.is_signature_valid(issuer.key):
        raise Forged("the CRL's signature does not verify", where=where)


def check_crl(crl: Crl, issuer: Certificate, where: str, *, at: int) -> None:
    """The list is about this CA's certificates, at this time. Raises Untrusted, Stale."""
    if crl.issuer_der != issuer.subject_der or crl.authority_key_id != issuer.subject_key_id:
        raise Untrusted("the CRL of another CA", where=where, expected=issuer.name)
    check_window(where, crl.this_update, crl.next_update, at, end_included=False)


def check_not_revoked(certificate: Certificate, crl: Crl, where: str) -> None:
    """Raises Revoked."""
    if certificate.serial in crl.revoked:
        raise Revoked(f"{certificate.name} is revoked", where=where, got=f"serial {certificate.serial:x}")
