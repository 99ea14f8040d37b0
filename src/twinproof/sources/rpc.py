"""JSON-RPC over HTTP, one endpoint of an Ethereum chain: every answer bounded, matched to its question, and attributed.

An endpoint is called by its host and port alone, for its path and query are where providers put keys. Nothing that it
says is believed here; what is said has the shape it should have, or is Unavailable.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from twinproof.chain.block import Header, parse_header
from twinproof.chain.values import MAX_WORD, quantity_text
from twinproof.errors import EvidenceError, Malformed, Unavailable, UsageError
from twinproof.sources.http import Fetched, HttpClient
from twinproof.sources.rpc_errors import Busy, NoSuchBlock, RpcRefused, RpcUntrue
from twinproof.urls import masked, origin, place, split_url
from twinproof.wire import Fields, parse_object, shown

__all__ = ["Endpoint", "endpoints_of", "header_at", "quantity_of", "read_from"]

ATTEMPTS = 5
LONGEST_PAUSE = 30.0
"""Seconds. An endpoint that asks for a longer wait is told about, not waited for."""
_FIRST_PAUSE = 0.5
_LEAST_SPACING, _MOST_SPACING, _EASING = 0.05, 1.0, 0.95
"""Seconds between the requests to an endpoint that was busy, and by how much less after each that went well."""
_OK, _TOO_MANY, _TOO_LARGE = 200, 429, 413
_FOR_THE_MOMENT = {502, 503, 504}
_MAX_MESSAGE = 300
_LONG_HEX = re.compile(r"(?:0x)?[0-9a-fA-F]{65,}", re.ASCII)


class Endpoint:
    """One JSON-RPC URL. `requests` counts what was sent, repetitions included. May be shared by threads."""

    def __init__(
        self,
        url: str,
        http: HttpClient,
        *,
        pause: Callable[[float], None] = time.sleep,
        note: Callable[[str], None] | None = None,
    ) -> None:
        scheme, host, port = origin(url)
        shown_host = f"[{host}]" if ":" in host else host
        self.name = shown_host if (scheme, port) == ("https", 443) else f"{shown_host}:{port}"
        self.requests = 0
        self._url, self._http, self._pause, self._note = url, http, pause, note
        self._ids = itertools.count(1)
        self._spacing = 0.0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Endpoint({self.name})"

    def call(self, method: str, *params: object) -> object:
        """The result, as it came; a `null` is None. Raises RpcRefused, Busy, Unavailable.

        What a busy endpoint answers is asked again, as it asks or later and later; every method used here can be: a
        signed transaction that is sent twice is one transaction.
        """
        if self._spacing:
            self._pause(self._spacing)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                result = self._once(method, params)
            except Busy as error:
                self._spacing = min(_MOST_SPACING, max(_LEAST_SPACING, 2 * self._spacing))
                wait = _FIRST_PAUSE * 2 ** (attempt - 1) if error.retry_after is None else error.retry_after
                if attempt == ATTEMPTS or wait > LONGEST_PAUSE:
                    raise
                if self._note is not None:
                    self._note(f"{self.name} is busy, waiting {wait:g} s")
                self._pause(wait)
            else:
                spacing = self._spacing * _EASING
                self._spacing = spacing if spacing >= _LEAST_SPACING / 4 else 0.0
                return result
        raise AssertionError("unreachable")

    def _once(self, method: str, params: tuple[object, ...]) -> object:
        with self._lock:
            number = next(self._ids)
            self.requests += 1
        question = {"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)}
        try:
            answer = self._http.post(self._url, json.dumps(question).encode(), max_bytes=self._http.limits.rpc_answer)
        except Unavailable as error:  # its place is a URL, which may hold a key
            raise Unavailable(
                error.what,
                where=f"{self.name} {method}",
                got=error.got,
                expected=error.expected,
                hint=_hint(error.hint),
            ) from None
        return self._result(answer, method, number)

    def _result(self, answer: Fetched, method: str, number: int) -> object:
        where = f"{self.name} {method}"
        if answer.status != _OK:
            raise self._of_status(answer, where)
        try:
            fields = parse_object(answer.body, where, max_bytes=self._http.limits.rpc_answer)
            refusal = _error_of(fields)
        except Malformed as error:
            raise Unavailable(
                f"not a JSON-RPC answer: {error.what}",
                where=where,
                got=error.got,
                hint=error.hint or "is this the URL of a JSON-RPC endpoint?",
            ) from error
        if refusal is not None:
            raise _refusal(refusal, where)
        if "result" not in fields or fields.raw.get("id") != number or isinstance(fields.raw.get("id"), bool):
            raise Unavailable(
                "an answer to another question",
                where=where,
                got=f"id {shown(fields.raw.get('id'), 40)}" + ("" if "result" in fields else ", no result"),
                expected=f"id {number} and a result",
            )
        return fields.raw["result"]

    def _of_status(self, answer: Fetched, where: str) -> Unavailable:
        """Providers send JSON-RPC errors under any status; without one the status is all there is."""
        retry_after = _seconds(answer.headers)
        with contextlib.suppress(Malformed):
            error = _error_of(parse_object(answer.body, where))
            if error is not None and answer.status != _TOO_MANY:
                return _refusal(error, where, retry_after)
        if answer.status == _TOO_MANY:
            return Busy("asked too often", where=where, got="status 429", retry_after=retry_after)
        if answer.status in _FOR_THE_MOMENT:
            return Busy("down for the moment", where=where, got=f"status {answer.status}", retry_after=retry_after)
        if answer.status == _TOO_LARGE:
            return RpcRefused("response size exceeded", where=where, code=_TOO_LARGE)
        hint = "the key in its URL may be wrong" if answer.status in (401, 403) else ""
        return Unavailable(f"no answer (status {answer.status})", where=where, hint=hint)


def endpoints_of(
    urls: tuple[str, ...], http: HttpClient, *, note: Callable[[str], None] | None = None
) -> tuple[Endpoint, ...]:
    """One Endpoint per URL. Two of one host and port are one voice, not two. Raises UsageError."""
    for url in urls:
        split_url(url)
    endpoints = tuple(Endpoint(url, http, note=note) for url in urls)
    operators = [_operator(url) for url in urls]
    twice = next((e.name for e, whose in zip(endpoints, operators, strict=True) if operators.count(whose) > 1), None)
    if twice is not None:
        raise UsageError(
            "two URLs of one endpoint", where="--chain", got=twice, expected="endpoints that are independent"
        )
    return endpoints


@contextlib.contextmanager
def read_from(endpoint: Endpoint, what: str) -> Iterator[None]:
    """What cannot be read in an endpoint's answer is the endpoint's failure, not the evidence's. Raises RpcUntrue."""
    try:
        yield
    except EvidenceError as error:
        raise RpcUntrue(f"{what} that cannot be: {error}", where=endpoint.name, hint="ask another endpoint") from error


def quantity_of(endpoint: Endpoint, method: str, *params: object) -> int:
    """The answer of a method that gives a number below 2^256. Raises Unavailable."""
    answer = endpoint.call(method, *params)
    with read_from(endpoint, f"an answer to {method}"):
        return quantity_text(answer if isinstance(answer, str) else repr(answer), method, high=MAX_WORD)


def _operator(url: str) -> tuple[str, int]:
    """Host and port. The usual ports of http and https lead to one operator."""
    scheme, host, port = place(url)
    return host, 443 if (scheme, port) == ("http", 80) else port


def header_at(endpoint: Endpoint, block: str) -> Header:
    """The header of a block by its tag or its number in hex; its hash is recomputed. Raises Unavailable."""
    answer = endpoint.call("eth_getBlockByNumber", block, False)
    if answer is None:
        raise NoSuchBlock("has no such block", where=endpoint.name, got=block)
    with read_from(endpoint, "a block"):
        header = parse_header(Fields(answer, f"block {block}"))
        if block.startswith("0x") and header.number != int(block, 16):
            raise Malformed("another block than the one asked for", where=block, got=str(header.number))
    return header


def _error_of(fields: Fields) -> Fields | None:
    return fields.child("error") if fields.raw.get("error") is not None else None


def _refusal(error: Fields, where: str, retry_after: float | None = None) -> Unavailable:
    code, message = error.raw.get("code"), error.raw.get("message")
    if isinstance(code, bool) or not isinstance(code, int) or not isinstance(message, str):
        return Unavailable("an error of the wrong form", where=where, got=shown(error.raw, 120))
    # a node may repeat what it was sent: a key in a URL and a signed transaction have no place in a message
    said = shown(_LONG_HEX.sub("0x...", masked(message) if "://" in message else message), _MAX_MESSAGE)
    refused = RpcRefused(said, where=where, code=code, data=error.raw.get("data"))
    if refused.asked_too_often:
        return Busy(f"asked too often: {said}", where=where, got=f"error {code}", retry_after=retry_after)
    return refused


def _seconds(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "").strip()
    return float(text[:9]) if text.isascii() and text.isdigit() else None


def _hint(text: str) -> str:
    """Hints about instances are none about nodes."""
    return "" if "instance" in text or "--ra-tls" in text else text
