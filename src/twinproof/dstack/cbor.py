"""Reading the little of CBOR that a measurement document is made of, in one form only.

Unsigned integers, byte strings, texts and maps with text keys, each of definite length and with its length or value in
the shortest form; a key stands once, and nothing follows the value. Arrays, tags, floats, negative numbers, simple
values and indefinite lengths are refused. The order of keys is free: the writer's is that of its fields.

Source: RFC 8949, sections 3 and 4.2.1.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from twinproof.errors import Malformed
from twinproof.wire import shown

__all__ = ["CborMap", "CborValue", "read_cbor"]

CborValue: TypeAlias = "int | bytes | str | CborMap"
CborMap: TypeAlias = dict[str, CborValue]

MAX_DEPTH: Final = 8
_UNSIGNED, _BYTES, _TEXT, _MAP = 0, 2, 3, 5
_KINDS = {1: "negative integer", 4: "array", 6: "tag", 7: "float or simple value"}
_IN_THE_FIRST_BYTE, _INDEFINITE = 24, 31
_SIZES = {24: 1, 25: 2, 26: 4, 27: 8}


def read_cbor(data: bytes, where: str, *, max_bytes: int) -> CborValue:
    """Decode one value and nothing after it. Raises Malformed with the offset of the byte that is wrong."""
    if len(data) > max_bytes:
        raise Malformed("CBOR too large", where=where, got=f"{len(data)} bytes", expected=f"at most {max_bytes} bytes")
    reader = _Reader(data, where)
    value = reader.value(MAX_DEPTH)
    if reader.at != len(data):
        raise Malformed("bytes after the value", where=reader.where, got=f"{len(data) - reader.at} bytes")
    return value


class _Reader:
    """A cursor; it never recurses deeper than MAX_DEPTH and never takes more than is there."""

    def __init__(self, data: bytes, document: str) -> None:
        self._data = data
        self._document = document
        self.at = 0

    @property
    def where(self) -> str:
        return f"{self._document} byte {self.at}"

    def value(self, depth: int) -> CborValue:
        where = self.where
        if not depth:
            raise Malformed("CBOR nested too deeply", where=where, expected=f"at most {MAX_DEPTH} levels")
        kind, number = self._head()
        if kind == _UNSIGNED:
            return number
        if kind == _BYTES:
            return self._take(number, "a byte string")
        if kind == _TEXT:
            return self._text(number, where)
        return self._map(number, depth)

    def _map(self, size: int, depth: int) -> CborMap:
        members: CborMap = {}
        for _ in range(size):  # ends at the first pair that is not there, whatever the size claims
            where = self.where
            kind, length = self._head()
            if kind != _TEXT:
                raise Malformed("a key is not text", where=where)
            name = self._text(length, where)
            if name in members:
                raise Malformed("duplicate key", where=where, got=shown(name, 40))
            members[name] = self.value(depth - 1)
        return members

    def _text(self, size: int, where: str) -> str:
        try:
            return self._take(size, "a text").decode()
        except UnicodeDecodeError as error:
            raise Malformed("not UTF-8 text", where=where) from error

    def _head(self) -> tuple[int, int]:
        """Major type, and the value or length that follows it."""
        where = self.where
        first = self._take(1, "a value")[0]
        kind, low = first >> 5, first & 31
        if kind in _KINDS:
            raise Malformed(f"{_KINDS[kind]} in a measurement document", where=where, got=f"byte {first:#04x}")
        if low < _IN_THE_FIRST_BYTE:
            return kind, low
        if low == _INDEFINITE:
            raise Malformed("indefinite length", where=where, expected="a definite length")
        if low not in _SIZES:
            raise Malformed("reserved form of a length", where=where, got=f"byte {first:#04x}")
        size = _SIZES[low]
        number = int.from_bytes(self._take(size, "a length"), "big")
        if number < (_IN_THE_FIRST_BYTE if size == 1 else 1 << 4 * size):
            raise Malformed("not the shortest form", where=where, got=f"{number} in {size} bytes")
        return kind, number

    def _take(self, size: int, what: str) -> bytes:
        left = len(self._data) - self.at
        if size > left:
            raise Malformed(f"ends inside {what}", where=self.where, got=f"{left} bytes", expected=f"{size} bytes")
        self.at += size
        return self._data[self.at - size : self.at]
