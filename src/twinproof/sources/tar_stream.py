"""A tar archive read once, front to back: regular files in one folder, and nothing else.

    header     512 bytes: name 100, mode 8, uid 8, gid 8, size 12, mtime 12, checksum 8, type 1, link 100,
               "ustar", version, owner names, device 16, prefix 155; numbers are octal text
    content    padded to 512 bytes
    end        two blocks of zeros, then zeros to the end of the archive

Links, devices, long names and sparse files have no place in an image and are refused, as is everything that two tar
programs could read differently. Nothing is ever written to disk.

Source: POSIX.1-2017, pax, "ustar Interchange Format".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from twinproof.dstack.checksum_list import is_flat_name
from twinproof.errors import Malformed
from twinproof.wire import shown

__all__ = ["MAX_MEMBERS", "TarFile", "read_tar"]

BLOCK = 512
CHUNK = 1 << 20
MAX_MEMBERS = 256
MAX_EXTENSION_BYTES = 64 << 10
REGULAR, DIRECTORY, EXTENSIONS = (b"0", b"\0"), b"5", (b"x", b"g")
REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"K": "a long name",
    b"L": "a long name",
    b"S": "a sparse file",
}
_OCTAL = re.compile(rb" *([0-7]{1,11})[ \0]*")
_HARMLESS = re.compile(r"atime|ctime|mtime|uid|gid|uname|gname|comment|(?:SCHILY|LIBARCHIVE|RHT)\.\w[\w.:-]*", re.ASCII)

Read = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class TarFile:
    """`chunks` gives the content once, in pieces of at most 1 MiB; what is not taken is skipped."""

    name: str
    size: int
    chunks: Iterator[bytes]


def read_tar(read: Read) -> Iterator[TarFile]:
    """`read(n)` gives n bytes, fewer only at the end. Raises Malformed with the member's number."""
    layout = _Layout()
    for member in range(1, MAX_MEMBERS + 2):
        where = f"archive member {member}"
        header = _exactly(read, BLOCK, where)
        if not any(header):
            _check_end(read, where)
            return
        if member > MAX_MEMBERS:
            break
        size, kind = _check_header(header, where), header[156:157]
        if kind in EXTENSIONS:
            _check_extension(_small(read, size, where), where)
            continue
        if kind == DIRECTORY:
            layout.folder(_path(header, where), size, where)
        elif kind in REGULAR:
            chunks = _content(read, size, where)
            yield TarFile(layout.file(_path(header, where), where), size, chunks)
            for _ in chunks:
                pass
        else:
            what = REFUSED.get(kind, f"a member of type {kind!r}")
            raise Malformed(f"{what} in an image", where=where, got=shown(_until_zero(header[:100]).decode("latin-1")))
    raise Malformed("too many members", where="archive", expected=f"at most {MAX_MEMBERS}")


class _Layout:
    """All files stand in one folder, each once; its name and that of empty folders beside it do not matter."""

    def __init__(self) -> None:
        self.home: list[str] | None = None
        self.names: set[str] = set()

    def folder(self, path: list[str], size: int, where: str) -> None:
        if len(path) > 1 or size:
            raise Malformed("a folder that no image has", where=where, got=shown("/".join(path)))

    def file(self, path: list[str], where: str) -> str:
        if self.home is None:
            self.home = path[:-1]
        if path[:-1] != self.home or len(path) > 2:
            raise Malformed("files in more than one folder", where=where, got=shown("/".join(path)))
        name = path[-1] if path else ""
        if not is_flat_name(name):
            raise Malformed("not the name of a file in an image", where=where, got=shown("/".join(path)))
        if name in self.names:
            raise Malformed("a file stored twice", where=where, got=name)
        self.names.add(name)
        return name


def _check_header(header: bytes, where: str) -> int:
    """The size of the content in bytes."""
    if header[257:262] != b"ustar":
        raise Malformed("not a tar header", where=where, got=header[257:262].hex(), expected="ustar")
    unsigned = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    if _number(header[148:156], where) != unsigned:
        raise Malformed("a header with a wrong checksum", where=where)
    return _number(header[124:136], where)


def _number(field: bytes, where: str) -> int:
    match = _OCTAL.fullmatch(field)
    if match is None:
        raise Malformed("not an octal number", where=where, got=field.hex())
    return int(match[1], 8)


def _path(header: bytes, where: str) -> list[str]:
    """The parts of the path; none of them leads out of the archive, and a leading `./` is no part."""
    raw = _until_zero(header[:100])
    prefix = _until_zero(header[345:500]) if header[262:263] == b"\0" else b""  # GNU tar keeps times there
    try:
        text = (prefix + b"/" + raw if prefix else raw).decode("ascii")
    except UnicodeDecodeError as error:
        raise Malformed("a name that is not ASCII", where=where, got=raw.hex()) from error
    parts = text.split("/")
    if parts[0] == ".":
        parts = parts[1:]
    if parts and not parts[-1] and header[156:157] == DIRECTORY:
        parts = parts[:-1]
    if any(part in {"", ".", ".."} or "\\" in part or not part.isprintable() for part in parts):
        raise Malformed("a path that leads out of the archive, or is no path", where=where, got=shown(text))
    return parts


def _until_zero(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _check_extension(data: bytes, where: str) -> None:
    """Extended headers may hold times and owners, and nothing that changes the next member."""
    while data:
        digits, blank, _ = data.partition(b" ")
        length = int(digits) if blank and digits.isdigit() and len(digits) < 6 else 0
        record, data = data[:length], data[length:]
        key = record[len(digits) + 1 :].partition(b"=")[0].decode("latin-1")
        if not record.endswith(b"\n") or len(record) != length or not _HARMLESS.fullmatch(key):
            raise Malformed("an extended header that is not for an image", where=where, got=shown(key, 40))


def _check_end(read: Read, where: str) -> None:
    if any(_exactly(read, BLOCK, where)):
        raise Malformed("a single block of zeros", where=where, expected="two, at the end")
    while rest := read(CHUNK):
        if any(rest):
            raise Malformed("bytes after the end of the archive", where=where)


def _small(read: Read, size: int, where: str) -> bytes:
    if size > MAX_EXTENSION_BYTES:
        raise Malformed("an extended header too large", where=where, got=f"{size} bytes")
    return b"".join(_content(read, size, where))


def _content(read: Read, size: int, where: str) -> Iterator[bytes]:
    for start in range(0, size, CHUNK):
        yield _exactly(read, min(CHUNK, size - start), where)
    if any(_exactly(read, -size % BLOCK, where)):
        raise Malformed("padding that is not zeros", where=where)


def _exactly(read: Read, size: int, where: str) -> bytes:
    data = read(size) if size else b""
    if len(data) != size:
        raise Malformed(
            "the archive ends early",
            where=where,
            got=f"{len(data)} bytes",
            expected=f"{size} bytes",
            hint="the download may have been cut off",
        )
    return data
