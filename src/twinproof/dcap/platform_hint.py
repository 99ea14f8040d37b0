"""Which collateral a quote needs: read from its unverified PCK certificate, good for asking and for nothing else."""

from __future__ import annotations

from typing import NamedTuple

from twinproof.dcap.certificates import load_certificate
from twinproof.dcap.certification import PCK_CHAIN_PEM
from twinproof.dcap.pem import pem_certificates
from twinproof.errors import Malformed
from twinproof.tdx.quote import parse_quote

__all__ = ["PlatformHint", "platform_hint"]


class PlatformHint(NamedTuple):
    """`tee` is SGX or TDX, `ca` is platform or processor, `fmspc` has 6 bytes."""

    tee: str
    fmspc: bytes
    ca: str


def platform_hint(quote: bytes) -> PlatformHint:
    """Raises Malformed; a quote without its own certificates has no hint, and needs supplied collateral."""
    parsed = parse_quote(quote)
    if parsed.certification_type != PCK_CHAIN_PEM:
        raise Malformed(
            "the quote brings no PCK certificate, so its platform is not known",
            where="certification data",
            got=f"type {parsed.certification_type}",
            hint="pass --collateral FILE with a pck_certificate_chain",
        )
    pck = load_certificate(pem_certificates(parsed.certification_data, "PCK chain")[0], "PCK certificate").pck
    if pck is None:
        raise Malformed("no SGX extension", where="PCK certificate")
    return PlatformHint(parsed.tee, pck.fmspc, "platform" if pck.from_platform_ca else "processor")
