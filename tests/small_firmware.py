"""A small TDVF firmware, written field by field, and MRTD of it counted out record by record."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, replace

__all__ = ["SECTIONS", "TDX_OFFSET", "Piece", "changed", "firmware", "mrtd"]

TABLE_END = bytes.fromhex("de82b596b21ff745baeaa366c55a082d")
TDX_OFFSET = bytes.fromhex("35657ae44a989847865e4685a7bf8ec2")
OTHER = bytes.fromhex("11" * 16)
PAGE = 4096


@dataclass(frozen=True)
class Piece:
    """One section: where its bytes are in the file, and where they go in memory."""

    offset: int
    raw: int
    address: int
    memory: int
    kind: int
    flags: int

    def packed(self) -> bytes:
        return struct.pack("<IIQQII", self.offset, self.raw, self.address, self.memory, self.kind, self.flags)


SIZE = 6 * PAGE
CODE = Piece(PAGE, SIZE - PAGE, 0xFFFFF000 - (SIZE - 2 * PAGE), SIZE - PAGE, 0, 1)
SECTIONS = (
    CODE,
    Piece(0, PAGE, CODE.address - PAGE, PAGE, 1, 0),
    Piece(0, 0, 0x810000, 2 * PAGE, 3, 0),
    Piece(0, 0, 0x809000, 2 * PAGE, 2, 0),
)


def firmware(
    sections: tuple[Piece, ...] = SECTIONS,
    *,
    size: int = SIZE,
    descriptor: bytes | None = None,
    entries: tuple[tuple[bytes, bytes], ...] | None = None,
) -> bytes:
    """`descriptor` replaces the TDVF descriptor, `entries` (GUID, data) the entries before the footer."""
    if descriptor is None:
        descriptor = struct.pack("<4sIII", b"TDVF", 16 + 32 * len(sections), 1, len(sections))
        descriptor += b"".join(section.packed() for section in sections)
    distance = 0x400 + len(descriptor)
    if entries is None:
        entries = ((OTHER, b"\x2a" * 8), (TDX_OFFSET, struct.pack("<I", distance)), (OTHER, b""))
    table = b"".join(data + struct.pack("<H", len(data) + 18) + guid for guid, data in entries)
    table += struct.pack("<H", len(table) + 18) + TABLE_END
    image = bytearray(hashlib.shake_128(b"firmware").digest(size))
    image[size - distance : size - distance + len(descriptor)] = descriptor
    image[size - 32 - len(table) : size - 32] = table
    return bytes(image)


def mrtd(image: bytes, sections: tuple[Piece, ...], *, two_pass: bool) -> bytes:
    """Every record in a list, then one hash over it."""
    records: list[bytes] = []
    for section in sections:
        pages = [section.address + at for at in range(0, section.memory, PAGE)]
        adds = {page: struct.pack("<16sQ104x", b"MEM.PAGE.ADD", page) for page in pages}
        content = dict.fromkeys(pages, b"")
        for page in pages:
            for at in range(0, PAGE if section.flags & 1 else 0, 256):
                start = section.offset + page - section.address + at
                content[page] += struct.pack("<16sQ104x", b"MR.EXTEND", page + at) + image[start : start + 256]
        if section.flags & 2:
            adds = dict.fromkeys(pages, b"")
        if two_pass:
            records += [*adds.values(), *content.values()]
        else:
            for page in pages:
                records += [adds[page], content[page]]
    return hashlib.sha384(b"".join(records)).digest()


def changed(index: int, **fields: int) -> tuple[Piece, ...]:
    """The usual sections, one of them with other fields."""
    return tuple(replace(section, **fields) if at == index else section for at, section in enumerate(SECTIONS))
