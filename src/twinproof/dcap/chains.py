"""The two certificate chains and the two CRLs: shape and signatures once per exact bytes, dates at every call."""

from __future__ import annotations

from typing import NamedTuple

from twinproof.dcap.certificates import Certificate, check_issued, load_certificate
from twinproof.dcap.crl import Crl, check_crl, check_crl_signature, load_crl
from twinproof.dcap.pck import PckExtension
from twinproof.dcap.pem import pem_certificates
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.shapes import PCK, TCB_SIGNING, anchor_of, ca_kind, check_ca, check_end_entity
from twinproof.dcap.timestamps import check_window
from twinproof.errors import Malformed, Untrusted
from twinproof.memo import Memo

__all__ = ["PckChain", "check_dates", "pck_chain", "signed_crl", "signing_certificate"]


class PckChain(NamedTuple):
    """Leaf, CA and root; names, usages and signatures hold. `ca_kind` is `platform` or `processor`."""

    leaf: Certificate
    ca: Certificate
    root: Certificate
    pck: PckExtension
    ca_kind: str

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        return self.leaf, self.ca, self.root


def _below_root(pem: bytes, root: TrustRoot, size: int, where: str) -> tuple[bytes, ...]:
    """The certificates before the last, which has to be the trust root byte for byte."""
    ders = pem_certificates(pem, where)
    if len(ders) != size:
        raise Untrusted("wrong number of certificates", where=where, got=str(len(ders)), expected=str(size))
    if ders[-1] != root.der:
        raise Untrusted(
            "the chain ends at another root",
            where=where,
            got=_name_of(ders[-1]),
            expected=f"{root.name}, sha256 {root.fingerprint[:16]}...",
            hint="simulated evidence verifies only with --trust-root pointing at its own root",
        )
    return ders[:-1]


def _name_of(der: bytes) -> str:
    try:
        return load_certificate(der, "root").name or "unnamed"
    except (Malformed, Untrusted):
        return "not one of Intel's form"


def pck_chain(pem: bytes, root: TrustRoot, memo: Memo) -> PckChain:
    """Leaf, CA, root, in this order. Raises Malformed, Untrusted, Forged."""

    def check() -> PckChain:
        leaf_der, ca_der = _below_root(pem, root, 3, "PCK chain")
        anchor = anchor_of(root.der)
        ca = load_certificate(ca_der, "PCK CA")
        kind = ca_kind(ca, anchor, "PCK CA")
        check_ca(ca, "PCK CA")
        check_issued(ca, anchor.root, "PCK CA")
        leaf = load_certificate(leaf_der, "PCK certificate")
        check_end_entity(leaf, anchor, PCK, "PCK certificate")
        check_issued(leaf, ca, "PCK certificate")
        if leaf.pck is None:
            raise Malformed("no SGX extension", where="PCK certificate")
        if leaf.pck.from_platform_ca != (kind == "platform"):
            raise Untrusted("the SGX extension is of another CA's form", where="PCK certificate", got=ca.name)
        return PckChain(leaf, ca, anchor.root, leaf.pck, kind)

    return memo.recall(("PCK chain", root.der, pem), check)


def signing_certificate(pem: str, root: TrustRoot, where: str, memo: Memo) -> Certificate:
    """The TCB Signing certificate of an issuer chain; the root follows it. Raises Malformed, Untrusted, Forged."""

    def check() -> Certificate:
        (der,) = _below_root(pem.encode(), root, 2, where)
        anchor = anchor_of(root.der)
        signer = load_certificate(der, where)
        check_end_entity(signer, anchor, TCB_SIGNING, where)
        check_issued(signer, anchor.root, where)
        return signer

    return memo.recall(("TCB Signing", root.der, pem), check)


def signed_crl(der: bytes, issuer: Certificate, where: str, memo: Memo) -> Crl:
    """The CRL of this CA, by its key; its window is for the caller to judge. Raises Malformed, Untrusted, Forged."""

    def check() -> Crl:
        crl = load_crl(der, where)
        check_crl(crl, issuer, where)
        check_crl_signature(crl, issuer, where)
        return crl

    return memo.recall(("CRL", issuer.der, der), check)


def check_dates(*certificates: Certificate, at: int) -> None:
    """Each certificate is within its validity. Raises Stale."""
    for certificate in certificates:
        if not certificate.not_before <= at <= certificate.not_after:
            check_window(f"certificate {certificate.name}", certificate.not_before, certificate.not_after, at)
