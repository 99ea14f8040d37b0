"""TDVF: the firmware that a TD starts with, and MRTD, which the TDX module computes while the firmware is loaded.

    end of file   32 bytes of reset vector; before them a table that is read backwards: each entry is its data,
                  u16 length (data, length and GUID together) and a GUID. The last entry is the footer, whose length
                  is that of the whole table.
    offset entry  u32: how far before the end of the file the descriptor starts
    descriptor    "TDVF", u32 length, u32 version 1, u32 count, then count sections of 32 bytes
    section       u32 data offset, u32 raw size, u64 address, u64 memory size, u32 type, u32 attributes

All integers are little-endian. MRTD is one SHA-384 over a 128-byte record for every page that is added, and for every
256 bytes that are measured a 128-byte record and the bytes themselves. Hypervisors add pages in two orders, so one
firmware has two legitimate values.

Sources: Intel TDX Virtual Firmware Design Guide, chapter 11; Intel TDX Module ABI, TDH.MEM.PAGE.ADD and TDH.MR.EXTEND.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from itertools import pairwise
from uuid import UUID

from twinproof.errors import Malformed

__all__ = ["MAX_FIRMWARE_BYTES", "Attributes", "Section", "SectionType", "Tdvf", "mrtd_values", "parse_tdvf"]

MAX_FIRMWARE_BYTES = 64 << 20
MAX_SECTIONS = 64
MAX_ADDED_BYTES = 256 << 20
MAX_ADDRESS = 1 << 52
PAGE, CHUNK, RECORD = 4096, 256, 128
RESET_VECTOR_BYTES = 32
FOOTER = UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le
METADATA_OFFSET = UUID("e47a6535-984a-4798-865e-4685a7bf8ec2").bytes_le
ENTRY_TAIL = 18  # u16 length and the GUID
DESCRIPTOR_BYTES, SECTION_BYTES = 16, 32


class SectionType(IntEnum):
    """What a section holds. Kernels and their parameters (5, 6) are not loaded by this firmware: refused."""

    BFV = 0
    CFV = 1
    TD_HOB = 2
    TEMP_MEM = 3
    PERM_MEM = 4


class Attributes(IntFlag):
    MR_EXTEND = 1
    PAGE_AUG = 2


@dataclass(frozen=True, slots=True)
class Section:
    """`address` and `memory_size` are in bytes and whole pages; `data` is empty for memory that starts as zeros."""

    data: memoryview
    address: int
    memory_size: int
    type: SectionType
    attributes: Attributes

    @property
    def added(self) -> bool:
        """Whether its pages are part of the TD before it runs; others are added later, unmeasured."""
        return Attributes.PAGE_AUG not in self.attributes

    @property
    def measured(self) -> bool:
        """Whether the content of its pages is hashed, beside the fact that they were added."""
        return Attributes.MR_EXTEND in self.attributes

    @property
    def end(self) -> int:
        return self.address + self.memory_size


@dataclass(frozen=True, slots=True)
class Tdvf:
    sections: tuple[Section, ...]


def parse_tdvf(firmware: bytes) -> Tdvf:
    """The sections of a firmware file. Raises Malformed with the offset in the file."""
    size = len(firmware)
    if size > MAX_FIRMWARE_BYTES:
        raise Malformed("firmware too large", where="firmware", got=f"{size} bytes", expected=f"{MAX_FIRMWARE_BYTES}")
    start = size - _descriptor_distance(firmware)
    if start < 0 or start + DESCRIPTOR_BYTES > size:
        raise Malformed("the TDVF descriptor is outside the file", where="firmware", got=f"byte {start} of {size}")
    if firmware[start : start + 4] != b"TDVF":
        raise Malformed("not a TDVF descriptor", where=f"firmware byte {start}", got=firmware[start : start + 4].hex())
    length, version, count = (_u32(firmware, start + at) for at in (4, 8, 12))
    if version != 1:
        raise Malformed("unknown TDVF version", where=f"firmware byte {start + 8}", got=str(version), expected="1")
    if not 1 <= count <= MAX_SECTIONS:
        raise Malformed("number of sections", where=f"firmware byte {start + 12}", got=str(count), expected="1..64")
    if length != DESCRIPTOR_BYTES + SECTION_BYTES * count or start + length > size:
        raise Malformed(
            "wrong TDVF length",
            where=f"firmware byte {start + 4}",
            got=f"{length} bytes",
            expected=f"{DESCRIPTOR_BYTES + SECTION_BYTES * count} for {count} sections, inside the file",
        )
    first = start + DESCRIPTOR_BYTES
    sections = tuple(_section(firmware, first + SECTION_BYTES * index) for index in range(count))
    _check_memory(sections)
    return Tdvf(sections)


def _descriptor_distance(firmware: bytes) -> int:
    """From the descriptor to the end of the file, in bytes."""
    end = len(firmware) - RESET_VECTOR_BYTES
    if end < ENTRY_TAIL or firmware[end - 16 : end] != FOOTER:
        raise Malformed(
            "no table of GUIDs at the end of the firmware",
            where="firmware",
            hint="dstack images carry OVMF, one file for code and variables, as ovmf.fd",
        )
    total = _u16(firmware, end - ENTRY_TAIL)
    table_start, at = end - total, end - ENTRY_TAIL
    if not ENTRY_TAIL <= total <= end:
        raise Malformed("wrong table length", where=f"firmware byte {end - ENTRY_TAIL}", got=f"{total} bytes")
    found: list[int] = []
    while at > table_start:
        entry = _u16(firmware, at - ENTRY_TAIL) if at - ENTRY_TAIL >= table_start else 0
        if not ENTRY_TAIL <= entry <= at - table_start:
            raise Malformed("wrong entry length", where=f"firmware byte {at - ENTRY_TAIL}", got=f"{entry} bytes")
        if firmware[at - 16 : at] == METADATA_OFFSET:
            if entry != ENTRY_TAIL + 4:
                raise Malformed("not a 4-byte offset", where=f"firmware byte {at - entry}", got=f"{entry} bytes")
            found.append(_u32(firmware, at - entry))
        at -= entry
    if len(found) != 1:
        raise Malformed(
            "firmware without TDX metadata" if not found else "TDX metadata named twice",
            where=f"firmware byte {table_start}",
            hint="" if found else "this firmware cannot start a TD",
        )
    return found[0]


def _section(firmware: bytes, at: int) -> Section:
    where = f"firmware byte {at}"
    offset, raw_size, kind, flags = (_u32(firmware, at + field) for field in (0, 4, 24, 28))
    address, memory_size = (int.from_bytes(firmware[at + field : at + field + 8], "little") for field in (8, 16))
    if kind not in set(SectionType):
        raise Malformed("unknown section type", where=where, got=str(kind), expected="0..4")
    if flags & ~int(Attributes.MR_EXTEND | Attributes.PAGE_AUG):
        raise Malformed("unknown section attributes", where=where, got=f"{flags:#x}", expected="bits 0 and 1")
    section_type, attributes = SectionType(kind), Attributes(flags)
    if address % PAGE or memory_size % PAGE or not memory_size or address + memory_size > MAX_ADDRESS:
        got = f"{memory_size:#x} bytes at {address:#x}"
        raise Malformed("section memory is not whole pages below 2**52", where=where, got=got)
    if offset + raw_size > len(firmware):
        raise Malformed("section data outside the file", where=where, got=f"{raw_size} bytes at byte {offset}")
    if raw_size > memory_size:
        raise Malformed("section data larger than its memory", where=where, got=f"{raw_size} of {memory_size} bytes")
    if section_type in {SectionType.TD_HOB, SectionType.TEMP_MEM, SectionType.PERM_MEM} and raw_size:
        raise Malformed("memory with data of its own", where=where, got=f"{section_type.name}, {raw_size} bytes")
    if Attributes.MR_EXTEND in attributes and (raw_size != memory_size or Attributes.PAGE_AUG in attributes):
        # The rest of a partly filled page would be whatever the loader left there.
        raise Malformed("a measured section that is not filled from the file", where=where, got=f"{raw_size} bytes")
    return Section(memoryview(firmware)[offset : offset + raw_size], address, memory_size, section_type, attributes)


def _check_memory(sections: tuple[Section, ...]) -> None:
    added = sorted((section for section in sections if section.added), key=lambda section: section.address)
    total = sum(section.memory_size for section in added)
    if total > MAX_ADDED_BYTES:
        raise Malformed("sections too large", where="TDVF", got=f"{total} bytes", expected=f"at most {MAX_ADDED_BYTES}")
    for section, following in pairwise(added):
        if following.address < section.end:
            raise Malformed("a page is added twice", where="TDVF", got=f"two sections at {following.address:#x}")


def mrtd_values(tdvf: Tdvf) -> tuple[bytes, bytes]:
    """MRTD (48 bytes) with each page measured as it is added (QEMU 9 and newer), and section by section (QEMU 8)."""
    return _mrtd(tdvf, _single_pass), _mrtd(tdvf, _two_pass)


def _mrtd(tdvf: Tdvf, order: Callable[[Section], Iterator[bytes]]) -> bytes:
    running = hashlib.sha384()
    for section in tdvf.sections:
        # Pages that are added later leave no record, and there may be a terabyte of them.
        for records in order(section) if section.added else ():
            running.update(records)
    return running.digest()


def _single_pass(section: Section) -> Iterator[bytes]:
    for page in range(0, section.memory_size, PAGE):
        yield _page_added(section, page)
        yield _page_measured(section, page)


def _two_pass(section: Section) -> Iterator[bytes]:
    pages = range(0, section.memory_size, PAGE)
    yield from (_page_added(section, page) for page in pages)
    yield from (_page_measured(section, page) for page in pages)


def _page_added(section: Section, page: int) -> bytes:
    return _record(b"MEM.PAGE.ADD", section.address + page)


def _page_measured(section: Section, page: int) -> bytes:
    if not section.measured:
        return b""
    parts: list[bytes | memoryview] = []
    for at in range(page, page + PAGE, CHUNK):
        parts += (_record(b"MR.EXTEND", section.address + at), section.data[at : at + CHUNK])
    return b"".join(parts)


def _record(name: bytes, address: int) -> bytes:
    return name.ljust(16, b"\0") + address.to_bytes(8, "little") + bytes(RECORD - 24)


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")
