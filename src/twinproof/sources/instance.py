"""Ask one instance for its evidence: the app's own endpoint first, then what dstack itself serves.

1. GET {url}/attestation?nonce=<64 hex>      the toy example's form: a statement signed for this nonce
2. GET {url}/prpc/Worker.Info, and the same on port 8090 or at the gateway's `-8090.` name: no nonce, so not fresh
3. with `ra_tls`, the certificate of the TLS connection

Falling back never hides anything: without an answer to the nonce the verdict says that freshness was not shown. An
endpoint that exists and fails (a status other than 404 or 405) is an error, not a reason to look elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from twinproof.dstack.guest_info import parse_guest_info
from twinproof.errors import EvidenceError, Malformed, TwinproofError, Unavailable
from twinproof.evidence.evidence import Challenge, Evidence, Origin
from twinproof.sources import clock
from twinproof.sources.http import Fetched, HttpClient, masked, split_url
from twinproof.wire import parse_object, shown

__all__ = ["fetch_evidence", "info_urls"]

SCHEMA = "toy-example/attestation/v1"
_MEMBERS = {"schema", "quote", "statement", "event_log", "vm_config", "app_compose"}
_GATEWAY_PORT = re.compile(r"(?P<id>[0-9a-f]{40})(?:-\d{1,5}[sg]?)?", re.ASCII)
_AGENT_PORT = 8090


def fetch_evidence(url: str, challenge: Challenge, http: HttpClient, *, ra_tls: bool = False) -> Evidence:
    """Evidence of the instance at `url`. Raises Unavailable, Malformed, UsageError."""
    split_url(url)
    base = url.rstrip("/")
    answer = http.get(
        f"{base}/attestation?nonce={challenge.nonce.hex()}",
        max_bytes=http.limits.attestation,
        verify_tls=not ra_tls,
    )
    evidence = _toy_example(answer, url, challenge)
    if evidence is not None:
        return evidence
    if ra_tls and answer.tls_certificate is not None:
        return Evidence(
            source=url,
            origin=Origin.RA_TLS,
            ra_tls_certificate=answer.tls_certificate,
            tls_certificate=answer.tls_certificate,
            fetched_at=clock.now(),
        )
    return _guest_info(url, answer, http)


def _toy_example(answer: Fetched, url: str, challenge: Challenge) -> Evidence | None:
    """None when the instance has no such endpoint."""
    where = masked(answer.url)
    if answer.status in (404, 405):
        return None
    if answer.status != 200:
        raise Unavailable(
            f"the instance refused to attest (status {answer.status})",
            where=where,
            got=shown(answer.body[:200].decode("utf-8", "replace"), 200),
        )
    if answer.body.lstrip()[:1] == b"<" and "json" not in answer.headers.get("content-type", ""):
        return None  # a web app that answers every path with its page
    fields = parse_object(answer.body, where, max_bytes=len(answer.body))
    if "quote" not in fields and "schema" not in fields:
        return None
    schema = fields.text("schema", max_chars=100)
    if schema != SCHEMA:
        raise Malformed(
            "an attestation of an unknown form", where=f"{where}.schema", got=shown(schema), expected=SCHEMA
        )
    unknown = set(fields.raw) - _MEMBERS
    if unknown:
        raise Malformed("unknown member", where=where, got=shown(min(unknown), 40))
    most = len(answer.body)
    return Evidence(
        source=url,
        origin=Origin.TOY_EXAMPLE,
        quote=fields.hex("quote", max_size=64 * 1024),
        statement=fields.text("statement", max_chars=most),
        event_log=fields.text("event_log", max_chars=most),
        vm_config=fields.text("vm_config", max_chars=most),
        app_compose=fields.text("app_compose", max_chars=most),
        tls_certificate=answer.tls_certificate,
        challenge=challenge,
        fetched_at=clock.now(),
    )


def info_urls(url: str) -> Iterator[str]:
    """Where dstack's own answer may be: here, at the gateway's name for port 8090, on port 8090 of this host."""
    parts = urlsplit(url)
    yield url.rstrip("/")
    host = parts.hostname or ""
    name, dot, domain = host.partition(".")
    match = _GATEWAY_PORT.fullmatch(name)
    if match and dot:
        port = f":{parts.port}" if parts.port else ""
        yield f"{parts.scheme}://{match['id']}-{_AGENT_PORT}.{domain}{port}"
    elif parts.port != _AGENT_PORT:
        bracketed = f"[{host}]" if ":" in host else host
        yield f"http://{bracketed}:{_AGENT_PORT}"


def _guest_info(url: str, first: Fetched, http: HttpClient) -> Evidence:
    tried = [f"{masked(first.url)}: no attestation endpoint (status {first.status})"]
    for base in dict.fromkeys(info_urls(url)):
        try:
            return _info_evidence(url, base, http)
        except EvidenceError:
            raise
        except TwinproofError as error:
            tried.append(str(error))
    raise Unavailable(
        "no attestation found at " + "; ".join(tried),
        where=masked(url),
        hint="the app needs /attestation, or dstack's port 8090 has to be reachable with public_tcbinfo",
    )


def _info_evidence(url: str, base: str, http: HttpClient) -> Evidence:
    answer = http.get(f"{base}/prpc/Worker.Info", max_bytes=http.limits.guest_info)
    where = masked(answer.url)
    if answer.status != 200 or answer.body.lstrip()[:1] != b"{":
        raise Unavailable(f"no guest agent there (status {answer.status})", where=where)
    try:
        text = answer.body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8", where=where) from error
    info = parse_guest_info(text)
    if info.app_cert is None:
        raise Unavailable("the guest agent shows no certificate with a quote", where=where)
    return Evidence(
        source=url,
        origin=Origin.GUEST_INFO,
        ra_tls_certificate=info.app_cert,
        guest_info=text,
        vm_config=info.vm_config,
        fetched_at=clock.now(),
    )
