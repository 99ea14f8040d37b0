"""A guest agent: a unix socket for the official SDK clients, and what dstack shows the world on port 8090.

The socket speaks the little HTTP that these clients speak, with their habits: one of them takes the end of the
connection for the end of the answer and counts characters as bytes, so answers are ASCII, have a Content-Length, and
the connection is closed as soon as the client has closed its half.
"""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from threading import Lock, Thread
from typing import cast
from urllib.parse import parse_qsl, urlsplit

from twinproof_devnet.guest_methods import call, call_worker
from twinproof_devnet.instance import Attester
from twinproof_devnet.loopback import Answer, LoopbackServer, Request

__all__ = ["GuestAgent"]

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 10 << 20
IDLE_SECONDS = 30.0
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found"}


class GuestAgent:
    """Serves one VM until it is closed: at `socket` for its app, at `url` for everyone."""

    def __init__(self, vm: Attester, path: Path) -> None:
        self.vm, self.socket = vm, path
        path.unlink(missing_ok=True)
        self._server = _Server(str(path), vm)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        self._outside = LoopbackServer(self._answer_outside)

    @property
    def url(self) -> str:
        """The routes of port 8090, on a loopback port that the system picked."""
        return self._outside.url

    def close(self) -> None:
        self._outside.close()
        self._server.shutdown()
        self._server.server_close()
        self._server.end_connections()
        self._thread.join(5.0)
        self.socket.unlink(missing_ok=True)

    def _answer_outside(self, request: Request) -> Answer:
        headers = {"X-App-Version": self.vm.guest_version}
        if request.path == "/":
            page = "<!doctype html><title>dstack guest agent</title><p>simulated hardware, NOT INTEL</p>"
            return Answer(page.encode(), content_type="text/html", headers=headers)
        if not request.path.startswith("/prpc/"):
            return Answer(b"", status=404, content_type="text/plain", headers=headers)
        method = request.path.removeprefix("/prpc/").removeprefix("Worker.")
        try:
            members = _members(_Head(request.method, request.target, len(request.body)), request.body)
            status, body = call_worker(self.vm, method, members)
        except (ValueError, RecursionError) as error:
            status, body = 400, json.dumps({"error": f"invalid request: {error}"}).encode()
        return Answer(body, status=status, headers=headers)


@dataclass(frozen=True, slots=True)
class _Head:
    """`length` is the body's, in bytes."""

    method: str
    target: str
    length: int


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, path: str, vm: Attester) -> None:
        self.vm = vm
        self._open: set[socket.socket] = set()
        self._lock = Lock()
        super().__init__(path, _Connection)

    def get_request(self) -> tuple[socket.socket, str]:
        connection, address = super().get_request()
        with self._lock:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        with self._lock:
            self._open.discard(cast(socket.socket, request))
        super().shutdown_request(request)

    def end_connections(self) -> None:
        """Clients that keep theirs open are cut off: a VM that is gone answers nobody."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Only a client that goes away is silent; anything else is a bug of ours and shows."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def _read_head(stream: BufferedIOBase) -> _Head | None:
    """None at the end of the connection. ValueError for what is not HTTP."""
    line = stream.readline(MAX_HEAD_BYTES)
    if not line.strip():
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    length = 0
    for _ in range(100):
        line = stream.readline(MAX_HEAD_BYTES)
        if line in (b"\r\n", b"\n", b""):
            return _Head(method, target, length)
        name, _, value = line.decode("latin-1").partition(":")
        if name.strip().lower() == "content-length":
            length = int(value)
    raise ValueError("too many headers")


def _members(head: _Head, body: bytes) -> Mapping[str, object]:
    """GET carries its arguments in the query; an empty body is all defaults."""
    if head.method == "GET":
        return dict(parse_qsl(urlsplit(head.target).query, keep_blank_values=True))
    value = json.loads(body) if body.strip() else {}
    if not isinstance(value, dict):
        raise ValueError("invalid request: expected an object")  # noqa: TRY004  (it becomes a 400 answer)
    return value


def _read_request(stream: BufferedIOBase) -> tuple[str, Mapping[str, object]] | None:
    """The path without its first slash, and the members. None at the end; ValueError for what is not a request."""
    head = _read_head(stream)
    if head is None:
        return None
    if not 0 <= head.length <= MAX_BODY_BYTES:
        raise ValueError("request body too large")
    body = stream.read(head.length)
    if len(body) != head.length:
        raise ValueError("the body is shorter than its Content-Length")
    return urlsplit(head.target).path.removeprefix("/"), _members(head, body)


class _Connection(socketserver.StreamRequestHandler):
    timeout = IDLE_SECONDS
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while self._serve_one():
                pass

    def _serve_one(self) -> bool:
        """Answer one request; False when the connection is over."""
        try:
            request = _read_request(self.rfile)
        except (ValueError, RecursionError) as error:
            # The rest of a request that was cut short may still be on its way: swallow it until the client ends.
            self._send(400, json.dumps({"error": f"invalid request: {error}"}).encode())
            self._swallow()
            return False
        if request is None:
            return False
        path, members = request
        if "/" in path or not path:
            self._send(404, b'{"error":"not found"}')
        else:
            self._send(*call(self.server.vm, path, members))
        return True

    def _send(self, status: int, body: bytes) -> None:
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.wfile.write(head.encode() + body)
        self.wfile.flush()

    def _swallow(self) -> None:
        for _ in range(1000):
            if not self.rfile.read1(65536):
                return
