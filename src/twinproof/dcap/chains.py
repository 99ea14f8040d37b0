"""The two certificate chains and the two CRLs, checked once per exact bytes and dated at every call."""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.dcap.certificates import (
    PCK_CA_NAMES,
    PCK_NAME,
    TCB_SIGNING_NAME,
    Certificate,
    check_ca,
    check_end_entity,
    check_issued,
    load_certificate,
    load_pem_chain,
)
from twinproof.dcap.crl import Crl, check_crl, check_crl_signature, load_crl
from twinproof.dcap.memo import Memo
from twinproof.dcap.pck import PckExtension
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.timestamps import check_window
from twinproof.errors import Malformed, Untrusted

__all__ = ["PckChain", "check_dates", "crl_of", "pck_chain", "signing_chain"]


@dataclass(frozen=True, slots=True)
class PckChain:
    """Leaf, CA and root; names, usages and signatures hold. `ca_kind` is `platform` or `processor`."""

    leaf: Certificate
    ca: Certificate
    root: Certificate
    pck: PckExtension
    ca_kind: str

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        return self.leaf, self.ca, self.root


def _root(chain: tuple[Certificate, ...], root: TrustRoot, size: int, where: str) -> Certificate:
    """The chain's last certificate has to be the trust root, byte for byte; the trust root is what is used."""
    if len(chain) != size:
        raise Untrusted("wrong number of certificates", where=where, got=str(len(chain)), expected=str(size))
    if chain[-1].der != root.der:
        raise Untrusted(
            "the chain ends at another root",
            where=where,
            got=chain[-1].name or "unnamed",
            expected=f"{root.name}, sha256 {root.fingerprint[:16]}...",
            hint="simulated evidence verifies only with --trust-root pointing at its own root",
        )
    return load_certificate(root.der, "trust root")


def pck_chain(pem: bytes, root: TrustRoot, memo: Memo) -> PckChain:
    """Leaf, CA, root, in this order. Raises Malformed, Untrusted, Forged."""

    def check() -> PckChain:
        chain = load_pem_chain(pem, "PCK chain")
        top = _root(chain, root, 3, "PCK chain")
        leaf, ca, _ = chain
        check_ca(ca, top, "PCK CA")
        check_issued(ca, top, "PCK CA")
        check_end_entity(leaf, top, PCK_NAME, "PCK certificate")
        check_issued(leaf, ca, "PCK certificate")
        if leaf.pck is None:
            raise Malformed("no SGX extension", where="PCK certificate")
        kind = PCK_CA_NAMES[ca.name]
        if leaf.pck.from_platform_ca != (kind == "platform"):
            raise Untrusted("the SGX extension is of another CA's form", where="PCK certificate", got=ca.name)
        return PckChain(leaf, ca, top, leaf.pck, kind)

    return memo.recall("PCK chain", (root.der, pem), check)


def signing_chain(pem: str, root: TrustRoot, where: str, memo: Memo) -> Certificate:
    """TCB Signing certificate, then the root. Raises Malformed, Untrusted, Forged."""
    raw = pem.encode()

    def check() -> Certificate:
        chain = load_pem_chain(raw, where)
        top = _root(chain, root, 2, where)
        check_end_entity(chain[0], top, TCB_SIGNING_NAME, where)
        check_issued(chain[0], top, where)
        return chain[0]

    return memo.recall("TCB signing chain", (root.der, raw), check)


def crl_of(der: bytes, issuer: Certificate, where: str, memo: Memo, *, at: int) -> Crl:
    """The CRL of this CA, at this time. Raises Malformed, Untrusted, Forged, Stale."""

    def check() -> Crl:
        crl = load_crl(der, where)
        check_crl_signature(crl, issuer, where)
        return crl

    crl = memo.recall("CRL", (issuer.der, der), check)
    check_crl(crl, issuer, where, at=at)
    return crl


def check_dates(*certificates: Certificate, at: int) -> None:
    """Each certificate is within its validity. Raises Stale."""
    for certificate in certificates:
        check_window(f"certificate {certificate.name}", certificate.not_before, certificate.not_after, at)
