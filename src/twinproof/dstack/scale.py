"""Reading SCALE, the encoding of versioned attestations of form V0: little-endian, no tags, compact lengths."""

from __future__ import annotations

from twinproof.errors import Malformed

__all__ = ["ScaleReader"]


class ScaleReader:
    """A cursor over untrusted bytes; every read is bounded by what is left, and every error names the offset."""

    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        self._at = 0
        self._where = where

    @property
    def where(self) -> str:
        return f"{self._where} byte {self._at}"

    def take(self, size: int, what: str) -> bytes:
        """Exactly `size` bytes. Raises Malformed when there are fewer."""
        left = len(self._data) - self._at
        if size > left:
            raise Malformed(f"ends inside {what}", where=self.where, got=f"{left} bytes", expected=f"{size} bytes")
        self._at += size
        return self._data[self._at - size : self._at]

    def u8(self, what: str) -> int:
        return self.take(1, what)[0]

    def u32(self, what: str) -> int:
        return int.from_bytes(self.take(4, what), "little")

    def compact(self, what: str) -> int:
        """A compact integer below 2**30: the two low bits of the first byte say how many bytes it has.

        Larger ones and encodings longer than needed are refused: no length here needs them.
        """
        where = self.where
        first = self.take(1, what)
        mode = first[0] & 3
        if mode == 3:
            raise Malformed(f"length too large for {what}", where=where)
        more = (0, 1, 3)[mode]
        value = int.from_bytes(first + self.take(more, what), "little") >> 2
        if mode and value < (1 << 6, 1 << 14)[mode - 1]:
            raise Malformed(f"length of {what} not in its shortest form", where=where, got=str(value))
        return value

    def items(self, what: str, *, least_size: int) -> int:
        """The count of a list whose items have at least `least_size` bytes each."""
        where = self.where
        count = self.compact(what)
        if count * least_size > len(self._data) - self._at:
            raise Malformed(f"more items than bytes in {what}", where=where, got=str(count))
        return count

    def blob(self, what: str) -> bytes:
        return self.take(self.compact(what), what)

    def text(self, what: str) -> str:
        where = self.where
        try:
            return self.blob(what).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed(f"{what} is not UTF-8", where=where) from error

    def end(self) -> None:
        """Raises Malformed when bytes are left."""
        left = len(self._data) - self._at
        if left:
            raise Malformed("bytes after the end", where=self.where, got=f"{left} bytes", expected="none")
