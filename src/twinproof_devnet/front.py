"""A man in the middle in front of the enclave app: it changes, replays, delays or replaces the app's answers.

Only /attestation is touched; everything else passes. What it does is what a dishonest host or gateway could do.
Without faults it is an honest gateway.
"""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from threading import Lock
from urllib.parse import urlsplit

from twinproof_devnet.faults import Fault
from twinproof_devnet.loopback import Answer, Request, Service

__all__ = ["Front"]

UPSTREAM_SECONDS = 30.0
MAX_ANSWER_BYTES = 16 << 20
_OK, _FOUND, _SERVER_ERROR, _BAD_GATEWAY = 200, 302, 500, 502
_PATH = "/attestation"
_MRTD_START = 48 + 136
_PAGE = b"<!doctype html><html><head><title>Welcome</title></head><body><h1>It works</h1></body></html>"
_PASSED_HEADERS = ("content-type", "accept")
_OWN_HEADERS = frozenset(
    {"connection", "content-length", "content-type", "date", "keep-alive", "server", "transfer-encoding"}
)
"""Of an answer: what this server says for itself."""


class Front(Service):
    """Listens on loopback and passes everything to `upstream`, but for the faults that are on at the moment."""

    def __init__(self, upstream: str, *faults: Fault) -> None:
        self.upstream = upstream
        """URL of the app; may be set to another one while this runs."""
        self._faults = frozenset(faults)
        self._kept: Answer | None = None
        self._lock = Lock()
        super().__init__()

    def switch(self, faults: Iterable[Fault]) -> None:
        """From the next request on, these and no others. An answer that is kept for replays stays kept."""
        self._faults = frozenset(faults)

    def answer(self, request: Request) -> Answer:
        faults = self._faults
        if request.path != _PATH or not faults:
            return self._pass(request.method, request.target, request)
        for fault in sorted(faults & _REPLACEMENTS.keys()):
            return _REPLACEMENTS[fault]()
        if Fault.REDIRECT_ELSEWHERE in faults:
            port = urlsplit(self.upstream).port
            location = f"http://localhost:{port}{request.target}"  # the app itself, by another name
            return Answer(b"", status=_FOUND, headers={"Location": location})
        if Fault.SILENT in faults:
            self._server.closing.wait()
            return Answer(b"", status=_BAD_GATEWAY)
        if Fault.REPLAYED_QUOTE in faults:
            return self._changed(self._replayed(request), faults)
        target = f"{_PATH}?nonce={secrets.token_hex(32)}" if Fault.STALE_NONCE in faults else request.target
        return self._changed(self._pass(request.method, target, request), faults)

    def _replayed(self, request: Request) -> Answer:
        with self._lock:
            if self._kept is not None:
                return self._kept
            answer = self._pass("GET", f"{_PATH}?nonce={hashlib.sha256(b'yesterday').hexdigest()}", request)
            self._kept = answer if answer.status == _OK else None
            return answer

    def _changed(self, answer: Answer, faults: frozenset[Fault]) -> Answer:
        body = answer.body
        if not isinstance(body, bytes) or answer.status != _OK:
            return answer
        for fault in sorted(faults & _CHANGES.keys()):
            body = _CHANGES[fault](body)
        answer = replace(answer, body=body)
        if Fault.CUT_SHORT in faults:
            length = {"Content-Length": str(len(body))}
            return replace(answer, body=iter([body[: len(body) // 2]]), headers={**answer.headers, **length})
        return replace(answer, body=self._trickle(body)) if Fault.SLOW in faults else answer

    def _trickle(self, body: bytes) -> Iterator[bytes]:
        for byte in body:
            yield bytes([byte])
            self._server.closing.wait(1.0)

    def _pass(self, method: str, target: str, request: Request) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=UPSTREAM_SECONDS)
        headers = {name: request.headers[name] for name in _PASSED_HEADERS if name in request.headers}
        try:
            connection.request(method, target, request.body or None, headers)
            answer = connection.getresponse()
            body = answer.read(MAX_ANSWER_BYTES)
            kind = answer.headers.get("content-type", "application/octet-stream")
            passed = {name: value for name, value in answer.headers.items() if name.lower() not in _OWN_HEADERS}
            return Answer(body, answer.status, kind, passed)
        except (OSError, http.client.HTTPException):
            return Answer(b'{"error": "the app does not answer"}', status=_BAD_GATEWAY)
        finally:
            connection.close()


def _edit(change: Callable[[dict[str, object]], None]) -> Callable[[bytes], bytes]:
    """Change the JSON answer."""

    def edit(body: bytes) -> bytes:
        document = json.loads(body)
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
