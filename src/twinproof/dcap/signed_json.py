"""Reading the JSON documents that Intel signs, as strictly as any other and faster than most.

Intel signs compact JSON. A text that an encoder gives back to the letter has no member twice, no white space, no second
spelling of a number and no half of a surrogate pair: when it is not nested deeply either, it needs no further look. Any
other text takes the strict reader's slower way, which names what is wrong with it, or finds nothing wrong.
"""

from __future__ import annotations

import json
from typing import Never

from twinproof.wire import MAX_JSON_BYTES, Fields, parse_object

__all__ = ["parse_signed"]


def _no_constant(name: str) -> Never:
    raise ValueError(name)


_LEVELS = 8
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_DECODER = json.JSONDecoder(parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))


def _is_flat(text: str) -> bool:
    """Whether nothing is nested deeper than Intel's documents are; brackets inside strings only make it stricter."""
    brackets = text.encode().translate(None, _NO_BRACKETS)
    for _ in range(_LEVELS):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return not brackets


def parse_signed(text: str, where: str) -> Fields:
    """One JSON object. Raises Malformed."""
    value: object = None
    if len(text) <= MAX_JSON_BYTES:
        try:
            value = _DECODER.decode(text)
            if isinstance(value, dict) and _ENCODER.encode(value) == text and _is_flat(text):
                return Fields(value, where)
        except (ValueError, RecursionError):
            pass
    return parse_object(text, where)
