"""The chains of dcap-qvl's published test suite, which are not Intel's: a compatibility profile, never for evidence.

What it relaxes, and nothing else:

- the outer certification data of versions 4 and 5 may have type 5 beside 6 (no signature covers the type);
- certificates have any names, and need no CRL distribution points; the root needs no key usage;
- the PCK certificate is issued by the root or by a CA under it, with an SGX extension of either form;
- the PCK CRL is of whichever CA in `pck_crl_issuer_chain` issued it, when that CA descends from the root;
- the certificate that signs TCB Info and QE Identity descends from the root, over at most one CA;
- XFAM is not judged (`dcap_qvl_suite`).

Signatures, dates, revocation, the byte-for-byte root, and everything after the chains are as strict as ever. It exists
only in this package, which `twinproof` never imports, and the verification refuses it under Intel's root.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.x509.oid import SignatureAlgorithmOID

from twinproof.dcap.certificates import UNREADABLE, Certificate, check_issued, exact_parts
from twinproof.dcap.chains import PckChain
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.crl import check_not_revoked, load_crl
from twinproof.dcap.pck import SGX_EXTENSION_OID, parse_pck_extension
from twinproof.dcap.pem import pem_certificates
from twinproof.dcap.roots import TrustRoot
from twinproof.errors import Malformed, Untrusted
from twinproof.memo import Memo
from twinproof.tdx.quote import Quote, parse_quote

__all__ = ["SUITE_SHAPE", "SuiteShape"]

_SIZES = {3: 432, 4: 632}
_BODY_SIZES = {1: 384, 2: 584, 3: 648, 4: 885}
_V5_BODY_AT, _SIGNATURE_AND_KEY = 54, 4 + 128
_CUSTOM = "custom"
_ANY_USE = x509.KeyUsage(
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
"""Of a certificate that does not restrict it (RFC 5280, 4.2.1.3)."""


@dataclass(frozen=True, slots=True)
class SuiteShape:
    """A `ChainShape`; see the module. Raises what the strict one raises."""

    name: str = "dcap-qvl's suite"

    def parse_quote(self, data: bytes) -> Quote:
        """With an outer certification type of 5 read as 6."""
        at = _outer_type_at(data)
        if at and data[at : at + 2] == b"\x05\x00":
            data = data[:at] + b"\x06\x00" + data[at + 2 :]
        return parse_quote(data)

    def pck_chain(self, pem: bytes, root: TrustRoot, _memo: Memo) -> PckChain:
        leaf, *above = _chain(pem_certificates(pem, "PCK chain"), root, "PCK chain", longest=3)
        _check_end_entity(leaf, "PCK certificate")
        if leaf.pck is None:
            raise Malformed("no SGX extension", where="PCK certificate")
        return PckChain(leaf, above[0], above[-1], leaf.pck, _CUSTOM)

    def pck_crl_issuer(self, chain: PckChain, collateral: Collateral, root: TrustRoot) -> Certificate:
        """A machine that the root itself certified would be on the root's list, whose signature was checked already."""
        if chain.ca is chain.root:
            check_not_revoked(load_crl(collateral.root_ca_crl, "root CA CRL"), "root CA CRL", chain.leaf)
        where = "PCK CRL issuer chain"
        issuer_name = load_crl(collateral.pck_crl, "PCK CRL").issuer
        ders = pem_certificates(collateral.pck_crl_issuer_chain.encode(), where)
        for index, der in enumerate(ders):
            candidate = _load(der, where)
            if candidate.subject == issuer_name and candidate.ca and candidate.usage.crl_sign:
                return _chain(ders[index:], root, where, longest=3)[0]
        raise Untrusted("no CA that issued this CRL", where=where)

    def signing_certificate(self, pem: str, root: TrustRoot, where: str, _memo: Memo) -> Certificate:
        ders = pem_certificates(pem.encode(), where)
        if len(ders) < 2:
            raise Untrusted("wrong number of certificates", where=where, got=str(len(ders)), expected="2 or 3")
        signer = _chain(ders, root, where, longest=3)[0]
        _check_end_entity(signer, where)
        return signer


SUITE_SHAPE = SuiteShape()


def _outer_type_at(data: bytes) -> int:
    """Where versions 4 and 5 have the type of their outer certification data; 0 for anything else."""
    version = int.from_bytes(data[:2], "little")
    size = _SIZES.get(version, 0) if version == 4 else 0
    if version == 4 and data[4:8] == bytes(4):
        size = _SIZES[3]
    if version == 5:
        body = _BODY_SIZES.get(int.from_bytes(data[48:50], "little"), 0)
        size = _V5_BODY_AT + body if body else 0
    return size + _SIGNATURE_AND_KEY if size else 0


def _chain(ders: tuple[bytes, ...], root: TrustRoot, where: str, *, longest: int) -> list[Certificate]:
    """Each issued by the next, the last the trust root byte for byte, all above the first CAs."""
    if ders[-1] != root.der:
        raise Untrusted("the chain ends at another root", where=where)
    if len(ders) > longest:
        raise Untrusted("wrong number of certificates", where=where, got=str(len(ders)), expected=f"at most {longest}")
    chain = [_load(der, where) for der in ders]
    for subject, issuer in pairwise(chain):
        if not (issuer.ca and issuer.usage.key_cert_sign):
            raise Untrusted("issued by a certificate that is no CA", where=where, got=issuer.name)
        check_issued(subject, issuer, where)
    return chain


def _check_end_entity(certificate: Certificate, where: str) -> None:
    if certificate.ca:
        raise Untrusted("a CA certificate where an end entity belongs", where=where)
    if not certificate.usage.digital_signature:
        raise Untrusted("its key may not sign this", where=where, expected="digitalSignature")


def _load(der: bytes, where: str) -> Certificate:
    try:
        return _read(der, where)
    except UNREADABLE as error:
        raise Malformed("not a readable X.509 certificate", where=where) from error


def _read(der: bytes, where: str) -> Certificate:
    certificate = x509.load_der_x509_certificate(der)
    key = certificate.public_key()
    if certificate.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        raise Untrusted("signed by another algorithm", where=where, expected="ecdsa-with-SHA256")
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise Untrusted("a key of another kind", where=where, got=type(key).__name__, expected="EC on P-256")
    values = {type(item.value): item.value for item in certificate.extensions}
    sgx = [item.value for item in certificate.extensions if item.oid.dotted_string == SGX_EXTENSION_OID]
    constraints, usage = values.get(x509.BasicConstraints), values.get(x509.KeyUsage, _ANY_USE)
    own, authority = values.get(x509.SubjectKeyIdentifier), values.get(x509.AuthorityKeyIdentifier)
    if not (
        isinstance(constraints, x509.BasicConstraints)
        and isinstance(usage, x509.KeyUsage)
        and isinstance(own, x509.SubjectKeyIdentifier)
        and isinstance(authority, x509.AuthorityKeyIdentifier)
    ):
        raise Untrusted("an extension is missing", where=where, expected="basicConstraints and both key identifiers")
    signed, issuer, subject = exact_parts(der, where)
    return Certificate(
        der=der,
        subject=subject,
        issuer=issuer,
        serial=certificate.serial_number,
        not_before=int(certificate.not_valid_before_utc.timestamp()),
        not_after=int(certificate.not_valid_after_utc.timestamp()),
        key=key,
        signed=signed,
        signature=certificate.signature,
        ca=constraints.ca,
        path_length=constraints.path_length,
        usage=usage,
        subject_key_id=own.digest,
        authority_key_id=authority.key_identifier or b"",
        pck=parse_pck_extension(sgx[0].value) if sgx and isinstance(sgx[0], x509.UnrecognizedExtension) else None,
    )
