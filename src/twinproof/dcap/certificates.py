"""One X.509 certificate of Intel's: the members that are judged, and its exact bytes.

Source: Intel SGX PCK Certificate and CRL Profile Specification 1.5; RFC 5280. Every one of Intel's certificates has the
five extensions that are demanded here.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID

from twinproof.dcap.der import DerReader
from twinproof.dcap.pck import SGX_EXTENSION_OID, PckExtension, parse_pck_extension
from twinproof.errors import Forged, Malformed, Untrusted
from twinproof.wire import shown

__all__ = ["FIRST_YEAR", "UNREADABLE", "Certificate", "check_issued", "exact_parts", "load_certificate"]

FIRST_YEAR = 1970
"""Of anything Intel signs; other verifiers have no number for earlier times."""
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    Warning,  # where the caller turns warnings into errors: the library warns about values it will refuse one day
)
"""Whatever the library raises for bytes that it cannot read."""

_RESTRICTING = (x509.ExtendedKeyUsage, x509.NameConstraints, x509.PolicyConstraints, x509.InhibitAnyPolicy)
"""They limit what a certificate is good for, critical or not (RFC 5280). None of Intel's has one."""
_SGX_OID = x509.ObjectIdentifier(SGX_EXTENSION_OID)
_ALGORITHM = ECDSA(SHA256())
_NAMES = {
    x509.BasicConstraints: "basicConstraints",
    x509.KeyUsage: "keyUsage",
    x509.CRLDistributionPoints: "cRLDistributionPoints",
    x509.AuthorityKeyIdentifier: "authorityKeyIdentifier",
    x509.SubjectKeyIdentifier: "subjectKeyIdentifier",
}

Extension = TypeVar("Extension", bound=x509.ExtensionType)


class Certificate(NamedTuple):
    """What is judged of one certificate, and its exact bytes. Names are DER, times unix seconds, UTC."""

    der: bytes
    subject: bytes
    issuer: bytes
    serial: int
    not_before: int
    not_after: int
    key: EllipticCurvePublicKey
    signed: bytes
    signature: bytes
    ca: bool
    path_length: int | None
    usage: x509.KeyUsage
    subject_key_id: bytes
    authority_key_id: bytes
    pck: PckExtension | None

    @property
    def name(self) -> str:
        """The common name, printable, for messages; empty when there is not exactly one that can be read."""
        try:  # the library reads names when they are asked for, not before
            names = x509.load_der_x509_certificate(self.der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        except UNREADABLE:
            return ""
        return shown(str(names[0].value)) if len(names) == 1 else ""


def load_certificate(der: bytes, where: str) -> Certificate:
    """Parse one certificate: P-256, ecdsa-with-SHA256, five extensions. Raises Malformed, Untrusted."""
    try:
        return _read(x509.load_der_x509_certificate(der), der, where)
    except UNREADABLE as error:
        raise Malformed("not a readable X.509 certificate", where=where, got=shown(str(error), 60)) from error


def _read(certificate: x509.Certificate, der: bytes, where: str) -> Certificate:
    if certificate.version is not x509.Version.v3:
        raise Malformed("not X.509 version 3", where=where, got=certificate.version.name)
    if certificate.serial_number <= 0:  # RFC 5280; a revocation list cannot be asked for it
        raise Malformed("a serial number that is not positive", where=where, got=str(certificate.serial_number))
    if certificate.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        raise Untrusted("signed by another algorithm", where=where, expected="ecdsa-with-SHA256")
    key = certificate.public_key()
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise Untrusted("a key of another kind", where=where, got=type(key).__name__, expected="EC on P-256")
    not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not_before.year < FIRST_YEAR:
        raise Malformed("a date before 1970", where=where, got=not_before.isoformat())
    known, sgx = _extensions(certificate, where)
    constraints = _member(known, x509.BasicConstraints, where)
    signed, issuer, subject = exact_parts(der, where)
    return Certificate(
        der=der,
        subject=subject,
        issuer=issuer,
        serial=certificate.serial_number,
        not_before=int(not_before.timestamp()),
        not_after=int(not_after.timestamp()),
        key=key,
        signed=signed,
        signature=certificate.signature,
        ca=constraints.ca,
        path_length=constraints.path_length,
        usage=_member(known, x509.KeyUsage, where),
        subject_key_id=_member(known, x509.SubjectKeyIdentifier, where).digest,
        authority_key_id=_member(known, x509.AuthorityKeyIdentifier, where).key_identifier or b"",
        pck=None if sgx is None else parse_pck_extension(sgx),
    )


def _extensions(certificate: x509.Certificate, where: str) -> tuple[dict[type, x509.ExtensionType], bytes | None]:
    """The five by their type, and the value of the SGX extension. Raises Untrusted for one that says more."""
    known: dict[type, x509.ExtensionType] = {}
    sgx = None
    for extension in certificate.extensions:
        value = extension.value
        if type(value) in _NAMES:
            known[type(value)] = value
        elif isinstance(value, x509.UnrecognizedExtension) and extension.oid == _SGX_OID:
            sgx = value.value
        elif isinstance(value, _RESTRICTING):
            raise Untrusted("an extension that restricts its use", where=where, got=extension.oid.dotted_string)
        elif extension.critical:
            raise Untrusted("an unknown critical extension", where=where, got=extension.oid.dotted_string)
    _member(known, x509.CRLDistributionPoints, where)
    return known, sgx


def exact_parts(der: bytes, where: str) -> tuple[bytes, bytes, bytes]:
    """The signed part, the issuer and the subject as received: names are compared, and signatures checked, over bytes.

    Raises Malformed. The library has parsed the certificate already; re-encoding its values would compare what it made
    of them.
    """
    outer = DerReader(der, where).sequence("certificate")
    signed = outer.element("signed part")
    _version, _serial, algorithm, issuer, _validity, subject, *_ = (
        DerReader(signed, where).sequence("signed part").elements("signed part")
    )
    if algorithm != outer.element("signature algorithm"):
        raise Malformed("two signature algorithms, one signed and one not", where=where)
    outer.whole_bytes("signature")
    return signed, issuer, subject


def _member(known: dict[type, x509.ExtensionType], kind: type[Extension], where: str) -> Extension:
    value = known.get(kind)
    if not isinstance(value, kind):
        name = _NAMES[kind]
        raise Untrusted(f"no {name} extension", where=where, expected=f"{name}, as in every certificate of Intel's")
    return value


def check_issued(subject: Certificate, issuer: Certificate, where: str) -> None:
    """Name, key id and signature are the issuer's. Raises Untrusted, Forged."""
    if subject.issuer != issuer.subject:
        raise Untrusted("issued by another name", where=where, expected=issuer.name)
    if subject.authority_key_id != issuer.subject_key_id:
        raise Untrusted(
            "issued by another key",
            where=where,
            got=subject.authority_key_id.hex(),
            expected=issuer.subject_key_id.hex(),
        )
    try:
        issuer.key.verify(subject.signature, subject.signed, _ALGORITHM)
    except InvalidSignature as error:
        raise Forged("the certificate's signature does not verify", where=where) from error
