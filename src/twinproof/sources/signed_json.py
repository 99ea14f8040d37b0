"""Cut one signed member out of a served JSON document, as the exact text that was signed."""

from __future__ import annotations

import json

from twinproof.errors import Malformed
from twinproof.wire import parse_object

__all__ = ["signed_member"]

_SPACE = " \t\r\n"


def signed_member(body: bytes, member: str, where: str) -> tuple[str, bytes]:
    """The text of `member` as served, and `signature` (64 bytes). Order does not matter; duplicates are refused.

    Intel signs the bytes of the member's value; parsing and printing it again would lose them. Raises Malformed.
    """
    fields = parse_object(body, where)  # strict first, so that the scan below walks a document known to be sound
    signature = fields.hex("signature", size=64)
    fields.child(member)
    text = body.decode("utf-8")
    decoder = json.JSONDecoder()
    at = _skip(text, 0) + 1
    while True:
        at = _skip(text, at)
        name, at = decoder.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        start = at
        _, at = decoder.raw_decode(text, at)
        if name == member:
            return text[start:at], signature
        at = _skip(text, at)
        if text[at] != ",":
            raise Malformed("missing member", where=f"{where}.{member}")
        at += 1


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at
