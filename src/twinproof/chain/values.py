"""The two kinds of value of Ethereum's JSON-RPC, read strictly: QUANTITY (an integer) and DATA (bytes).

Both are hex with `0x`. A quantity has no leading zeros (`0x0` is zero, `0x00` is none); data has two digits for each
byte. Source: ethereum/execution-apis, base types.
"""

from __future__ import annotations

import re

from twinproof.errors import Malformed
from twinproof.wire import Fields, shown, unhex

__all__ = ["MAX_WORD", "data", "data_text", "hex_data", "hex_quantity", "quantity", "quantity_text"]

MAX_WORD = (1 << 256) - 1
_QUANTITY = re.compile(r"0x(?:0|[1-9a-fA-F][0-9a-fA-F]{0,63})", re.ASCII)
_MOST_CHARS = 1 << 25


def quantity_text(text: str, where: str, *, high: int = (1 << 64) - 1) -> int:
    """The integer of a QUANTITY, 0 to `high`. Raises Malformed."""
    if not _QUANTITY.fullmatch(text):
        raise Malformed("not a quantity", where=where, got=shown(text, 40), expected="0x and no leading zeros")
    value = int(text, 16)
    if value > high:
        raise Malformed("out of range", where=where, got=shown(text, 40), expected=f"at most {hex(high)}")
    return value


def data_text(text: str, where: str, *, size: int | None = None, max_size: int | None = None) -> bytes:
    """The bytes of a DATA; `size` and `max_size` are in bytes. Raises Malformed."""
    if not text.startswith("0x"):
        raise Malformed("not data", where=where, got=shown(text, 40), expected="0x and two hex digits for each byte")
    return unhex(text[2:], where, size=size, max_size=max_size)


def quantity(fields: Fields, name: str, *, high: int = (1 << 64) - 1) -> int:
    """The member `name` as a QUANTITY."""
    return quantity_text(fields.text(name, max_chars=1024), f"{fields.where}.{name}", high=high)


def data(fields: Fields, name: str, *, size: int | None = None, max_size: int | None = None) -> bytes:
    """The member `name` as DATA."""
    return data_text(fields.text(name, max_chars=_MOST_CHARS), f"{fields.where}.{name}", size=size, max_size=max_size)


def hex_quantity(value: int) -> str:
    """A QUANTITY: for requests and for records."""
    return hex(value)


def hex_data(value: bytes) -> str:
    """A DATA: for requests and for records."""
    return "0x" + value.hex()
