"""The files of an OS image, from its folder or from its archive (.tar or .tar.gz), which is never unpacked to disk."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import BinaryIO

from twinproof.dstack.checksum_list import CHECKSUMS, MAX_CHECKSUMS_BYTES, parse_checksums
from twinproof.dstack.image_measurements import DIGEST, ImageFile
from twinproof.errors import Malformed, UsageError
from twinproof.sources.gunzip import Gunzip
from twinproof.sources.tar_stream import read_tar
from twinproof.wire import shown

__all__ = ["MAX_ARCHIVE_BYTES", "Progress", "read_image"]

MAX_ARCHIVE_BYTES = 16 << 30
"""Of an unpacked archive; the root file systems of dstack images have less than 2 GiB."""
FREE_BYTES, MAX_RATIO = 64 << 20, 200
"""An archive may unpack to so many bytes, and to so many times what was read of it."""
MAX_KEPT_BYTES, MAX_KEPT_TOTAL = 64 << 20, 256 << 20
CHUNK = 1 << 20
GZIP = b"\x1f\x8b"
OTHER_PACKERS = {b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"PK\x03\x04": "zip"}

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""


def read_image(name: str, progress: Progress | None = None) -> dict[str, ImageFile]:
    """Files by name. Raises UsageError for what cannot be opened, Malformed for what is in it."""
    where = f"image {shown(name)}"
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait for ever
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"cannot be read: {reason}", where=where) from error
    with ExitStack() as stack:
        stack.callback(os.close, descriptor)
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            raise UsageError("neither a folder nor a file", where=where)
        try:
            if stat.S_ISDIR(mode):
                return _folder(descriptor, progress)
            return _archive(stack.enter_context(os.fdopen(os.dup(descriptor), "rb")), where, progress)
        except OSError as error:
            raise UsageError(f"cannot be read: {error.strerror or error}", where=where) from error


class _Keeper:
    """Hashes files, and keeps the content of the small ones."""

    def __init__(self) -> None:
        self.left = MAX_KEPT_TOTAL

    def file(self, size: int, chunks: Iterable[bytes]) -> ImageFile:
        keep = size <= min(MAX_KEPT_BYTES, self.left)
        sha256, sha384 = hashlib.sha256(), hashlib.sha384()
        kept: list[bytes] = []
        read = 0
        for chunk in chunks:
            sha256.update(chunk)
            sha384.update(chunk)
            read += len(chunk)
            if keep:
                kept.append(chunk)
        if keep:
            self.left -= size
        return ImageFile(read, sha256.digest(), sha384.digest(), b"".join(kept) if keep else None)


def _folder(directory: int, progress: Progress | None) -> dict[str, ImageFile]:
    """The listed files; whatever else is in the folder is nobody's business."""
    with _open_regular(directory, CHECKSUMS) as file:
        data = file.read(MAX_CHECKSUMS_BYTES + 1)
    names = [name for name in (*parse_checksums(data), DIGEST) if _exists(directory, name)]
    keeper = _Keeper()
    found = {CHECKSUMS: keeper.file(len(data), [data])}
    with ExitStack() as stack:
        opened = {name: stack.enter_context(_open_regular(directory, name)) for name in names}
        sizes = {name: os.fstat(file.fileno()).st_size for name, file in opened.items()}
        count = _Count(sum(sizes.values()), progress)
        for name, file in opened.items():
            found[name] = keeper.file(sizes[name], count.chunks(file, sizes[name], name))
    return found


def _exists(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _open_regular(directory: int, name: str) -> BinaryIO:
    """Never follows a link, and never waits for a pipe."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError as error:
        raise Malformed("no such file in the image", where=name, hint="is this the folder of an OS image?") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise Malformed("not a regular file that can be read", where=name, got=reason) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Malformed("not a regular file", where=name)
    return os.fdopen(descriptor, "rb")


class _Count:
    """Tells how far the reading has come."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.done, self.total, self.progress = 0, total, progress

    def chunks(self, file: BinaryIO, size: int, name: str) -> Iterator[bytes]:
        read = 0
        while chunk := file.read(CHUNK):
            read += len(chunk)
            if read > size:
                raise Malformed("the file grows while it is read", where=name, expected=f"{size} bytes")
            self.done += len(chunk)
            if self.progress is not None:
                self.progress(self.done, self.total)
            yield chunk


def _archive(file: BinaryIO, where: str, progress: Progress | None) -> dict[str, ImageFile]:
    start = file.read(8)
    file.seek(0)
    other = next((packer for magic, packer in OTHER_PACKERS.items() if start.startswith(magic)), None)
    if other is not None:
        raise Malformed(f"packed with {other}", where=where, expected="a folder, .tar or .tar.gz")
    unpack = Gunzip(file, where).read if start.startswith(GZIP) else file.read
    keeper, read = _Keeper(), _Bounded(file, unpack, where, progress).read
    return {member.name: keeper.file(member.size, member.chunks) for member in read_tar(read)}


class _Bounded:
    """Reads an archive no further than its limits allow."""

    def __init__(self, file: BinaryIO, unpack: Callable[[int], bytes], where: str, progress: Progress | None) -> None:
        self.file, self.unpack, self.where, self.progress = file, unpack, where, progress
        self.unpacked, self.size = 0, os.fstat(file.fileno()).st_size

    def read(self, size: int) -> bytes:
        data = self.unpack(size)
        self.unpacked += len(data)
        packed = self.file.tell()
        if self.unpacked > min(MAX_ARCHIVE_BYTES, FREE_BYTES + MAX_RATIO * packed):
            got = f"{self.unpacked} bytes of {packed}"
            raise Malformed("unpacks to too much", where=self.where, got=got, expected="an OS image")
        if self.progress is not None:
            self.progress(packed, self.size)
        return data
