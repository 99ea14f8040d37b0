"""A reader for the few DER forms of the PCK certificate's SGX extension: shortest lengths, nothing left over."""

from __future__ import annotations

from typing import Never

from twinproof.errors import Malformed

__all__ = ["SEQUENCE", "SET", "UTF8_STRING", "DerReader", "der_value"]

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID, ENUMERATED = 0x01, 0x02, 0x03, 0x04, 0x06, 0x0A
UTF8_STRING, SEQUENCE, SET = 0x0C, 0x30, 0x31
_MAX_LENGTH_BYTES = 3


class DerReader:
    """Reads one value after the other from `data[at:end]`. Everything it raises is Malformed, with the place."""

    __slots__ = ("_at", "_data", "_end", "_where")

    def __init__(self, data: bytes, where: str, at: int = 0, end: int | None = None) -> None:
        self._data, self._where, self._at = data, where, at
        self._end = len(data) if end is None else end

    @property
    def more(self) -> bool:
        return self._at < self._end

    def end(self) -> None:
        if self._at < self._end:
            self._fail("bytes left over", got=str(self._end - self._at))

    def _fail(self, problem: str, *, got: str = "", expected: str = "") -> Never:
        raise Malformed(problem, where=f"{self._where} byte {self._at}", got=got, expected=expected)

    def _enter(self, tag: int | None, what: str) -> tuple[int, int]:
        """Step over one value with this tag: where its content starts and stops."""
        data, at, end = self._data, self._at, self._end
        start = at + 2
        if start > end:
            self._fail(f"{what} is cut off")
        if tag is not None and data[at] != tag:
            self._fail(f"wrong type for {what}", got=f"tag {data[at]:#04x}", expected=f"{tag:#04x}")
        size = data[at + 1]
        if size >= 0x80:
            more = size & 0x7F
            if not 1 <= more <= _MAX_LENGTH_BYTES or end - start < more:
                self._fail(f"bad length of {what}")
            size = int.from_bytes(data[start : start + more], "big")
            start += more
            if size < 0x80 or size >> (8 * (more - 1)) == 0:
                self._fail(f"length of {what} is not in its shortest form")
        stop = start + size
        if stop > end:
            self._fail(f"{what} is cut off", got=f"{end - start} bytes", expected=f"{size} bytes")
        self._at = stop
        return start, stop

    def element(self, what: str) -> bytes:
        """One whole value of any type, with its tag and length."""
        at = self._at
        return self._data[at : self._enter(None, what)[1]]

    def elements(self, what: str) -> list[bytes]:
        """All that is left, value after value as by `element`; most have a short length and need no call each."""
        data, at, end = self._data, self._at, self._end
        found = []
        while at < end:
            size = data[at + 1] if at + 1 < end else 0x80
            stop = at + 2 + size
            if size >= 0x80 or stop > end:
                self._at = at
                stop = self._enter(None, what)[1]
            found.append(data[at:stop])
            at = stop
        self._at = at
        return found

    def sequence(self, what: str) -> DerReader:
        start, stop = self._enter(SEQUENCE, what)
        return DerReader(self._data, self._where, start, stop)

    def pair(self, oid: bytes, what: str) -> DerReader:
        """The value in `SEQUENCE { OID, value }`; `oid` is compared as encoded, tag and length included."""
        start, stop = self._enter(SEQUENCE, what)
        if not self._data.startswith(oid, start, stop):
            self._at = start
            got = self._data[start : min(start + len(oid), stop)].hex()
            self._fail("members are not the known ones in their order", got=got, expected=f"{what}, {oid.hex()}")
        return DerReader(self._data, self._where, start + len(oid), stop)

    def small_integers(self, pairs: bytes, size: int) -> bytes | None:
        """The numbers of pairs `SEQUENCE { OID, INTEGER }`, `size` bytes each, which `pairs` spells with zeros.

        None, and nothing is read, where other pairs stand there or a number takes more than one byte.
        """
        stop = self._at + len(pairs)
        spelled = bytearray(self._data[self._at : min(stop, self._end)])
        numbers = bytes(spelled[size - 1 :: size])
        spelled[size - 1 :: size] = bytes(len(numbers))
        if spelled != pairs or max(numbers) >= 0x80:
            return None
        self._at = stop
        return numbers

    def octets(self, size: int, what: str) -> bytes:
        start, stop = self._enter(OCTET_STRING, what)
        if stop - start != size:
            self._fail(f"wrong length of {what}", got=str(stop - start), expected=f"{size} bytes")
        return self._data[start:stop]

    def whole_bytes(self, what: str) -> bytes:
        """The bytes of a bit string; one that ends within a byte would be a second text for the same bytes."""
        start, stop = self._enter(BIT_STRING, what)
        if stop == start or self._data[start] != 0:
            self._fail(f"{what} does not end with a byte", got=self._data[start : start + 1].hex())
        return self._data[start + 1 : stop]

    def integer(self, high: int, what: str) -> int:
        return self._number(INTEGER, high, what)

    def enumerated(self, high: int, what: str) -> int:
        return self._number(ENUMERATED, high, what)

    def _number(self, tag: int, high: int, what: str) -> int:
        start, stop = self._enter(tag, what)
        data = self._data
        if stop - start == 1 and data[start] < 0x80 and data[start] <= high:
            return data[start]
        value = data[start:stop]
        if not value or (len(value) > 1 and value[0] == 0 and value[1] < 0x80):
            self._fail(f"{what} is not a number in its shortest form", got=value[:8].hex())
        number = int.from_bytes(value, "big", signed=True)
        if not 0 <= number <= high:
            self._fail(f"{what} is out of range", got=value[:8].hex(), expected=f"0..{high}")
        return number

    def boolean(self, what: str) -> bool:
        start, stop = self._enter(BOOLEAN, what)
        value = self._data[start:stop]
        if value not in (b"\x00", b"\xff"):
            self._fail(f"{what} is not a boolean", got=value[:4].hex())
        return value == b"\xff"


def der_value(tag: int, content: bytes) -> bytes:
    """One value with its tag and its length in the shortest form."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content
