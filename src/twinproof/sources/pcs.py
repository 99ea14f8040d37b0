"""Collateral from Intel's Provisioning Certification Service (PCS, API v4) or a caching one (PCCS).

Both serve the same paths; a PCCS may answer CRLs as hex or PEM where Intel gives DER, and has the root CRL under its
own path, which Intel keeps on another host. URLs are made from the CA's name, never taken from a certificate.
"""

from __future__ import annotations

import binascii
import json
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from twinproof.dcap.collateral import Collateral
from twinproof.errors import Malformed, Unavailable
from twinproof.sources.cache import CollateralCache
from twinproof.sources.http import Fetched, HttpClient, masked, split_url
from twinproof.sources.signed_json import signed_member
from twinproof.wire import shown, unhex

__all__ = ["INTEL_PCS", "CollateralSource", "crl_der"]

INTEL_PCS = "https://api.trustedservices.intel.com"
INTEL_ROOT_CRL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
_TCB_CHAINS = ("tcb-info-issuer-chain", "sgx-tcb-info-issuer-chain")


class CollateralSource:
    """Fetches whole sets, one per TEE, FMSPC and CA; keeps them in the cache until they go stale."""

    def __init__(self, http: HttpClient, *, base_url: str | None = None, cache: CollateralCache | None = None) -> None:
        self._base = (base_url or INTEL_PCS).rstrip("/")
        for ending in ("/sgx/certification/v4", "/tdx/certification/v4"):  # addresses are often given with it
            self._base = self._base.removesuffix(ending)
        split_url(self._base)
        self._http, self._cache = http, cache

    def fetch(self, fmspc: bytes, ca: str, tee: str, *, at: int) -> Collateral:
        """A set for this platform; `at` decides whether a cached one will do. Raises Unavailable, Malformed."""
        key = (self._base, tee, fmspc.hex(), ca)
        cached = self._cache.get(key, at=at) if self._cache else None
        if cached is not None:
            return cached
        collateral = self._fetch(fmspc, ca, tee)
        if self._cache:
            self._cache.put(key, collateral, at=at)
        return collateral

    def _fetch(self, fmspc: bytes, ca: str, tee: str) -> Collateral:
        area = tee.lower()
        tcb = self._get(f"/{area}/certification/v4/tcb?fmspc={fmspc.hex().upper()}", f"FMSPC {fmspc.hex().upper()}")
        identity = self._get(f"/{area}/certification/v4/qe/identity", "QE Identity")
        pck_crl = self._get(f"/sgx/certification/v4/pckcrl?ca={ca}&encoding=der", f"PCK CRL of the {ca} CA")
        if self._base == INTEL_PCS:
            root_crl = self._ok(self._request(INTEL_ROOT_CRL), "root CA CRL")
        else:
            root_crl = self._get("/sgx/certification/v4/rootcacrl", "root CA CRL")
        tcb_info, tcb_signature = signed_member(tcb.body, "tcbInfo", masked(tcb.url))
        qe_identity, qe_signature = signed_member(identity.body, "enclaveIdentity", masked(identity.url))
        members = {
            "pck_crl_issuer_chain": _chain(pck_crl, "sgx-pck-crl-issuer-chain"),
            "root_ca_crl": crl_der(root_crl.body, masked(root_crl.url)).hex(),
            "pck_crl": crl_der(pck_crl.body, masked(pck_crl.url)).hex(),
            "tcb_info_issuer_chain": _chain(tcb, *_TCB_CHAINS),
            "tcb_info": tcb_info,
            "tcb_info_signature": tcb_signature.hex(),
            "qe_identity_issuer_chain": _chain(identity, "sgx-enclave-identity-issuer-chain"),
            "qe_identity": qe_identity,
            "qe_identity_signature": qe_signature.hex(),
        }
        return Collateral.from_json(json.dumps(members))

    def _request(self, url: str) -> Fetched:
        return self._http.get(url, max_bytes=self._http.limits.collateral_part)

    def _get(self, path: str, what: str) -> Fetched:
        return self._ok(self._request(self._base + path), what)

    def _ok(self, answer: Fetched, what: str) -> Fetched:
        if answer.status == 200:
            return answer
        reason, hint = f"{what}: the collateral service answered {answer.status}", ""
        if answer.status == 404:
            reason, hint = f"{what} is not known there", "another --collateral-url may know this platform"
        elif answer.status == 429:
            wait = answer.headers.get("retry-after", "")
            reason = f"{what}: too many requests"
            hint = f"try again in {shown(wait, 20)} s" if wait else "try again later"
        raise Unavailable(
            reason, where=masked(answer.url), got=shown(answer.body[:80].decode("latin-1"), 80), hint=hint
        )


def _chain(answer: Fetched, *names: str) -> str:
    """The percent-encoded PEM chain of a header; base64 has `+`, so it is not form-encoding."""
    for name in names:
        if name in answer.headers:
            return unquote(answer.headers[name], errors="strict")
    raise Malformed("no issuer chain", where=masked(answer.url), expected=f"header {names[0]}")


def crl_der(body: bytes, where: str) -> bytes:
    """DER of a CRL served as DER, PEM, or hex text; told by the first byte. Raises Malformed."""
    first = body[:1]
    if first == b"\x30":
        return body
    try:
        if first == b"-":
            return x509.load_pem_x509_crl(body).public_bytes(Encoding.DER)
        if first == b"3":  # hex of a DER CRL starts with the characters 30
            return unhex(body.strip().decode("ascii"), where)
    except (ValueError, binascii.Error) as error:
        raise Malformed("not a CRL", where=where, got=shown(body[:16])) from error
    raise Malformed("not a CRL", where=where, got=shown(body[:16]), expected="DER, PEM or hex")
