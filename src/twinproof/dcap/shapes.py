"""The four certificates there are, each with one name, one issuer and one use. There is no path building.

    PCK certificate <- PCK Platform CA | PCK Processor CA <- root          TCB Signing <- root

Intel's library asks only whether basicConstraints and keyUsage are there; here it matters what they say.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from twinproof.dcap.certificates import Certificate, load_certificate
from twinproof.dcap.der import SEQUENCE, SET, UTF8_STRING, DerReader, der_value
from twinproof.errors import Untrusted

__all__ = ["PCK", "TCB_SIGNING", "Anchor", "anchor_of", "ca_kind", "check_ca", "check_end_entity"]

PCK = "Intel SGX PCK Certificate"
TCB_SIGNING = "Intel SGX TCB Signing"
PCK_CAS = {"Intel SGX PCK Platform CA": "platform", "Intel SGX PCK Processor CA": "processor"}
_COMMON_NAME = bytes.fromhex("0603550403")  # OID 2.5.4.3, DER


class Anchor(NamedTuple):
    """A trust root that may be one, and the full names (DER) below it: the root's own with another common name.

    Under Intel's root these are Intel's names to the letter; under a simulated root they can never be Intel's.
    """

    root: Certificate
    names: dict[str, bytes]


@lru_cache(maxsize=16)
def anchor_of(der: bytes) -> Anchor:
    """`der` is a trust root that the caller chose. Raises Malformed, Untrusted."""
    root = load_certificate(der, "trust root")
    if not root.ca or not (root.usage.key_cert_sign and root.usage.crl_sign):
        raise Untrusted("not a CA that may sign certificates and CRLs", where="trust root", got=root.name)
    before, after = _around_common_name(root.subject)
    if root.issuer != root.subject:
        raise Untrusted("not issued by itself", where="trust root", got=root.name)
    names = (PCK, TCB_SIGNING, *PCK_CAS)
    return Anchor(root, {name: der_value(SEQUENCE, before + _common_name(name) + after) for name in names})


def _around_common_name(subject: bytes) -> tuple[bytes, bytes]:
    """What stands before and after the one common name of a name (DER). Raises Untrusted."""
    parts = DerReader(subject, "trust root").sequence("name").elements("attribute")
    places = [place for place, part in enumerate(parts) if _COMMON_NAME in part]
    if len(places) != 1 or not parts[places[0]].partition(_COMMON_NAME)[2][2:]:  # its tag, its length, its letters
        raise Untrusted("no single common name", where="trust root")
    return b"".join(parts[: places[0]]), b"".join(parts[places[0] + 1 :])


def _common_name(name: str) -> bytes:
    """As Intel writes it: a UTF-8 string, alone in its set."""
    return der_value(SET, der_value(SEQUENCE, _COMMON_NAME + der_value(UTF8_STRING, name.encode())))


def _check_name(certificate: Certificate, anchor: Anchor, common_name: str, where: str) -> None:
    if certificate.subject != anchor.names[common_name]:
        raise Untrusted(
            "not the certificate that belongs here",
            where=where,
            got=certificate.name or "no single common name",
            expected=f"{common_name}, otherwise named as the root",
        )


def ca_kind(certificate: Certificate, anchor: Anchor, where: str) -> str:
    """`platform` or `processor`. Raises Untrusted for any other name."""
    for name, kind in PCK_CAS.items():
        if certificate.subject == anchor.names[name]:
            return kind
    raise Untrusted(
        "not the certificate that belongs here",
        where=where,
        got=certificate.name or "no single common name",
        expected=" or ".join(PCK_CAS),
    )


def check_ca(certificate: Certificate, where: str) -> None:
    """A CA of end entities only, whose key may sign certificates and CRLs. Raises Untrusted."""
    if not certificate.ca or certificate.path_length != 0:
        raise Untrusted(
            "not a CA of end entities",
            where=where,
            got=f"CA {certificate.ca}, path length {certificate.path_length}",
            expected="CA True, path length 0",
        )
    if not (certificate.usage.key_cert_sign and certificate.usage.crl_sign):
        raise Untrusted("its key may not sign certificates and CRLs", where=where, expected="keyCertSign, cRLSign")


def check_end_entity(certificate: Certificate, anchor: Anchor, common_name: str, where: str) -> None:
    """The certificate of this name, no CA, whose key may sign data and nothing else. Raises Untrusted."""
    _check_name(certificate, anchor, common_name, where)
    if certificate.ca:
        raise Untrusted("a CA certificate where an end entity belongs", where=where)
    usage = certificate.usage
    if not usage.digital_signature or usage.key_cert_sign or usage.crl_sign:
        raise Untrusted(
            "its key may not sign this", where=where, expected="digitalSignature, not keyCertSign or cRLSign"
        )
