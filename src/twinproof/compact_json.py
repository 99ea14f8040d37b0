"""Compact JSON, which is what machines write: read fast, where nothing about the text could be read in two ways.

An ASCII text that an encoder gives back to the letter has no member twice, no white space between its tokens, no second
spelling of a number and no half of a surrogate pair. Any other text takes the strict reader's slower
way (`wire`), which names what is wrong with it, or finds nothing wrong.
"""

from __future__ import annotations

import json
from typing import Never

__all__ = ["INTEGER_DIGITS", "PLAIN", "UNREAD", "read_compact"]

INTEGER_DIGITS = 20
"""2**64 has 20 digits; nothing in these formats is larger."""
UNREAD = object()
_LEVELS = 8
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _no_constant(name: str) -> Never:
    raise ValueError(name)


def _bounded(digits: str) -> int:
    if len(digits) > INTEGER_DIGITS:
        raise ValueError(digits)
    return int(digits)


_BOUNDED = json.JSONDecoder(parse_constant=_no_constant, parse_int=_bounded)
PLAIN = json.JSONDecoder(parse_constant=_no_constant)
"""For documents that are signed: they hold hundreds of numbers, whose ranges are checked where they are used."""
_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"))


def read_compact(text: str, decoder: json.JSONDecoder = _BOUNDED) -> object:
    """An array or an object, or UNREAD for a text that needs a closer look."""
    if text[:1] not in {"{", "["} or not text.isascii():
        return UNREAD
    try:
        value: object = decoder.decode(text)
        return value if _ENCODER.encode(value) == text and _is_shallow(text) else UNREAD
    except (ValueError, RecursionError):
        return UNREAD


def _is_shallow(text: str) -> bool:
    """Whether nothing is nested deeper than in these formats; brackets inside strings only make it stricter."""
    if text.count("{") + text.count("[") <= _LEVELS:
        return True
    brackets = text.encode().translate(None, _NO_BRACKETS)
    for _ in range(_LEVELS):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return not brackets
