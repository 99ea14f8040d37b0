"""A small bzImage that is also a PE image, packed field by field, as Linux builds them."""

from __future__ import annotations

import hashlib
import struct
from itertools import accumulate, pairwise

__all__ = ["HEADERS", "authenticode", "bzimage"]

HEADERS = 0x400
PE_HEADER = 0x40


def bzimage(
    *,
    sections: tuple[tuple[int, int], ...] = ((0x800, 0x200), (0x400, 0x400), (0xA00, 0x600), (0, 0)),
    headers: int = HEADERS,
    tail: bytes = b"",
    certificates: bytes = b"",
    directories: int = 6,
    machine: int = 0x8664,
    magic: int = 0x20B,
    protocol: int = 0x20F,
    loadflags: int = 1,
    xloadflags: int = 0x7F,
    initrd_max: int = 0x7FFFFFFF,
    setup_sectors: int = 3,
    setup: dict[int, bytes] | None = None,
) -> bytes:
    """`sections` are (start, size) in the file, in the order of the section table; `setup` overwrites bytes."""
    body_end = max((start + size for start, size in sections), default=headers)
    image = bytearray(hashlib.shake_128(b"kernel").digest(body_end))
    image[:HEADERS] = bytes(HEADERS)
    image[0:2] = b"MZ"
    image[0x3C:0x40] = struct.pack("<I", PE_HEADER)
    coff = struct.pack("<4sHHIIIHH", b"PE\0\0", machine, len(sections), 0, 0, 0, 112 + 8 * directories, 0x206)
    optional = bytearray(112)
    struct.pack_into("<H", optional, 0, magic)
    struct.pack_into("<II", optional, 60, headers, 0xC0FFEE)  # SizeOfHeaders, CheckSum
    struct.pack_into("<I", optional, 108, directories)
    directory = [(0, 0)] * directories
    if directories > 4 and certificates:
        directory[4] = (body_end + len(tail), len(certificates))
    table = b"".join(struct.pack("<8sIIIIIIHHI", b".x", 0, 0, size, start, 0, 0, 0, 0, 0) for start, size in sections)
    header = coff + optional + b"".join(struct.pack("<II", *pair) for pair in directory) + table
    image[PE_HEADER : PE_HEADER + len(header)] = header
    image[0x1F1] = setup_sectors
    image[0x202:0x208] = b"HdrS" + struct.pack("<H", protocol)
    image[0x210:0x212] = bytes([0, loadflags])
    image[0x218:0x230] = bytes(20) + struct.pack("<I", initrd_max)
    image[0x236:0x238] = struct.pack("<H", xloadflags)
    for at, data in (setup or {}).items():
        image[at : at + len(data)] = data
    return bytes(image) + tail + certificates


def authenticode(image: bytes, *, certificates: int = 0, directories: int = 6) -> bytes:
    """Of an image as above: everything but the checksum, the certificates and the entry that names them."""
    checksum = PE_HEADER + 24 + 64
    entry = PE_HEADER + 24 + 112 + 4 * 8
    holes = (checksum, 4, entry - checksum - 4, 8) if directories > 4 else (checksum, 4)
    cuts = [0, *accumulate(holes), len(image) - certificates]
    kept = [image[start:end] for start, end in list(pairwise(cuts))[::2]]
    return hashlib.sha384(b"".join(kept)).digest()
