"""A reader for the few DER forms of the PCK certificate's SGX extension: shortest lengths, nothing left over."""

from __future__ import annotations

from twinproof.errors import Malformed

__all__ = ["DerReader"]

BOOLEAN, INTEGER, OCTET_STRING, OID, ENUMERATED, SEQUENCE = 0x01, 0x02, 0x04, 0x06, 0x0A, 0x30


class DerReader:
    """Reads one value after the other from a byte range."""

    def __init__(self, data: bytes, where: str) -> None:
        self._data, self._at, self._where = data, 0, where

    @property
    def more(self) -> bool:
        return self._at < len(self._data)

    def end(self) -> None:
        if self.more:
            raise Malformed("bytes left over", where=f"{self._where} byte {self._at}")

    def _value(self, tag: int, what: str) -> bytes:
        data, at = self._data, self._at
        where = f"{self._where} byte {at}"
        if len(data) - at < 2:
            raise Malformed(f"{what} is cut off", where=where)
        if data[at] != tag:
            raise Malformed(f"wrong type for {what}", where=where, got=f"tag {data[at]:#04x}", expected=f"{tag:#04x}")
        size, at = data[at + 1], at + 2
        if size & 0x80:
            more = size & 0x7F
            if not 1 <= more <= 3 or len(data) - at < more:
                raise Malformed(f"bad length of {what}", where=where)
            size = int.from_bytes(data[at : at + more], "big")
            at += more
            if size < 0x80 or size >> (8 * (more - 1)) == 0:
                raise Malformed(f"length of {what} is not in its shortest form", where=where)
        if size > len(data) - at:
            raise Malformed(f"{what} is cut off", where=where, got=f"{len(data) - at} bytes", expected=f"{size} bytes")
        self._at = at + size
        return data[at : at + size]

    def sequence(self, what: str) -> DerReader:
        return DerReader(self._value(SEQUENCE, what), f"{self._where} {what}")

    def oid(self, what: str) -> bytes:
        """The content octets, unparsed: OIDs are only compared."""
        return self._value(OID, what)

    def octets(self, size: int, what: str) -> bytes:
        value = self._value(OCTET_STRING, what)
        if len(value) != size:
            raise Malformed(f"wrong length of {what}", where=self._where, got=str(len(value)), expected=f"{size} bytes")
        return value

    def integer(self, high: int, what: str) -> int:
        return self._number(INTEGER, high, what)

    def enumerated(self, high: int, what: str) -> int:
        return self._number(ENUMERATED, high, what)

    def _number(self, tag: int, high: int, what: str) -> int:
        value = self._value(tag, what)
        shortest = len(value) == 1 or (len(value) > 1 and (value[0] != 0 or value[1] & 0x80))
        if not shortest:
            raise Malformed(f"{what} is not a number in its shortest form", where=self._where, got=value[:8].hex())
        number = int.from_bytes(value, "big", signed=True)
        if not 0 <= number <= high:
            raise Malformed(f"{what} is out of range", where=self._where, got=value[:8].hex(), expected=f"0..{high}")
        return number

    def boolean(self, what: str) -> bool:
        value = self._value(BOOLEAN, what)
        if value not in (b"\x00", b"\xff"):
            raise Malformed(f"{what} is not a boolean", where=self._where, got=value[:4].hex())
        return value == b"\xff"
