"""Collateral from Intel's Provisioning Certification Service (PCS, API v4) or a caching one (PCCS).

Both serve the same paths; a PCCS may answer CRLs as hex or PEM where Intel gives DER, and has the root CRL under its
own path, which Intel keeps on another host. URLs are made from the CA's name, never taken from a certificate.
"""

from __future__ import annotations

import json
from urllib.parse import unquote

from twinproof.dcap.collateral import Collateral
from twinproof.errors import Malformed, TwinproofError, Unavailable
from twinproof.sources import clock
from twinproof.sources.cache import CollateralCache, Key
from twinproof.sources.concurrent import fetch_all
from twinproof.sources.crl_encodings import crl_der
from twinproof.sources.http import Fetched, HttpClient
from twinproof.sources.signed_json import signed_member
from twinproof.sources.single_flight import SingleFlight
from twinproof.urls import base_url as checked_base_url
from twinproof.urls import masked, split_url
from twinproof.wire import shown

__all__ = ["INTEL_PCS", "INTEL_ROOT_CRL", "CollateralSource"]

INTEL_PCS = "https://api.trustedservices.intel.com"
INTEL_ROOT_CRL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
_API_PATHS = ("/sgx/certification/v4", "/tdx/certification/v4")  # addresses are often given with one of them
_TCB_CHAIN, _IDENTITY_CHAIN = "tcb-info-issuer-chain", "sgx-enclave-identity-issuer-chain"
_CRL_CHAIN = "sgx-pck-crl-issuer-chain"
_OLD_NAMES = {_TCB_CHAIN: "sgx-tcb-info-issuer-chain"}
_OK, _NOT_FOUND, _TOO_MANY, _SERVER_ERROR = 200, 404, 429, 500
_REFUSED = {401, 403}


class CollateralSource:
    """Fetches whole sets, one per TEE, FMSPC and CA; may be shared by threads, which then share one request."""

    def __init__(
        self,
        http: HttpClient,
        *,
        base_url: str | None = None,
        root_crl_url: str | None = None,
        cache: CollateralCache | None = None,
    ) -> None:
        """`root_crl_url` is needed where a service other than Intel's has no `rootcacrl`. Raises UsageError."""
        base = checked_base_url(base_url or INTEL_PCS)
        for path in _API_PATHS:
            base = base.removesuffix(path).rstrip("/")
        self._base = base
        own_root_crl = INTEL_ROOT_CRL if base == INTEL_PCS else f"{base}/sgx/certification/v4/rootcacrl"
        self._root_crl_url = root_crl_url or own_root_crl
        split_url(self._root_crl_url)
        self._http = http
        self._cache = cache or CollateralCache(None)
        self._flights: SingleFlight[Collateral] = SingleFlight()

    def fetch(self, fmspc: bytes, ca: str, tee: str, *, at: int) -> Collateral:
        """A set for this platform: 6 bytes, platform or processor, SGX or TDX. Raises Unavailable, Malformed.

        `at` (unix seconds) decides whether a kept set will do.
        """
        key = (self._base, self._root_crl_url, tee, fmspc.hex(), ca)
        return self._flights.run(key, lambda: self._kept_or_fetched(key, fmspc, ca, tee, at))

    def _kept_or_fetched(self, key: Key, fmspc: bytes, ca: str, tee: str, at: int) -> Collateral:
        """A kept set that is no longer fresh still serves when the service cannot be reached."""
        kept = self._cache.get(key)
        if kept is not None and kept.fresh(at):
            return kept.collateral
        try:
            collateral = self._fetch(fmspc, ca, tee)
        except Unavailable:
            if kept is not None and kept.usable(at):
                return kept.collateral
            raise
        if collateral.about() == (tee, fmspc.hex().upper()):
            self._cache.put(key, collateral, fetched_at=clock.now())
        return collateral

    def _fetch(self, fmspc: bytes, ca: str, tee: str) -> Collateral:
        v4, fmspc_text = "certification/v4", fmspc.hex().upper()
        wanted = {
            f"{self._base}/{tee.lower()}/{v4}/tcb?fmspc={fmspc_text}": f"TCB Info for FMSPC {fmspc_text} ({tee})",
            f"{self._base}/{tee.lower()}/{v4}/qe/identity": f"QE Identity ({tee})",
            f"{self._base}/sgx/{v4}/pckcrl?ca={ca}&encoding=der": f"PCK CRL of the {ca} CA",
            self._root_crl_url: "root CA CRL",
        }
        answers = fetch_all(list(wanted), lambda _, url: self._ask(url, wanted[url]))
        for answer in answers:
            if isinstance(answer, TwinproofError):
                raise answer
        tcb, identity, pck_crl, root_crl = (answer for answer in answers if isinstance(answer, Fetched))
        tcb_info, tcb_signature = signed_member(tcb.body, "tcbInfo", masked(tcb.url))
        qe_identity, qe_signature = signed_member(identity.body, "enclaveIdentity", masked(identity.url))
        members = {
            "pck_crl_issuer_chain": _chain(pck_crl, _CRL_CHAIN),
            "root_ca_crl": crl_der(root_crl.body, masked(root_crl.url)).hex(),
            "pck_crl": crl_der(pck_crl.body, masked(pck_crl.url)).hex(),
            "tcb_info_issuer_chain": _chain(tcb, _TCB_CHAIN),
            "tcb_info": tcb_info,
            "tcb_info_signature": tcb_signature.hex(),
            "qe_identity_issuer_chain": _chain(identity, _IDENTITY_CHAIN),
            "qe_identity": qe_identity,
            "qe_identity_signature": qe_signature.hex(),
        }
        return Collateral.from_json(json.dumps(members))

    def _ask(self, url: str, what: str) -> Fetched:
        answer = self._http.get(url, max_bytes=self._http.limits.collateral_part)
        where, status = masked(answer.url), answer.status
        said = answer.headers.get("error-message") or answer.body[:80].decode("latin-1")
        if status == _OK:
            if answer.body.lstrip()[:1] == b"<":
                raise Unavailable(
                    f"{what}: an HTML page instead", where=where, hint="a portal or proxy answered for the service"
                )
            return answer
        reason, hint = f"{what}: the collateral service answered with status {status}", ""
        if status == _NOT_FOUND:
            reason, hint = f"{what} is not known there", "another --collateral-url may know this platform"
        elif status == _TOO_MANY:
            wait = answer.headers.get("retry-after", "")
            reason = f"{what}: too many requests"
            hint = f"try again after {shown(wait, 40)}{' s' if wait.isdigit() else ''}" if wait else "try again later"
        elif status in _REFUSED:
            hint = "this service wants to know who asks; Intel's own needs no key"
        elif status >= _SERVER_ERROR:
            hint = "try again later, or ask another --collateral-url"
        raise Unavailable(reason, where=where, got=shown(said), hint=hint)


def _chain(answer: Fetched, name: str) -> str:
    """The percent-encoded PEM chain of a header; base64 has `+`, so it is not form-encoding. Raises Malformed."""
    text = answer.headers.get(name) or answer.headers.get(_OLD_NAMES.get(name, ""))
    if not text:
        raise Malformed("no issuer chain", where=masked(answer.url), expected=f"header {name}")
    try:
        chain = unquote(text, encoding="ascii", errors="strict")
    except UnicodeDecodeError as error:
        raise Malformed("not text", where=f"{masked(answer.url)} header {name}") from error
    if not chain.isascii() or not chain.lstrip().startswith("-----BEGIN"):
        raise Malformed("not PEM", where=f"{masked(answer.url)} header {name}", got=shown(chain, 40))
    return chain
