"""A connection that ends: one deadline and one number of bytes cover everything that is read from it.

The timeout of a socket is for one read, so a server that sends a byte now and then holds its reader for ever; and a
limit on the body says nothing about headers, chunk sizes and trailers. Here every read takes from one `Allowance`.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Allowance", "NoConnectionError", "TlsSocket", "connected"]

Address = tuple[int, int, int, Any]


_ROUNDING = 0.05  # seconds; a timer may end a little early


class NoConnectionError(OSError):
    """No address of the host took the connection; the text says why, for a reader."""


class Allowance:
    """What one request may still take: seconds and bytes."""

    def __init__(self, seconds: float, size: int) -> None:
        self._end = time.monotonic() + seconds
        self._left = size
        self.late = False
        self.overrun = False

    def seconds(self) -> float:
        """More than 0. Raises TimeoutError when the time is up, and remembers it."""
        left = self._end - time.monotonic()
        if left <= 0:
            self.late = True
            raise TimeoutError("the time is up")
        return left

    def take(self, size: int) -> None:
        """Count bytes that came. Raises OSError when there are too many, and remembers it."""
        self._left -= size
        if self._left < 0:
            self.overrun = True
            raise OSError("too many bytes")

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Notice when a wait for the rest of the time was in vain."""
        try:
            yield
        except TimeoutError:
            self.late = self.late or time.monotonic() > self._end - _ROUNDING
            raise


def _metered(sock: socket.socket, allowance: Allowance, read: Callable[[], int]) -> int:
    sock.settimeout(allowance.seconds())
    with allowance.waiting():
        count = read()
    allowance.take(count)
    return count


class _Socket(socket.socket):
    allowance: Allowance | None = None

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        read = partial(super().recv_into, buffer, nbytes, flags)
        return read() if self.allowance is None else _metered(self, self.allowance, read)


class TlsSocket(ssl.SSLSocket):
    """For `SSLContext.sslsocket_class`; bytes are counted after decryption."""

    allowance: Allowance | None = None

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        read = partial(super().recv_into, buffer, nbytes, flags)
        return read() if self.allowance is None else _metered(self, self.allowance, read)


def connected(
    host: str, port: int, allowance: Allowance, *, connect_timeout: float, tls: ssl.SSLContext | None
) -> socket.socket:
    """A socket to the first address that takes it, after the TLS handshake. The caller closes it. Raises OSError."""
    plain = _connect(host, port, allowance, connect_timeout)
    plain.allowance = allowance
    if tls is None:
        return plain
    try:
        plain.settimeout(allowance.seconds())
        with allowance.waiting():  # one timeout covers the whole handshake
            secure = tls.wrap_socket(plain, server_hostname=host.rstrip("."))
    except BaseException:
        plain.close()
        raise
    if isinstance(secure, TlsSocket):
        secure.allowance = allowance
    return secure


def _connect(host: str, port: int, allowance: Allowance, connect_timeout: float) -> _Socket:
    reason = ""
    for family, kind, protocol, address in _addresses(host, port, allowance):
        sock = _Socket(family, kind, protocol)
        try:
            sock.settimeout(min(connect_timeout, allowance.seconds()))
            with allowance.waiting():
                sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            allowance.seconds()
            reason = "does not answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise NoConnectionError(f"no connection to {host} port {port}: {reason}")


def _addresses(host: str, port: int, allowance: Allowance) -> Sequence[Address]:
    """Look the host up. The system's resolver takes no deadline, so it runs in a thread that is left alone if late."""
    answers: queue.SimpleQueue[Sequence[Address] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([(family, kind, protocol, address) for family, kind, protocol, _, address in found])
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))

    threading.Thread(target=look_up, name=f"lookup {host}", daemon=True).start()
    try:
        found = answers.get(timeout=allowance.seconds())
    except queue.Empty:
        allowance.late = True
        raise TimeoutError("the name service does not answer") from None
    if isinstance(found, OSError):
        raise NoConnectionError(f"no address of {host}: {found.strerror or found}") from found
    return found
