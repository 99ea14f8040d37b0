"""The fixed shapes of Intel's certificates. There is no path building: each certificate has one place and one issuer.

    PCK certificate <- PCK Platform CA | PCK Processor CA <- root          TCB Signing <- root

Source: Intel SGX PCK Certificate and CRL Profile Specification 1.5; RFC 5280. Intel's library checks that
basicConstraints and keyUsage are there; what they say is checked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID, SignatureAlgorithmOID

from twinproof.dcap.pck import SGX_EXTENSION_OID, PckExtension, parse_pck_extension
from twinproof.errors import Forged, Malformed, Untrusted
from twinproof.wire import shown

__all__ = [
    "PCK_CA_NAMES",
    "PCK_NAME",
    "TCB_SIGNING_NAME",
    "Certificate",
    "check_ca",
    "check_end_entity",
    "check_issued",
    "load_certificate",
    "load_pem_chain",
]

PCK_NAME = "Intel SGX PCK Certificate"
PCK_CA_NAMES = {"Intel SGX PCK Platform CA": "platform", "Intel SGX PCK Processor CA": "processor"}
TCB_SIGNING_NAME = "Intel SGX TCB Signing"
MAX_CHAIN = 4
MAX_PEM_BYTES = 16 * 1024
_SGX_OID = x509.ObjectIdentifier(SGX_EXTENSION_OID)

Extension = TypeVar("Extension", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is needed of one certificate, and its exact bytes. Times are unix seconds, UTC."""

    der: bytes
    name: str
    subject: tuple[tuple[str, str], ...]
    subject_der: bytes
    issuer_der: bytes
    serial: int
    not_before: int
    not_after: int
    key: EllipticCurvePublicKey
    spki: bytes
    tbs: bytes
    signature: bytes
    ca: bool
    path_length: int | None
    usage: x509.KeyUsage
    subject_key_id: bytes
    authority_key_id: bytes
    pck: PckExtension | None


def load_pem_chain(pem: bytes, where: str) -> tuple[Certificate, ...]:
    """The certificates of a PEM text in its order, at most four; one NUL at the end is usual. Raises Malformed."""
    if len(pem) > MAX_PEM_BYTES:
        raise Malformed("chain too long", where=where, got=f"{len(pem)} bytes", expected=f"at most {MAX_PEM_BYTES}")
    try:
        loaded = x509.load_pem_x509_certificates(pem.removesuffix(b"\x00"))
        ders = [certificate.public_bytes(Encoding.DER) for certificate in loaded]
    except (ValueError, TypeError) as error:
        raise Malformed("not a PEM certificate chain", where=where, got=shown(pem[:24])) from error
    if len(ders) > MAX_CHAIN:
        raise Malformed("too many certificates", where=where, got=str(len(ders)), expected=f"at most {MAX_CHAIN}")
    return tuple(load_certificate(der, f"{where}[{index}]") for index, der in enumerate(ders))


def load_certificate(der: bytes, where: str) -> Certificate:
    """Parse one certificate with the five extensions that Intel demands of each. Raises Malformed, Untrusted."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        return _read(certificate, der, where)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion) as error:
        raise Malformed("not a readable X.509 certificate", where=where, got=shown(str(error), 60)) from error


def _read(certificate: x509.Certificate, der: bytes, where: str) -> Certificate:
    if certificate.version is not x509.Version.v3:
        raise Malformed("not X.509 version 3", where=where, got=certificate.version.name)
    if certificate.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        raise Untrusted("signed by another algorithm", where=where, expected="ecdsa-with-SHA256")
    key = certificate.public_key()
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise Untrusted("a key of another kind", where=where, got=type(key).__name__, expected="EC on P-256")
    extensions = certificate.extensions
    sgx = None
    for extension in extensions:
        if isinstance(extension.value, x509.UnrecognizedExtension):
            if extension.oid == _SGX_OID:
                sgx = extension.value.value
            elif extension.critical:
                raise Untrusted("an unknown critical extension", where=where, got=extension.oid.dotted_string)
    constraints = _extension(extensions, x509.BasicConstraints, "basicConstraints", where)
    usage = _extension(extensions, x509.KeyUsage, "keyUsage", where)
    _extension(extensions, x509.CRLDistributionPoints, "cRLDistributionPoints", where)
    authority = _extension(extensions, x509.AuthorityKeyIdentifier, "authorityKeyIdentifier", where).key_identifier
    subject = tuple((attribute.oid.dotted_string, str(attribute.value)) for attribute in certificate.subject)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Certificate(
        der=der,
        name=str(names[0].value) if len(names) == 1 else "",
        subject=subject,
        subject_der=certificate.subject.public_bytes(),
        issuer_der=certificate.issuer.public_bytes(),
        serial=certificate.serial_number,
        not_before=int(certificate.not_valid_before_utc.timestamp()),
        not_after=int(certificate.not_valid_after_utc.timestamp()),
        key=key,
        spki=key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        tbs=certificate.tbs_certificate_bytes,
        signature=certificate.signature,
        ca=constraints.ca,
        path_length=constraints.path_length,
        usage=usage,
        subject_key_id=_extension(extensions, x509.SubjectKeyIdentifier, "subjectKeyIdentifier", where).digest,
        authority_key_id=authority or b"",
        pck=parse_pck_extension(sgx) if sgx is not None else None,
    )


def _extension(extensions: x509.Extensions, kind: type[Extension], name: str, where: str) -> Extension:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound as error:
        raise Untrusted(
            f"no {name} extension", where=where, expected=f"{name}, as in every certificate of Intel's"
        ) from error


def check_issued(subject: Certificate, issuer: Certificate, where: str) -> None:
    """Name, key id and signature, byte for byte. Raises Untrusted, Forged."""
    if subject.issuer_der != issuer.subject_der:
        raise Untrusted("issued by another name", where=where, expected=issuer.name)
    if subject.authority_key_id != issuer.subject_key_id:
        raise Untrusted(
            "issued by another key",
            where=where,
            got=subject.authority_key_id.hex(),
            expected=issuer.subject_key_id.hex(),
        )
    try:
        issuer.key.verify(subject.signature, subject.tbs, ECDSA(SHA256()))
    except InvalidSignature as error:
        raise Forged("the certificate's signature does not verify", where=where) from error


def _check_name(certificate: Certificate, root: Certificate, common_names: tuple[str, ...], where: str) -> None:
    """The root's full name with one of these common names: for Intel's root, Intel's names in full."""
    cn = NameOID.COMMON_NAME.dotted_string
    wanted = [tuple((oid, name if oid == cn else value) for oid, value in root.subject) for name in common_names]
    if certificate.subject not in wanted:
        raise Untrusted(
            "not the certificate that belongs here",
            where=where,
            got=shown(certificate.name) or "no single common name",
            expected=" or ".join(common_names),
        )


def check_ca(certificate: Certificate, root: Certificate, where: str) -> None:
    """A PCK CA, by name, basicConstraints and keyUsage. Raises Untrusted."""
    _check_name(certificate, root, tuple(PCK_CA_NAMES), where)
    if not certificate.ca or certificate.path_length != 0:
        raise Untrusted(
            "not a CA for end entities", where=where, got=f"CA {certificate.ca}, pathlen {certificate.path_length}"
        )
    if not (certificate.usage.key_cert_sign and certificate.usage.crl_sign):
        raise Untrusted("its key may not sign certificates and CRLs", where=where, expected="keyCertSign, cRLSign")


def check_end_entity(certificate: Certificate, root: Certificate, common_name: str, where: str) -> None:
    """A PCK or TCB Signing certificate, by name, basicConstraints and keyUsage. Raises Untrusted."""
    _check_name(certificate, root, (common_name,), where)
    if certificate.ca:
        raise Untrusted("a CA certificate where an end entity belongs", where=where)
    if not certificate.usage.digital_signature or certificate.usage.key_cert_sign or certificate.usage.crl_sign:
        raise Untrusted(
            "its key may not sign this", where=where, expected="digitalSignature, not keyCertSign or cRLSign"
        )
