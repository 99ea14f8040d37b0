"""A few DER values, written out: enough for the extensions that no library encodes for us (X.690)."""

from __future__ import annotations

__all__ = ["bit_string", "boolean", "enumerated", "integer", "octet_string", "oid", "sequence"]

_SHORT_LENGTH = 0x80
_SEVEN_BITS = 0x7F


def _tagged(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < _SHORT_LENGTH:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, _SHORT_LENGTH | size]) + length.to_bytes(size, "big") + content


def sequence(*items: bytes) -> bytes:
    return _tagged(0x30, b"".join(items))


def integer(value: int) -> bytes:
    """Two's complement in as few bytes as it takes: 255 is 02 02 00 ff."""
    return _tagged(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def enumerated(value: int) -> bytes:
    return _tagged(0x0A, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def boolean(value: bool) -> bytes:
    return _tagged(0x01, b"\xff" if value else b"\x00")


def bit_string(value: bytes) -> bytes:
    """Whole bytes only."""
    return _tagged(0x03, b"\x00" + value)


def octet_string(value: bytes) -> bytes:
    return _tagged(0x04, value)


def oid(dotted: str) -> bytes:
    """`1.2.840.113741.1.13.1` and the like."""
    first, second, *rest = (int(part) for part in dotted.split("."))
    content = bytearray([40 * first + second])
    for number in rest:
        septets = [number & _SEVEN_BITS]
        while number := number >> 7:
            septets.append(number & _SEVEN_BITS | 0x80)
        content += bytes(reversed(septets))
    return _tagged(0x06, bytes(content))
