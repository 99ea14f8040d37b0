"""Small HTTP servers on loopback, on a port that the system picks. An answer may be a stream that never ends."""

from __future__ import annotations

import contextlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from urllib.parse import parse_qs, urlsplit

__all__ = ["Answer", "Handler", "LoopbackServer", "Request", "Service"]

MAX_REQUEST_BYTES = 1 << 20
IDLE_SECONDS = 30.0
_STOP_SECONDS = 5.0
_OK, _NO_CONTENT, _TOO_LARGE, _LENGTH_REQUIRED = 200, 204, 413, 411


@dataclass(frozen=True, slots=True)
class Request:
    """`target` is the path with its query, as it was sent; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    def query(self, name: str) -> str:
        """The parameter's only value; empty when it is absent or there are several."""
        values = parse_qs(urlsplit(self.target).query, keep_blank_values=True).get(name, [])
        return values[0] if len(values) == 1 else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is bytes, or pieces that are sent as they come; then the connection's end ends the body."""

    body: bytes | Iterator[bytes]
    status: int = _OK
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Answer]


class LoopbackServer:
    """Serves until it is closed. Closing ends endless answers too."""

    def __init__(self, handler: Handler) -> None:
        self.closing = Event()
        self._server = _Server(handler, self.closing)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Within seconds, whatever clients do."""
        if self.closing.is_set():
            return
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_STOP_SECONDS)


class Service(ABC):
    """Something with a server of its own, from here until it is closed: whoever inherits begins with this last."""

    def __init__(self) -> None:
        self._server = LoopbackServer(self.answer)

    @property
    def url(self) -> str:
        return self._server.url

    def close(self) -> None:
        self._server.close()

    @abstractmethod
    def answer(self, request: Request) -> Answer:
        """One request, without a socket. A ConnectionError ends the connection unanswered."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, handler: Handler, closing: Event) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.handler, self.closing = handler, closing

    def handle_error(self, request: object, client_address: object) -> None:
        """Only a client that goes away is silent; anything else is a bug of ours and shows."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: the second would wait for an acknowledgement
    timeout = IDLE_SECONDS
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        """Silent: the world prints what matters."""

    def version_string(self) -> str:
        return "twinproof-devnet"

    def _serve(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.send_error(_LENGTH_REQUIRED)
            return
        if int(length) > MAX_REQUEST_BYTES:
            self.send_error(_TOO_LARGE)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self.server.handler(Request(self.command, self.path, headers, self.rfile.read(int(length)))))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status == _NO_CONTENT:
            self.end_headers()
            return
        if isinstance(answer.body, bytes):
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            return
        self.close_connection = True
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):
            for piece in answer.body:
                if self.server.closing.is_set():
                    return
                self.wfile.write(piece)
                self.wfile.flush()
