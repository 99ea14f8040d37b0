"""HTTP requests, bounded in bytes and in time. Whatever the other side does, the answer is bytes or Unavailable, soon.

One deadline covers a request with its redirects, which stay on their host. Nothing is decompressed, no cookies are
kept, and proxies of the environment are not used: the connection goes where the URL says.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING

from twinproof.errors import Unavailable, UsageError
from twinproof.sources.bounded_socket import Allowance, TlsSocket, connected
from twinproof.sources.http_failures import explained
from twinproof.sources.limits import Limits
from twinproof.urls import joined, masked, origin, split_url
from twinproof.wire import shown

if TYPE_CHECKING:
    from urllib3.response import HTTPResponse

__all__ = ["Fetched", "HttpClient"]

USER_AGENT = "twinproof"
_REQUEST_HEADERS = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"}
_CHUNK = 64 * 1024
_HEADERS = 1 << 20  # of one request, redirects included; a chunked body may take as much again as it holds
_OK = 200
_REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True, slots=True)
class Fetched:
    """One answer, whatever its status. Header names are lower case. `tls_certificate` is the peer's, DER.

    The body of a status other than 200 is cut off at `Limits.error_body`: it is for a message.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    tls_certificate: bytes | None


class HttpClient:
    """Holds the limits and the TLS settings, one connection per request; may be shared by threads."""

    def __init__(self, limits: Limits | None = None, *, ca_file: str | None = None) -> None:
        self.limits = limits or Limits()
        self._lock = threading.Lock()
        self._contexts: dict[bool, ssl.SSLContext] = {}
        if ca_file is not None:  # a mistake of the user, to be told before anything is asked
            self._contexts[True] = _verifying(ca_file)

    def get(self, url: str, *, max_bytes: int, verify_tls: bool = True) -> Fetched:
        """GET with redirects on the same host followed. Raises Unavailable; UsageError for what is no URL."""
        split_url(url)
        first, hops = url, self.limits.max_redirects
        allowance = Allowance(self.limits.total_timeout, 2 * max_bytes + _HEADERS)
        for _ in range(hops + 1):
            answer = self._once("GET", url, None, max_bytes, allowance, verify_tls=verify_tls)
            target = answer.headers.get("location")
            if answer.status not in _REDIRECTS or target is None:
                return answer
            url = _same_host(url, target)
        raise Unavailable("too many redirects", where=masked(first), expected=f"at most {hops}")

    def post(self, url: str, body: bytes, *, max_bytes: int) -> Fetched:
        """POST a JSON document. Redirects are not followed: what was sent is not sent elsewhere. Raises Unavailable."""
        split_url(url)
        allowance = Allowance(self.limits.total_timeout, 2 * max_bytes + _HEADERS)
        return self._once("POST", url, body, max_bytes, allowance, verify_tls=True)

    def send(self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str], max_bytes: int) -> Fetched:
        """Any method with headers of the caller's; the body is whole whatever the status. Redirects are not followed.

        Raises Unavailable; UsageError for what is no URL. What was sent stands in neither.
        """
        split_url(url)
        allowance = Allowance(self.limits.total_timeout, 2 * max_bytes + _HEADERS)
        return self._once(
            method, url, body, max_bytes, allowance, verify_tls=True, headers=headers, error_body=max_bytes
        )

    def peer_certificate(self, url: str) -> bytes:
        """DER certificate of an https server, read in a handshake that believes nothing. Raises Unavailable."""
        scheme, host, port = origin(url)
        if scheme != "https":
            raise Unavailable("no certificate without https", where=masked(url))
        allowance = Allowance(self.limits.total_timeout, _HEADERS)
        timeout = self.limits.connect_timeout
        try:
            sock = connected(host, port, allowance, connect_timeout=timeout, tls=self._context(verified=False))
            with sock:
                certificate = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
        except (OSError, ValueError) as error:
            raise explained(error, url, allowance, self.limits) from error
        if certificate is None:
            raise Unavailable("the server showed no certificate", where=masked(url))
        return certificate

    def _once(
        self,
        method: str,
        url: str,
        body: bytes | None,
        max_bytes: int,
        allowance: Allowance,
        *,
        verify_tls: bool,
        headers: Mapping[str, str] | None = None,
        error_body: int | None = None,
    ) -> Fetched:
        # Only a command that fetches something pays for the import.
        from urllib3.connection import HTTPConnection, HTTPSConnection  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        scheme, host, port = origin(url)
        parts = split_url(url)
        context = self._context(verified=verify_tls) if scheme == "https" else None
        try:
            with contextlib.ExitStack() as stack:
                sock = connected(host, port, allowance, connect_timeout=self.limits.connect_timeout, tls=context)
                stack.callback(sock.close)
                certificate = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
                connection = (HTTPConnection if context is None else HTTPSConnection)(host, port)
                stack.callback(connection.close)
                connection.sock = sock
                kind = {} if body is None else {"Content-Type": "application/json"}
                connection.request(
                    method,
                    (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
                    body=body,
                    headers={**_REQUEST_HEADERS, **kind, **(headers or {})},
                    preload_content=False,
                    decode_content=False,
                )
                response = connection.getresponse()
                stack.callback(response.close)
                if response.status == _OK:
                    received = _whole_body(response, max_bytes, masked(url))
                else:
                    received = _start_of_body(response, min(max_bytes, error_body or self.limits.error_body))
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            raise explained(error, url, allowance, self.limits) from error
        answered = {name.lower(): value for name, value in response.headers.items()}
        return Fetched(url, response.status, answered, received, certificate)

    def _context(self, *, verified: bool) -> ssl.SSLContext:
        """Made when it is needed: reading the system's authorities takes longer than judging a file."""
        with self._lock:
            if verified not in self._contexts:
                self._contexts[verified] = _verifying(None) if verified else _believing_nothing()
            return self._contexts[verified]


def _verifying(ca_file: str | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # SSLError is one
        raise UsageError(
            "cannot read certificate authorities",
            where=f"--ca-file {shown(ca_file or 'of the system')}",
            got=shown(error.strerror or str(error)),
            expected="certificates in PEM",
        ) from error
    if ca_file is not None:  # the KMS's authority names no authority key, which Python 3.13 began to ask for
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.sslsocket_class = TlsSocket
    return context


def _believing_nothing() -> ssl.SSLContext:
    """For RA-TLS alone: there the quote in the certificate vouches for the key, and no name does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.sslsocket_class = TlsSocket
    return context


def _whole_body(response: HTTPResponse, max_bytes: int, where: str) -> bytes:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Unavailable("a compressed answer, which was not asked for", where=where, got=shown(encoding, 40))
    length = response.headers.get("content-length", "").strip()
    if length.isascii() and length.isdigit() and int(length[:20]) > max_bytes:
        raise Unavailable(
            "the answer is too large", where=where, got=f"{length[:20]} bytes", expected=f"at most {max_bytes} bytes"
        )
    body = bytearray()
    for chunk in response.stream(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > max_bytes:
            raise Unavailable("the answer is too large", where=where, expected=f"at most {max_bytes} bytes")
    return bytes(body)


def _start_of_body(response: HTTPResponse, size: int) -> bytes:
    """What there is, for a message; an error that ends badly is still that error."""
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    body = bytearray()
    with contextlib.suppress(HTTPError, HTTPException, OSError, ValueError):
        for chunk in response.stream(size, decode_content=False):
            body += chunk
            if len(body) >= size:
                break
    return bytes(body[:size])


def _same_host(url: str, target: str) -> str:
    try:
        new = joined(url, target)
        here, there = origin(url), origin(new)
    except UsageError as error:
        raise Unavailable("redirected to what is no URL", where=masked(url), got=masked(target)) from error
    if here != there:
        scheme, host, port = here
        raise Unavailable(
            "redirected to another host",
            where=masked(url),
            got=masked(new),
            expected=f"{scheme}://{host}:{port}",
            hint="give that URL yourself if it is the one you mean",
        )
    return new
