"""RLP, Ethereum's encoding of nested byte strings, by the library rlp, which refuses every second encoding of a value.

Optional: `pip install twinproof[chain]`, loaded when the first item is read. Source: Ethereum yellow paper, appendix B.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from twinproof.errors import Malformed, UsageError
from twinproof.keccak import INSTALL

__all__ = ["Item", "byte_strings", "decode", "encode", "integer", "integer_bytes"]

_MAX_DEPTH = 8
"""A receipt has four levels; readers of what is nested deeper would run out of stack."""
Item: TypeAlias = "bytes | Sequence[Item]"


def encode(item: Item) -> bytes:
    """The encoding of byte strings and lists of them. Raises UsageError without rlp."""
    try:
        import rlp  # noqa: PLC0415  (an optional dependency)
    except ImportError as error:
        raise UsageError("rlp is not installed", where="RLP", hint=INSTALL) from error
    encoded: bytes = rlp.encode(item)
    return encoded


def decode(data: bytes, where: str) -> Item:
    """Exactly one item, in its one encoding. Raises Malformed, UsageError without rlp."""
    try:
        import rlp  # noqa: PLC0415
    except ImportError as error:
        raise UsageError("rlp is not installed", where="RLP", hint=INSTALL) from error
    try:
        item: Item = rlp.decode(data)
    except (rlp.DecodingError, RecursionError) as error:
        raise Malformed("not RLP", where=where, got=f"{len(data)} bytes") from error
    level: Sequence[Item] = (item,)
    for _ in range(_MAX_DEPTH):
        level = [part for inner in level if not isinstance(inner, bytes) for part in inner]
        if not level:
            return item
    raise Malformed("RLP nested too deeply", where=where, expected=f"at most {_MAX_DEPTH} levels")


def byte_strings(item: Item, where: str, *, count: int | None = None) -> tuple[bytes, ...]:
    """A list of byte strings, of `count` ones where it is given. Raises Malformed."""
    if isinstance(item, bytes):
        raise Malformed("a byte string instead of a list", where=where, got=f"{len(item)} bytes")
    if count is not None and len(item) != count:
        raise Malformed("another number of items", where=where, got=str(len(item)), expected=str(count))
    strings = tuple(part for part in item if isinstance(part, bytes))
    if len(strings) != len(item):
        raise Malformed("a list instead of a byte string", where=where)
    return strings


def integer(data: bytes, where: str, *, size: int = 32) -> int:
    """A big-endian integer of at most `size` bytes without leading zeros; zero is empty. Raises Malformed."""
    if data[:1] == b"\0" or len(data) > size:
        raise Malformed("not an RLP integer", where=where, got=data[:40].hex(), expected=f"at most {size} bytes")
    return int.from_bytes(data, "big")


def integer_bytes(value: int) -> bytes:
    """The byte string of an integer that is not negative: big-endian, without leading zeros."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
