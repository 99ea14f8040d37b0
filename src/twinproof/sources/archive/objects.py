"""Texts that many bundles share, each once, in a file named by its SHA-256."""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from collections import OrderedDict
from pathlib import Path

from twinproof.sources.disk import write_new, write_over

__all__ = ["Objects", "inflated"]

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MOST_BYTES = 64 << 20
_CACHED = 256


class Objects:
    """`objects/ab/cdef...`, compressed. What is written is on the disk before `put` returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cache: OrderedDict[str, bytes] = OrderedDict()

    def put(self, digest: str, text: bytes) -> None:
        """Raises OSError. A damaged file of this name is replaced: its content is known by its name."""
        if digest in self._cache or self.get(digest) is not None:
            return
        path = self._path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        data = zlib.compress(text)
        try:
            write_new(path, data)
        except FileExistsError:
            write_over(path, data)
        _sync(path.parent)
        _sync(self._folder)

    def get(self, digest: str) -> bytes | None:
        """None for one that is missing, or that is not what its name says."""
        if digest in self._cache:
            self._cache.move_to_end(digest)
            return self._cache[digest]
        path = self._path(digest)
        try:
            if not _DIGEST.fullmatch(digest) or not path.is_file():  # a pipe or a device could be read for ever
                return None
            with path.open("rb") as file:
                text = inflated(file.read(_MOST_BYTES + 1))
        except (OSError, ValueError, zlib.error):
            return None
        if hashlib.sha256(text).hexdigest() != digest:
            return None
        self._cache[digest] = text
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return text

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest[2:]


def inflated(data: bytes) -> bytes:
    """Raises ValueError for what would not fit, zlib.error for what is no such text."""
    inflater = zlib.decompressobj()
    text = inflater.decompress(data, _MOST_BYTES)
    if not inflater.eof or inflater.unused_data:
        raise ValueError("too large, cut short or followed by something")
    return text


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
