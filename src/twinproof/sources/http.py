"""GET, bounded in bytes and in time. Whatever the other side does, the answer is bytes or Unavailable, soon.

Clients of this kind time single reads, so a server that sends a byte now and then could hold them for ever; here one
timer covers the whole request, and cuts the connection. Redirects stay on their host. Nothing is decompressed.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from threading import Event, Thread
from urllib.parse import SplitResult, urljoin, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from twinproof.errors import Unavailable, UsageError
from twinproof.sources.limits import Limits
from twinproof.wire import shown

__all__ = ["Fetched", "HttpClient", "masked", "split_url"]

USER_AGENT = "twinproof"
_CHUNK = 64 * 1024
_REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True, slots=True)
class Fetched:
    """One answer, whatever its status. Header names are lower case. `tls_certificate` is the peer's, DER."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    tls_certificate: bytes | None


def split_url(url: str) -> SplitResult:
    """Only http and https, with a host, without user or password. Raises UsageError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError("not a URL", got=shown(url), hint="https://host or http://host:port") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise UsageError("not an http or https URL", got=shown(masked(url)), hint="https://host or http://host:port")
    if parts.username is not None or parts.password is not None:
        raise UsageError("a URL with a user or a password", got=shown(masked(url)), hint="leave them out")
    if not url.isascii() or any(character <= " " for character in url):
        raise UsageError("a URL with characters that belong encoded", got=shown(url))
    return parts


def masked(url: str) -> str:
    """The URL without user, password and query, for messages."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return scheme + separator + host.rpartition("@")[2] + slash + path.partition("?")[0]


class HttpClient:
    """Holds the limits and the TLS settings; one connection per request."""

    def __init__(self, limits: Limits | None = None, *, ca_file: str | None = None) -> None:
        self.limits = limits or Limits()
        try:
            self._verified = ssl.create_default_context(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(
                "cannot read certificate authorities", where=f"--ca-file {ca_file}", got=str(error)
            ) from error
        self._unverified = ssl.create_default_context()
        self._unverified.check_hostname = False
        self._unverified.verify_mode = ssl.CERT_NONE  # for RA-TLS alone: there the quote vouches for the key

    def get(self, url: str, *, max_bytes: int, verify_tls: bool = True) -> Fetched:
        """GET with redirects on the same host followed. Raises Unavailable; UsageError for what is no URL."""
        first = url
        for _ in range(self.limits.max_redirects + 1):
            answer = self._get_once(url, max_bytes, verify_tls=verify_tls)
            target = answer.headers.get("location")
            if answer.status not in _REDIRECTS or target is None:
                return answer
            url = _same_host(url, target)
        raise Unavailable("too many redirects", where=masked(first), expected=f"at most {self.limits.max_redirects}")

    def _get_once(self, url: str, max_bytes: int, *, verify_tls: bool) -> Fetched:
        parts = split_url(url)
        where = masked(url)
        path = parts.path or "/"
        if parts.query:
            path += f"?{parts.query}"
        connection = self._connection(parts, verify_tls=verify_tls)
        with _deadline(connection, self.limits.total_timeout) as late:
            try:
                connection.connect()
                certificate = _peer_certificate(connection)
                connection.request(
                    "GET",
                    path,
                    headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"},
                    preload_content=False,
                    decode_content=False,
                )
                response = connection.getresponse()
                body = _body(response, max_bytes, where)
            except Unavailable:
                raise
            except (HTTPError, HTTPException, OSError, ValueError) as error:
                if late.is_set():
                    raise Unavailable(
                        "no complete answer in time", where=where, expected=f"within {self.limits.total_timeout:g} s"
                    ) from error
                raise _unavailable(error, where) from error
        if late.is_set():
            raise Unavailable(
                "no complete answer in time", where=where, expected=f"within {self.limits.total_timeout:g} s"
            )
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Fetched(url, response.status, headers, body, certificate)

    def _connection(self, parts: SplitResult, *, verify_tls: bool) -> _Plain | _Tls:
        timeout = min(self.limits.connect_timeout, self.limits.total_timeout)
        host = parts.hostname or ""
        if parts.scheme == "http":
            return _Plain(host, parts.port, timeout=timeout)
        context = self._verified if verify_tls else self._unverified
        return _Tls(host, parts.port, timeout=timeout, ssl_context=context)


class _Cuttable:
    """Keeps a second handle on the connection, which works in every phase, the TLS handshake included."""

    _handle: socket.socket | None = None

    def keep(self, sock: socket.socket) -> socket.socket:
        self._handle = socket.socket(fileno=os.dup(sock.fileno()))
        return sock

    def cut(self) -> None:
        if self._handle is not None:
            with suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)

    def drop(self) -> None:
        if self._handle is not None:
            self._handle.close()


class _Plain(HTTPConnection, _Cuttable):
    def _new_conn(self) -> socket.socket:
        return self.keep(super()._new_conn())


class _Tls(HTTPSConnection, _Cuttable):
    def _new_conn(self) -> socket.socket:
        return self.keep(super()._new_conn())


@contextmanager
def _deadline(connection: _Plain | _Tls, seconds: float) -> Iterator[Event]:
    """Cut the connection after `seconds`, whatever it is doing; the event says whether that happened."""
    late, done = Event(), Event()

    def watch() -> None:
        if not done.wait(seconds):
            late.set()
            connection.cut()
            while not done.wait(0.1):  # a connection that was only being made when the time was up
                connection.cut()

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield late
    finally:
        done.set()
        watcher.join()
        connection.close()
        connection.drop()


def _peer_certificate(connection: HTTPConnection) -> bytes | None:
    sock = connection.sock
    return sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None


def _body(response: HTTPResponse, max_bytes: int, where: str) -> bytes:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Unavailable("a compressed answer was not asked for", where=where, got=shown(encoding, 40))
    length = response.headers.get("content-length", "")
    if length.isdigit() and len(length) < 20 and int(length) > max_bytes:
        raise Unavailable(
            "the answer is too large", where=where, got=f"{length} bytes", expected=f"at most {max_bytes}"
        )
    body = bytearray()
    for chunk in response.stream(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > max_bytes:
            raise Unavailable("the answer is too large", where=where, got="more", expected=f"at most {max_bytes} bytes")
    return bytes(body)


def _same_host(url: str, target: str) -> str:
    new = urljoin(url, target)
    try:
        old_parts, new_parts = split_url(url), split_url(new)
    except UsageError as error:
        raise Unavailable("redirected to what is no URL", where=masked(url), got=shown(target)) from error
    if (old_parts.scheme, old_parts.netloc) != (new_parts.scheme, new_parts.netloc):
        raise Unavailable(
            "redirected to another host",
            where=masked(url),
            got=shown(masked(new)),
            expected=f"{old_parts.scheme}://{old_parts.netloc}",
            hint="give that URL yourself if it is the instance you mean",
        )
    return new


def _unavailable(error: Exception, where: str) -> Unavailable:
    reason = shown(str(error.__cause__ or error.args[-1] if error.args else error), 160)
    hint = ""
    if isinstance(error, ssl.SSLError) or "certificate" in reason.lower() or "ssl" in type(error).__name__.lower():
        hint = "the certificate is not valid here: --ca-file names another authority, --ra-tls trusts the quote in it"
    elif "refused" in reason.lower():
        hint = "nothing listens there: is the instance up, and is this its port?"
    return Unavailable(f"no answer ({type(error).__name__}: {reason})", where=where, hint=hint)
