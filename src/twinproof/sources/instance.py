"""Ask one instance for its evidence: the app's own endpoint first, then what dstack itself serves.

1. GET {url}/attestation?nonce=<64 hex>      the toy example's form: a statement signed for this nonce
2. GET {url}/prpc/Worker.Info, and the same at the gateway's `-8090.` name or on port 8090: no nonce, so not fresh
3. the TLS certificate of the connection, when it carries a quote (RA-TLS)

Such a certificate is issued by nobody that TLS knows. It is taken where a named authority vouches for it (--ca-file),
or with `ra_tls`, which turns TLS verification off and asks for the certificate before 2.

Falling back never hides anything: without an answer to the nonce the verdict says that freshness was not shown. An
endpoint that exists and fails (a status other than 404 or 405) is an error, not a reason to look elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TypeGuard

from twinproof.errors import Unavailable
from twinproof.evidence.evidence import Challenge, Evidence, Origin
from twinproof.sources import clock
from twinproof.sources.answers import read_attestation, read_guest_info
from twinproof.sources.http import Fetched, HttpClient
from twinproof.urls import base_url, masked, origin, split_url
from twinproof.wire import shown

__all__ = ["fetch_evidence", "info_urls"]

AGENT_PORT = 8090
_GATEWAY_NAME = re.compile(r"(?P<id>[0-9a-f]{40})(?:-\d{1,5}[sg]?)?", re.ASCII)
_RA_TLS_ARC = bytes.fromhex("2b0601040183e73d01")  # 1.3.6.1.4.1.62397.1, as it stands in a certificate
_OK, _SERVER_ERROR = 200, 500
_NO_ENDPOINT = {404, 405}


def fetch_evidence(url: str, challenge: Challenge, http: HttpClient, *, ra_tls: bool = False) -> Evidence:
    """Evidence of the instance at `url`. Raises Unavailable (naming each address tried), Malformed, UsageError."""
    where = f"{base_url(url)}/attestation"
    try:
        answer = http.get(
            f"{where}?nonce={challenge.nonce.hex()}", max_bytes=http.limits.attestation, verify_tls=not ra_tls
        )
    except Unavailable:
        certificate = http.peer_certificate(url) if ra_tls and origin(url)[0] == "https" else None
        if not _carries_quote(certificate):
            raise
        return _ra_tls_evidence(url, certificate)  # whatever is spoken above TLS, the quote is below it
    tried: list[str] = []
    if answer.status in _NO_ENDPOINT:
        tried.append(f"{masked(where)}: no such endpoint (status {answer.status})")
    else:
        _expect_attestation(answer)
        try:
            return _live(read_attestation(answer.body, masked(where), url), answer, challenge)
        except Unavailable as error:
            tried.append(str(error))
    if ra_tls and _carries_quote(answer.tls_certificate):
        return _ra_tls_evidence(url, answer.tls_certificate)
    for address in info_urls(url):
        try:
            return _guest_info(url, address, http, verify_tls=not ra_tls)
        except Unavailable as error:
            tried.append(str(error))
    if _carries_quote(answer.tls_certificate):
        return _ra_tls_evidence(url, answer.tls_certificate)
    raise Unavailable(
        "no attestation found: " + "; ".join(tried),
        where=masked(url),
        hint="the app needs /attestation, or dstack's port 8090 has to be reachable",
    )


def info_urls(url: str) -> Iterator[str]:
    """Where dstack's own answer may be: here, at the gateway's name for port 8090, on port 8090 of this host."""
    yield base_url(url)
    parts = split_url(url)
    host = parts.hostname or ""
    name, dot, domain = host.partition(".")
    match = _GATEWAY_NAME.fullmatch(name)
    if match and dot:
        sibling = f"{match['id']}-{AGENT_PORT}"
        if sibling != name:
            yield f"{parts.scheme}://{sibling}.{domain}" + (f":{parts.port}" if parts.port else "")
    elif parts.port != AGENT_PORT:
        yield f"http://[{host}]:{AGENT_PORT}" if ":" in host else f"http://{host}:{AGENT_PORT}"


def _expect_attestation(answer: Fetched) -> None:
    if answer.status != _OK:
        raise Unavailable(
            f"the instance refused to attest (status {answer.status})",
            where=masked(answer.url),
            got=shown(answer.body[:200].decode("utf-8", "replace"), 200),
            hint="ask its operator: the endpoint is there and does not work" if answer.status >= _SERVER_ERROR else "",
        )


def _guest_info(url: str, address: str, http: HttpClient, *, verify_tls: bool) -> Evidence:
    answer = http.get(f"{address}/prpc/Worker.Info", max_bytes=http.limits.guest_info, verify_tls=verify_tls)
    where = masked(answer.url)
    if answer.status != _OK:
        raise Unavailable(f"no guest agent (status {answer.status})", where=where)
    return _live(read_guest_info(answer.body, where, url), answer, None)


def _live(evidence: Evidence, answer: Fetched, challenge: Challenge | None) -> Evidence:
    return replace(evidence, tls_certificate=answer.tls_certificate, challenge=challenge, fetched_at=clock.now())


def _carries_quote(certificate: bytes | None) -> TypeGuard[bytes]:
    """Whether dstack's extensions are in it; what they say is read, strictly, by the verifier."""
    return certificate is not None and _RA_TLS_ARC in certificate


def _ra_tls_evidence(url: str, certificate: bytes) -> Evidence:
    return Evidence(
        source=url,
        origin=Origin.RA_TLS,
        ra_tls_certificate=certificate,
        tls_certificate=certificate,
        fetched_at=clock.now(),
    )
