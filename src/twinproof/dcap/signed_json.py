"""Reading the JSON documents that Intel signs, which are compact: as strictly as any other and faster than most."""

from __future__ import annotations

from twinproof.compact_json import PLAIN, read_compact
from twinproof.wire import MAX_JSON_BYTES, Fields, parse_object

__all__ = ["parse_signed"]


def parse_signed(text: str, where: str) -> Fields:
    """One JSON object. Raises Malformed."""
    value = read_compact(text, PLAIN) if len(text) <= MAX_JSON_BYTES else None
    return Fields(value, where) if isinstance(value, dict) else parse_object(text, where)
