"""Who made a quote, and where its PCK chain is: read before anything in it is believed, to find the keys to check.

Source: Intel DCAP ECDSA quote format, header and certification data.
"""

from __future__ import annotations

from twinproof.dcap.collateral import Collateral
from twinproof.dcap.pem import pem_certificates
from twinproof.errors import CollateralMismatch, Malformed
from twinproof.tdx.quote import Quote

__all__ = ["PCK_CHAIN_PEM", "chain_pem", "check_header"]

QE_VENDOR_INTEL = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
ECDSA_P256 = 2
PCK_CHAIN_PEM, PCK_LEAF_PEM = 5, 4
PPID_SIZES = {1: 34, 2: 274, 3: 402}
"""Types that name the platform: PPID (clear, RSA-2048, RSA-3072), CPUSVN, PCESVN; some builds add 2 bytes of PCE ID."""


def check_header(quote: Quote) -> None:
    """Intel's quoting enclave, ECDSA P-256, a version in use. Raises Malformed."""
    header = quote.header
    if header.qe_vendor_id != QE_VENDOR_INTEL:
        raise Malformed(
            "not Intel's quoting enclave",
            where="quote byte 12",
            got=header.qe_vendor_id.hex(),
            expected=QE_VENDOR_INTEL.hex(),
        )
    if header.attestation_key_type != ECDSA_P256:
        raise Malformed(
            "unsupported attestation key type",
            where="quote byte 2",
            got=str(header.attestation_key_type),
            expected="2 (ECDSA P-256)",
        )
    if quote.tee == "SGX" and header.version != 3:
        raise Malformed(
            "an SGX quote of an unsupported version", where="quote byte 0", got=str(header.version), expected="3"
        )


def chain_pem(quote: Quote, collateral: Collateral) -> bytes:
    """The quote's own chain; the collateral's only where the quote has none. Raises Malformed, CollateralMismatch."""
    supplied = None if collateral.pck_certificate_chain is None else collateral.pck_certificate_chain.encode()
    kind = quote.certification_type
    if kind == PCK_CHAIN_PEM:
        own = quote.certification_data
        if supplied is not None and supplied.rstrip(b"\x00\n") != own.rstrip(b"\x00\n"):
            raise CollateralMismatch(
                "the collateral brings another PCK chain than the quote",
                where="collateral.pck_certificate_chain",
                expected="the quote's own, or none",
            )
        return own
    if kind not in (*PPID_SIZES, PCK_LEAF_PEM):
        raise Malformed(
            "unsupported certification data type", where="certification data", got=str(kind), expected="1 to 5"
        )
    size = len(quote.certification_data)
    if kind in PPID_SIZES and size not in (PPID_SIZES[kind], PPID_SIZES[kind] + 2):
        raise Malformed(
            "wrong size of the platform's identity",
            where="certification data",
            got=f"{size} bytes of type {kind}",
            expected=f"{PPID_SIZES[kind]} bytes, or 2 more",
        )
    if supplied is None:
        raise Malformed(
            "the quote names its platform but brings no certificates",
            where="certification data",
            got=f"type {kind}",
            expected="type 5, or pck_certificate_chain in the collateral",
        )
    if kind == PCK_LEAF_PEM:
        leaf = pem_certificates(quote.certification_data, "certification data")
        if leaf != pem_certificates(supplied, "collateral.pck_certificate_chain")[:1]:
            raise CollateralMismatch(
                "the collateral's PCK certificate is not the quote's", where="collateral.pck_certificate_chain"
            )
    return supplied
