"""A man in the middle in front of the enclave app: it changes, replays, delays or replaces the app's answers.

Only /attestation is touched; everything else passes. What it does is what a dishonest host or gateway could do.
"""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import re
import secrets
from collections.abc import Callable, Iterator
from threading import Lock
from urllib.parse import urlsplit

from twinproof_devnet.faults import Fault
from twinproof_devnet.loopback import Answer, LoopbackServer, Request

__all__ = ["Front"]

UPSTREAM_SECONDS = 30.0
MAX_ANSWER_BYTES = 16 << 20
_OK, _FOUND, _SERVER_ERROR, _BAD_GATEWAY = 200, 302, 500, 502
_PATH = "/attestation"
_MRTD_START = 48 + 136
_PAGE = b"<!doctype html><html><head><title>Welcome</title></head><body><h1>It works</h1></body></html>"
_PASSED_HEADERS = ("content-type", "accept")


class Front:
    """Listens on loopback and passes everything to `upstream`, but for one fault."""

    def __init__(self, upstream: str, fault: Fault) -> None:
        self._host, self._fault = urlsplit(upstream).netloc, fault
        self._kept: Answer | None = None
        self._lock = Lock()
        self._server = LoopbackServer(self._answer)

    @property
    def url(self) -> str:
        return self._server.url

    def close(self) -> None:
        self._server.close()

    def _answer(self, request: Request) -> Answer:
        if request.path != _PATH:
            return self._pass(request.method, request.target, request)
        replaced = _REPLACEMENTS.get(self._fault)
        if replaced is not None:
            return replaced()
        if self._fault is Fault.REDIRECT_ELSEWHERE:
            port = self._host.rpartition(":")[2]
            location = f"http://localhost:{port}{request.target}"  # the app itself, by another name
            return Answer(b"", status=_FOUND, headers={"Location": location})
        if self._fault is Fault.SILENT:
            self._server.closing.wait()
            return Answer(b"", status=_BAD_GATEWAY)
        if self._fault is Fault.REPLAYED_QUOTE:
            return self._replayed(request)
        nonce = secrets.token_hex(32) if self._fault is Fault.STALE_NONCE else request.query("nonce")
        return self._changed(self._pass("GET", f"{_PATH}?nonce={nonce}", request))

    def _replayed(self, request: Request) -> Answer:
        with self._lock:
            if self._kept is not None:
                return self._kept
            answer = self._pass("GET", f"{_PATH}?nonce={hashlib.sha256(b'yesterday').hexdigest()}", request)
            self._kept = answer if answer.status == _OK else None
            return answer

    def _changed(self, answer: Answer) -> Answer:
        change = _CHANGES.get(self._fault)
        if change is not None and isinstance(answer.body, bytes):
            return Answer(change(answer.body), content_type=answer.content_type)
        if self._fault is Fault.SLOW and isinstance(answer.body, bytes):
            return Answer(self._trickle(answer.body))
        if self._fault is Fault.CUT_SHORT and isinstance(answer.body, bytes):
            half = answer.body[: len(answer.body) // 2]
            return Answer(iter([half]), headers={"Content-Length": str(len(answer.body))})
        return answer

    def _trickle(self, body: bytes) -> Iterator[bytes]:
        for byte in body:
            yield bytes([byte])
            self._server.closing.wait(1.0)

    def _pass(self, method: str, target: str, request: Request) -> Answer:
        connection = http.client.HTTPConnection(self._host, timeout=UPSTREAM_SECONDS)
        headers = {name: request.headers[name] for name in _PASSED_HEADERS if name in request.headers}
        try:
            connection.request(method, target, request.body or None, headers)
            answer = connection.getresponse()
            body = answer.read(MAX_ANSWER_BYTES)
            return Answer(body, answer.status, answer.headers.get("content-type", "application/octet-stream"))
        except (OSError, http.client.HTTPException):
            return Answer(b'{"error": "the app does not answer"}', status=_BAD_GATEWAY)
        finally:
            connection.close()


def _edit(change: Callable[[dict[str, object]], None]) -> Callable[[bytes], bytes]:
    """Change the JSON answer; an answer of another shape (an error) is passed on."""

    def edit(body: bytes) -> bytes:
        document = json.loads(body)
        if "quote" not in document:
            return body
        change(document)
        return json.dumps(document).encode()

    return edit


def _forge_quote(document: dict[str, object]) -> None:
    quote = bytearray.fromhex(str(document["quote"]))
    quote[_MRTD_START] ^= 1
    document["quote"] = quote.hex()


def _forge_event(document: dict[str, object]) -> None:
    events = json.loads(str(document["event_log"]))
    for event in events:
        if event["event"] == "compose-hash":
            event["event_payload"] = hashlib.sha256(b"another compose file").hexdigest()
    document["event_log"] = json.dumps(events, separators=(",", ":"))


def _edit_statement(document: dict[str, object]) -> None:
    document["statement"] = re.sub(r'"version":"[^"]*"', '"version":"9.9.9"', str(document["statement"]))


def _swap_compose(document: dict[str, object]) -> None:
    """A reader would see a pinned image of another name."""
    document["app_compose"] = str(document["app_compose"]).replace("toy-example", "audited-example")


def _not_hex(document: dict[str, object]) -> None:
    document["quote"] = "zz" + str(document["quote"])[2:]


def _wrong_types(document: dict[str, object]) -> None:
    document["quote"] = 4


def _duplicate_key(body: bytes) -> bytes:
    return b'{"schema":"toy-example/attestation/v1",' + body.lstrip()[1:]


def _endless() -> Answer:
    return Answer(itertools.chain([b'{"quote": "'], itertools.repeat(b"00" * 32_768)))


_CHANGES: dict[Fault, Callable[[bytes], bytes]] = {
    Fault.FORGED_QUOTE: _edit(_forge_quote),
    Fault.FORGED_EVENT: _edit(_forge_event),
    Fault.EDITED_STATEMENT: _edit(_edit_statement),
    Fault.SWAPPED_COMPOSE: _edit(_swap_compose),
    Fault.NOT_HEX: _edit(_not_hex),
    Fault.WRONG_TYPES: _edit(_wrong_types),
    Fault.DUPLICATE_KEYS: _duplicate_key,
}
_REPLACEMENTS: dict[Fault, Callable[[], Answer]] = {
    Fault.HTML_INSTEAD_OF_JSON: lambda: Answer(_PAGE, content_type="text/html; charset=utf-8"),
    Fault.SERVER_ERROR: lambda: Answer(b'{"error": "internal"}', status=_SERVER_ERROR),
    Fault.ENDLESS_RESPONSE: _endless,
}
