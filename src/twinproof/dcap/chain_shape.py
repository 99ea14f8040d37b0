"""Who is asked for the parts of a quote's proof that have a shape: frame, certificate chains, issuer of the PCK CRL.

There is one answer, Intel's, and it is the default everywhere. The protocol exists so that a suite of made-up chains
can be run against the rest of the verification (`twinproof.conformance`); no command that judges evidence offers
another.
"""

from __future__ import annotations

from typing import Protocol

from twinproof.dcap import chains
from twinproof.dcap.certificates import Certificate
from twinproof.dcap.chains import PckChain
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import TrustRoot
from twinproof.memo import Memo
from twinproof.tdx import quote as frame
from twinproof.tdx.quote import Quote

__all__ = ["INTEL", "ChainShape"]


class ChainShape(Protocol):
    """Each method raises what its namesake in `chains` and `tdx.quote` raises. What one `name` read, no other uses."""

    @property
    def name(self) -> str: ...

    def parse_quote(self, data: bytes) -> Quote: ...

    def pck_chain(self, pem: bytes, root: TrustRoot, memo: Memo) -> PckChain: ...

    def pck_crl_issuer(self, chain: PckChain, collateral: Collateral, root: TrustRoot) -> Certificate: ...

    def signing_certificate(self, pem: str, root: TrustRoot, where: str, memo: Memo) -> Certificate: ...


class _Intel:
    """Three levels by name, a PCK CRL of the quote's own CA, a TCB Signing certificate of the root."""

    name = "Intel"
    parse_quote = staticmethod(frame.parse_quote)
    pck_chain = staticmethod(chains.pck_chain)
    signing_certificate = staticmethod(chains.signing_certificate)

    @staticmethod
    def pck_crl_issuer(chain: PckChain, _collateral: Collateral, _root: TrustRoot) -> Certificate:
        return chain.ca


INTEL: ChainShape = _Intel()
