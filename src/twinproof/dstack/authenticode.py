"""Authenticode SHA-384 of a PE image: what UEFI firmware extends into RTMR1 before it starts a kernel.

Hashed is the whole file but the checksum, the directory entry of the certificate table and the table itself: the
headers first, then the sections by their place in the file, then what follows them. Firmware, signing tools and the
specification agree on the digest only where the sections fill the file without gaps or overlaps and the certificates
stand at its end, so any other layout is refused: a byte in a gap could change unseen.

Sources: Microsoft, Windows Authenticode Portable Executable Signature Format; UEFI 2.10, 32.3; PE Format.
"""

from __future__ import annotations

import hashlib
from typing import NoReturn

from twinproof.errors import Malformed

__all__ = ["authenticode_sha384", "hashed_ranges"]

MACHINE_X64, PE32_PLUS = 0x8664, 0x20B
COFF_BYTES, SECTION_BYTES = 24, 40  # COFF with the signature "PE\0\0"
FIXED_OPTIONAL_BYTES = 112  # of PE32+, before the data directories
CHECKSUM, DIRECTORY_COUNT, SIZE_OF_HEADERS = 64, 108, 60
MAX_SECTIONS, MAX_DIRECTORIES, CERTIFICATES = 96, 16, 4
ALIGNMENT = 8


def authenticode_sha384(image: bytes) -> bytes:
    """48 bytes. Raises Malformed for anything that is not a plain x86-64 PE image."""
    running, view = hashlib.sha384(), memoryview(image)
    for start, end in hashed_ranges(image):
        running.update(view[start:end])
    return running.digest()


def hashed_ranges(image: bytes) -> tuple[tuple[int, int], ...]:
    """What is hashed, in order: (first byte, byte after the last). Raises Malformed."""
    header = _u32(image, 0x3C) if image[:2] == b"MZ" else _refuse("not a PE image", 0, image[:2].hex() or "nothing")
    if image[header : header + 4] != b"PE\0\0" or header % ALIGNMENT:
        _refuse("no PE header", header, image[header : header + 4].hex() or "the end")
    if len(image) % ALIGNMENT:
        _refuse("size is not a multiple of 8", len(image), f"{len(image)} bytes")
    if _u16(image, header + 4) != MACHINE_X64:
        _refuse("not for x86-64", header + 4, f"machine {_u16(image, header + 4):#x}")
    count, optional_size = _u16(image, header + 6), _u16(image, header + 20)
    optional = header + COFF_BYTES
    directories = _u32(image, optional + DIRECTORY_COUNT)
    if _u16(image, optional) != PE32_PLUS or directories > MAX_DIRECTORIES:
        _refuse("not a PE32+ header", optional, f"magic {_u16(image, optional):#x}, {directories} directories")
    if optional_size != FIXED_OPTIONAL_BYTES + 8 * directories:
        _refuse("optional header of another length", header + 20, f"{optional_size} bytes")
    table = optional + optional_size
    headers = _u32(image, optional + SIZE_OF_HEADERS)
    if not 1 <= count <= MAX_SECTIONS:
        _refuse("number of sections", header + 6, str(count))
    if not table + SECTION_BYTES * count <= headers <= len(image):
        _refuse("headers of a wrong size", optional + SIZE_OF_HEADERS, f"{headers} bytes")
    certificates = optional + FIXED_OPTIONAL_BYTES + 8 * CERTIFICATES
    end = _without_certificates(image, certificates) if directories > CERTIFICATES else len(image)
    sections_end = _fill(image, table, count, headers, end)
    checksum = optional + CHECKSUM
    if directories > CERTIFICATES:
        ranges = [(0, checksum), (checksum + 4, certificates), (certificates + 8, headers)]
    else:
        ranges = [(0, checksum), (checksum + 4, headers)]
    return (*ranges, (headers, sections_end), (sections_end, end))


def _without_certificates(image: bytes, entry: int) -> int:
    """Where the certificate table starts, or the end of the file without one."""
    start, size = _u32(image, entry), _u32(image, entry + 4)
    if not start and not size:
        return len(image)
    if start + size != len(image) or start % ALIGNMENT or not size:
        _refuse("certificates are not the end of the file", entry, f"{size} bytes at byte {start}")
    return start


def _fill(image: bytes, table: int, count: int, headers: int, end: int) -> int:
    """The end of the last section; sections follow each other from the end of the headers on."""
    entries = (table + SECTION_BYTES * index for index in range(count))
    sections = sorted((_u32(image, at + 20), _u32(image, at + 16)) for at in entries if _u32(image, at + 16))
    at = headers
    for start, size in sections:
        if start != at or start + size > end:
            _refuse("sections with gaps, overlaps or beyond the file", at, f"{size} bytes at byte {start}")
        at = start + size
    return at


def _refuse(what: str, at: int, got: str) -> NoReturn:
    raise Malformed(what, where=f"kernel byte {at}", got=got)


def _u16(data: bytes, at: int) -> int:
    return _integer(data, at, 2)


def _u32(data: bytes, at: int) -> int:
    return _integer(data, at, 4)


def _integer(data: bytes, at: int, size: int) -> int:
    field = data[at : at + size]
    if len(field) != size:
        _refuse("ends inside its headers", at, f"{len(data)} bytes")
    return int.from_bytes(field, "little")
