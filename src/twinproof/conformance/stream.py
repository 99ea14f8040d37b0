"""The JSON-lines form: a request per line on standard input, an answer per line on standard output, in order.

{"id": ..., "kind": "quote", "at": 1790000000, "quote": FILE, "collateral": FILE, "root": FILE}
{"id": ..., "kind": "bundle", "at": 1790000000, "bundle": FILE, "root": FILE}

A FILE is a path, or its content in standard base64 as {"base64": "..."}. An answer repeats the id:

{"id": ..., "verdict": "accept", "tcb_status": "UpToDate", "advisory_ids": []}
{"id": ..., "verdict": "refuse", "stage": "dcap.pck_crl", "reason": "..."}
{"id": ..., "verdict": "error", "reason": "..."}       the request could not be read
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterable, Iterator

from twinproof.conformance.answer import Answer, judge_bundle, judge_quote
from twinproof.dcap.roots import TrustRoot
from twinproof.errors import Malformed, TwinproofError
from twinproof.evidence.bundle import MAX_BUNDLE_BYTES
from twinproof.memo import Memo
from twinproof.sources.files import read_file
from twinproof.wire import LAST_SECOND, Fields, parse_object, shown

__all__ = ["MAX_FILE_BYTES", "answers"]

MAX_FILE_BYTES = MAX_BUNDLE_BYTES
MAX_LINE_BYTES = 64 << 20


def answers(lines: Iterable[bytes]) -> Iterator[str]:
    """The answers to these requests, one line each. Signatures are remembered from one to the next, answers are not."""
    memo = Memo()
    for line in lines:
        if line.strip():
            yield json.dumps(_answer(line, memo), separators=(",", ":"))


def _answer(line: bytes, memo: Memo) -> dict[str, object]:
    name: object = None
    try:
        request = parse_object(line, "request", max_bytes=MAX_LINE_BYTES)
        name = request.raw.get("id")
        return {"id": name, **_judged(request, memo).to_json()}
    except TwinproofError as error:
        return {"id": name, "verdict": "error", "reason": str(error)}


def _judged(request: Fields, memo: Memo) -> Answer:
    at = request.integer("at", high=LAST_SECOND)
    root = TrustRoot.from_pem_or_der(_file(request, "root"))
    kind = request.text("kind", max_chars=20)
    if kind == "quote":
        return judge_quote(_file(request, "quote"), _file(request, "collateral"), root=root, at=at, memo=memo)
    if kind == "bundle":
        return judge_bundle(_file(request, "bundle"), root=root, at=at)
    raise Malformed("an unknown kind of case", where="request.kind", got=shown(kind), expected="quote or bundle")


def _file(request: Fields, name: str) -> bytes:
    if isinstance(request.raw.get(name), str):
        return read_file(request.text(name), name, max_bytes=MAX_FILE_BYTES)
    try:
        return binascii.a2b_base64(request.child(name).text("base64"), strict_mode=True)
    except ValueError as error:
        raise Malformed("not base64", where=f"request.{name}") from error
