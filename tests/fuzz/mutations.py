"""How an input is spoiled: a few edits that parsers are known to stumble over, wherever they land."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["EDITS", "Edit", "spoiled"]

Edit = tuple[str, int, int]
"""Name of the edit, place, and a number that it may use."""

_FRAGMENTS = (
    b"",
    b"\x00",
    b"\xff\xff\xff\xff",
    b'"',
    b"\\",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"NaN",
    b"-1",
    b"1e999",
    b"0.5",
    b"9" * 30,
    b"9" * 5000,
    b"[" * 2000,
    b'{"a":' * 2000,
    b'"a":1,"a":2,',
    "\u0131\u2028\u202e".encode(),
    b"\r\n",
    b" " * 100,
    b"-----BEGIN CERTIFICATE-----\n",
    b"\x30\x84\xff\xff\xff\xff",
    b"\x30\x80",
    b"\xdd\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
)
_LENGTHS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def _length(number: int) -> bytes:
    size = (1, 2, 4)[number % 3]
    value = _LENGTHS[number % len(_LENGTHS)] & (1 << 8 * size) - 1
    return value.to_bytes(size, "little" if number % 2 else "big")


def _over(after: bytes, value: bytes) -> bytes:
    return value + after[len(value) :]


_EDITS: dict[str, Callable[[bytes, int, bytes], bytes]] = {
    "flip": lambda after, number, _: bytes([after[0] ^ 1 << number % 8]) + after[1:] if after else after,
    "byte": lambda after, number, _: _over(after, bytes([number % 256])),
    "cut": lambda _after, _number, _: b"",
    "drop": lambda after, number, _: after[1 + number % 64 :],
    "repeat": lambda after, number, _: after[: 1 + number % 64] * (2 + number % 7) + after,
    "insert": lambda after, number, _: _FRAGMENTS[number % len(_FRAGMENTS)] + after,
    "length": lambda after, number, _: _over(after, _length(number)),
    "splice": lambda after, number, other: other[number * 31 % (len(other) + 1) :][:200] + after,
}
"""What becomes of the bytes after the place of an edit."""
EDITS = tuple(_EDITS)


def spoiled(data: bytes, edits: Sequence[Edit], other: bytes) -> bytes:
    """`data` after these edits; `splice` takes from `other`."""
    for name, place, number in edits:
        at = place % (len(data) + 1)
        data = data[:at] + _EDITS[name](data[at:], number, other)
    return data
