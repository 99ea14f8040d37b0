"""Certificate revocation lists: both are required, signed by the CA whose certificates they list, and in their window.

Source: Intel PCK CRL profile 1.5 section 3; RFC 5280. `thisUpdate <= at < nextUpdate`.
"""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtensionOID, SignatureAlgorithmOID

from twinproof.dcap.certificates import FIRST_YEAR, UNREADABLE, Certificate
from twinproof.dcap.der import DerReader
from twinproof.errors import Forged, Malformed, Revoked, Untrusted
from twinproof.wire import shown

__all__ = ["Crl", "check_crl", "check_crl_signature", "check_not_revoked", "load_crl"]

MAX_CRL_BYTES = 1 << 20
_REQUIRED = {ExtensionOID.CRL_NUMBER: "cRLNumber", ExtensionOID.AUTHORITY_KEY_IDENTIFIER: "authorityKeyIdentifier"}
_SCOPED = (ExtensionOID.DELTA_CRL_INDICATOR, ExtensionOID.ISSUING_DISTRIBUTION_POINT)
_CERTIFICATE_ISSUER = bytes.fromhex("0603551d1d")  # an entry for another CA's certificate: OID 2.5.29.29, DER
_ALGORITHM = ECDSA(SHA256())


class _Serials:
    """The serial numbers on a list. The first question is the library's to answer, entry by entry; the second one
    shows that this list will be asked often, and makes a set of it.
    """

    __slots__ = ("_all", "_asked", "_list")

    def __init__(self, parsed: x509.CertificateRevocationList) -> None:
        self._list, self._asked = parsed, False
        self._all: frozenset[int] | None = None

    @property
    def listed(self) -> Container[int]:
        """What answers whether a serial number is on the list."""
        return self if self._all is None else self._all

    def __contains__(self, serial: object) -> bool:
        if self._all is not None:
            return serial in self._all
        if not isinstance(serial, int):
            return False
        if self._asked:
            self._all = frozenset(entry.serial_number for entry in self._list)
        self._asked = True
        return self._list.get_revoked_certificate_by_serial_number(serial) is not None


class Crl(NamedTuple):
    """A parsed list. The issuer's name is DER, times are unix seconds, UTC."""

    der: bytes
    issuer: bytes
    authority_key_id: bytes
    this_update: int
    next_update: int
    signed: bytes
    signature: bytes
    serials: _Serials


def load_crl(der: bytes, where: str) -> Crl:
    """Parse a DER CRL. Raises Malformed, Untrusted. Without nextUpdate it could be replayed for ever: Malformed."""
    if len(der) > MAX_CRL_BYTES:
        raise Malformed("CRL too large", where=where, got=f"{len(der)} bytes", expected=f"at most {MAX_CRL_BYTES}")
    try:
        return _read(x509.load_der_x509_crl(der), der, where)
    except UNREADABLE as error:
        raise Malformed("not a readable CRL", where=where, got=shown(str(error), 60)) from error


def _read(crl: x509.CertificateRevocationList, der: bytes, where: str) -> Crl:
    next_update = crl.next_update_utc
    if next_update is None:
        raise Malformed("a CRL without nextUpdate", where=where)
    this_update = crl.last_update_utc
    if this_update.year < FIRST_YEAR:
        raise Malformed("a date before 1970", where=where, got=this_update.isoformat())
    if crl.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        raise Untrusted("signed by another algorithm", where=where, expected="ecdsa-with-SHA256")
    if _CERTIFICATE_ISSUER in der:
        raise Untrusted("a CRL with entries of other CAs", where=where, got="certificateIssuer")
    authority_key_id = _authority_key_id(crl, where)
    outer = DerReader(der, where).sequence("CRL")
    signed = outer.element("signed part")  # as received, not encoded anew
    outer.element("signature algorithm")
    outer.whole_bytes("signature")
    parts = DerReader(signed, where).sequence("signed part")
    for what in ("version", "signature algorithm"):
        parts.element(what)
    return Crl(
        der=der,
        issuer=parts.element("issuer"),
        authority_key_id=authority_key_id,
        this_update=int(this_update.timestamp()),
        next_update=int(next_update.timestamp()),
        signed=signed,
        signature=crl.signature,
        serials=_Serials(crl),
    )


def _authority_key_id(crl: x509.CertificateRevocationList, where: str) -> bytes:
    """Key id of the CA; the list is whole, and says what it is. Raises Malformed, Untrusted."""
    extensions = {extension.oid: extension for extension in crl.extensions}
    for oid, name in _REQUIRED.items():
        if oid not in extensions:
            raise Malformed(f"a CRL without {name}", where=where)
    for oid in _SCOPED:
        if oid in extensions:
            raise Untrusted("a CRL of a part of the certificates", where=where, got=oid.dotted_string)
    for oid, extension in extensions.items():
        if extension.critical and oid not in _REQUIRED:
            raise Untrusted("a critical CRL extension", where=where, got=oid.dotted_string)
    authority = extensions[ExtensionOID.AUTHORITY_KEY_IDENTIFIER].value
    key_id = authority.key_identifier if isinstance(authority, x509.AuthorityKeyIdentifier) else None
    return key_id or b""


def check_crl(crl: Crl, issuer: Certificate, where: str) -> None:
    """The list is about this CA's certificates. Raises Untrusted."""
    if crl.issuer != issuer.subject or crl.authority_key_id != issuer.subject_key_id:
        raise Untrusted("the CRL of another CA", where=where, expected=issuer.name)


def check_crl_signature(crl: Crl, issuer: Certificate, where: str) -> None:
    """The list is signed by the key of this CA. Raises Forged."""
    try:
        issuer.key.verify(crl.signature, crl.signed, _ALGORITHM)
    except InvalidSignature as error:
        raise Forged("the CRL's signature does not verify", where=where) from error


def check_not_revoked(crl: Crl, where: str, *certificates: Certificate) -> None:
    """Raises Revoked for the first that is; whatever the reason of an entry is, being on the list counts."""
    listed = crl.serials.listed
    for certificate in certificates:
        if certificate.serial in listed:
            raise Revoked(f"{certificate.name} is revoked", where=where, got=f"serial {certificate.serial:x}")
