"""One gzip stream, read front to back in the pieces that are asked for; nothing stands after it."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from twinproof.errors import Malformed

__all__ = ["Gunzip"]

CHUNK = 64 << 10
GZIP_FORMAT = 31  # zlib: 15 bits of window, with gzip's header and its checksum


class Gunzip:
    """Several streams in one file are refused: few programs make them, and readers disagree about what follows."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        self.file, self.where = file, where
        self.inflate = zlib.decompressobj(GZIP_FORMAT)

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end, which is then known to be whole. Raises Malformed."""
        parts: list[bytes] = []
        missing = size
        while missing and not self.inflate.eof:
            packed = self.inflate.unconsumed_tail or self.file.read(CHUNK)
            if not packed:
                raise self._damaged("it ends early")
            try:
                part = self.inflate.decompress(packed, missing)
            except zlib.error as error:
                raise self._damaged(str(error)) from error
            parts.append(part)
            missing -= len(part)
        if self.inflate.eof and (self.inflate.unused_data or self.file.read(1)):
            raise self._damaged("there are bytes after its end")
        return b"".join(parts)

    def _damaged(self, how: str) -> Malformed:
        return Malformed(f"damaged archive: {how}", where=self.where, hint="download it again")
