"""What a batch reads: the files of a directory, the lines of a file, or those of standard input.

Lines travel to the workers as bytes; files are only named here, and read where they are judged.
"""

from __future__ import annotations

import os
import select
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from twinproof.batch import Chunk
from twinproof.errors import Malformed, TwinproofError, Unavailable, UsageError
from twinproof.evidence.bundle import MAX_BUNDLE_BYTES
from twinproof.sources.files import MAX_EVIDENCE_BYTES, STANDARD_INPUT, read_file
from twinproof.wire import shown

__all__ = ["BatchInput", "Item", "bytes_of", "open_batch"]

MAX_ITEMS = 32
MAX_CHUNK_BYTES = 1 << 20
"""Of a chunk: enough that handing it over costs nothing beside judging it."""
_RAMP = 8  # items after which a chunk may have one more
_MAX_NAME = 1000


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to judge: the file `name`, or the bytes of a line; or why there is nothing to judge."""

    name: str
    data: bytes | None = None
    error: TwinproofError | None = None

    def __reduce__(self) -> tuple[type[Item], tuple[object, ...]]:
        """Many thousands travel to the workers: what dataclasses do for themselves takes most of the reader's time."""
        return Item, (self.name, self.data, self.error)


@dataclass(frozen=True, slots=True)
class BatchInput:
    """Chunks to be read once (see `batch.in_order`). `total` counts the items where that is known beforehand.

    `fraction` tells how much of the input has been read, 0 to 1; None where its size is not known.
    """

    chunks: Iterator[Chunk[Item] | None]
    total: int | None
    fraction: Callable[[], float | None]


@contextmanager
def open_batch(name: str) -> Iterator[BatchInput]:
    """A directory, a JSONL file, or `-`. Raises UsageError for one that cannot be read or is empty, also when read."""
    try:
        if name != STANDARD_INPUT and Path(name).is_dir():
            yield _directory(name)
            return
        descriptor = sys.stdin.fileno() if name == STANDARD_INPUT else os.open(name, os.O_RDONLY)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"cannot be read: {reason}", where=f"--batch {shown(name)}") from error
    try:
        yield _lines(descriptor, name)
    finally:
        if name != STANDARD_INPUT:
            os.close(descriptor)


def bytes_of(item: Item) -> bytes:
    """The evidence of an item. Raises Malformed, or Unavailable for a file that cannot be read."""
    if item.error is not None:
        raise item.error
    if item.data is not None:
        return item.data
    where = shown(item.name, _MAX_NAME)
    try:
        if not stat.S_ISREG(Path(item.name).stat().st_mode):
            raise Unavailable("not a file", where=where, hint="directories in a directory are not read")
        return read_file(item.name, "file", max_bytes=MAX_EVIDENCE_BYTES)
    except OSError as error:
        raise Unavailable(f"cannot be read: {error.strerror}", where=where) from error
    except UsageError as error:  # one file of many: the command was not wrong
        raise Unavailable(error.what, where=error.where, got=error.got, expected=error.expected) from error


def _directory(name: str) -> BatchInput:
    with os.scandir(name) as entries:
        names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
    if not names:
        raise _empty(name, "no file in it")
    return BatchInput(_chunked(Item(str(Path(name) / entry)) for entry in names), len(names), lambda: None)


def _lines(descriptor: int, name: str) -> BatchInput:
    status = os.fstat(descriptor)
    size = status.st_size if stat.S_ISREG(status.st_mode) else 0
    position = 0
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)

    def read() -> bytes:
        nonlocal position
        try:
            block = os.read(descriptor, MAX_CHUNK_BYTES)
        except OSError as error:
            raise UsageError(f"cannot be read: {error.strerror}", where=f"--batch {shown(name)}") from error
        position += len(block)
        return block

    items = items_of_lines(read, lambda: not poll.poll(0), shown(name, _MAX_NAME))
    return BatchInput(_chunked(items), None, lambda: min(1.0, position / size) if size else None)


def items_of_lines(read: Callable[[], bytes], nothing_waits: Callable[[], bool], name: str) -> Iterator[Item | None]:
    """Lines of what `read` gives until it gives nothing, without the empty ones; line n is called `name:n`.

    No more than a line and a block are held, and of a line that is too long nothing. None says that nothing waits to
    be read. Raises UsageError when no line was there.
    """
    number, empty, line = 0, True, _Line()
    while True:
        if nothing_waits():
            yield None
        block = read()
        *ends, rest = block.split(b"\n") if block else (b"", b"")  # the last line needs no end
        for part in ends:
            number += 1
            line.append(part)
            item = line.item(f"{name}:{number}")
            line = _Line()
            if item is None:
                continue
            if empty:
                _refuse_indented(item, name)
            empty = False
            yield item
        line.append(rest)
        if not block:
            break
    if empty:
        raise _empty(name, "no line in it")


def _chunked(items: Iterable[Item | None]) -> Iterator[Chunk[Item] | None]:
    """Chunks grow with what was seen, so that a few items still keep every worker busy."""
    ready: list[Item] = []
    size = seen = 0
    for item in items:
        if item is not None:
            ready.append(item)
            size += len(item.data or b"")
            seen += 1
        if ready and (item is None or len(ready) >= min(MAX_ITEMS, 1 + seen // _RAMP) or size >= MAX_CHUNK_BYTES):
            yield Chunk(tuple(ready), size)
            ready.clear()
            size = 0
        if item is None:
            yield None
    if ready:
        yield Chunk(tuple(ready), size)


class _Line:
    """A line that comes in parts."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def append(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > MAX_BUNDLE_BYTES:
            self._parts.clear()
        else:
            self._parts.append(part)

    def item(self, name: str) -> Item | None:
        """None for a line of white space."""
        if self._size > MAX_BUNDLE_BYTES:
            expected = f"at most {MAX_BUNDLE_BYTES} bytes"
            return Item(name, error=Malformed("line too long", where=name, got=f"{self._size}", expected=expected))
        data = b"".join(self._parts)
        return None if not data.strip() else Item(name, data)


def _refuse_indented(first: Item, name: str) -> None:
    if first.data is not None and first.data.strip() in {b"{", b"["}:
        raise UsageError(
            "indented JSON, not one document per line",
            where=f"--batch {name}",
            hint="`jq -c . FILE...` writes one per line; --batch DIR takes the files of a directory as they are",
        )


def _empty(name: str, what: str) -> UsageError:
    return UsageError(f"nothing to verify: {what}", where=f"--batch {shown(name)}")
