"""The TD HOB: the list of memory ranges that the hypervisor hands to the firmware, which measures it first of all.

It depends on the memory's size and on where the firmware wants its stack and heap. An image's measurement document
carries the latter as a witness, unsigned LEB128 numbers of 4 KiB pages:

    base_page  hob_page_delta  count  then count times: start_delta  pages

Every delta counts from base_page, the first page of the first range; the ranges ascend and are not merged. The HOB list
itself lies at base_page + hob_page_delta. Its layout, little-endian:

    56 bytes   hand-off: u16 type 1, u16 length, u32 0, u32 version 9, u32 boot mode 0, four u64 0, u64 end of list
    48 bytes   each range: u16 type 3, u16 length, u32 0, 16 bytes 0, u32 kind, u32 attributes 7, u64 start, u64 size

Sources: UEFI Platform Initialization 1.8, volume 3, chapter 5; Intel TDX Virtual Firmware Design Guide 7.3; dstack-mr
`tdx.rs`.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from twinproof.errors import Malformed

__all__ = ["HobWitness", "parse_witness", "supported_memory", "td_hob", "td_hob_digest"]

PAGE = 4096
MAX_WITNESS_BYTES = 4096
MAX_RANGES = 64
MAX_PAGE = 1 << 20
"""The firmware's ranges lie below 4 GiB."""
MAX_MEMORY = 1 << 52
LOW_MEMORY_END = 0x80000000
HIGH_MEMORY = 0x100000000
SPLIT_FROM = 0xB0000000
"""From this size on all memory but the first 2 GiB lies above 4 GiB, and the kernel is patched alike for every size."""
_SYSTEM_MEMORY, _UNACCEPTED = 0, 7


class HobWitness(NamedTuple):
    """`address` of the HOB list and the accepted `ranges` (start, end), ascending, all in bytes and whole pages."""

    address: int
    ranges: tuple[tuple[int, int], ...]


def supported_memory(memory_size: int) -> bool:
    """Whether one measurement document speaks for this size (bytes): exactly 2 GiB, or 2.75 GiB and more.

    In between QEMU writes the size into the kernel that it serves, and the document has no digest for that.
    """
    return memory_size == LOW_MEMORY_END or SPLIT_FROM <= memory_size <= MAX_MEMORY


def parse_witness(data: bytes, where: str = "td_hob") -> HobWitness:
    """Raises Malformed for ranges that are empty, out of order or overlapping, and for bytes after the last one."""
    if len(data) > MAX_WITNESS_BYTES:
        raise Malformed("witness too large", where=where, got=f"{len(data)} bytes", expected=f"{MAX_WITNESS_BYTES}")
    numbers = _leb128(data, where)
    if len(numbers) < 3:  # base, delta and count
        raise Malformed("ends before its ranges", where=where, got=f"{len(numbers)} numbers")
    base, hob_delta, count, *pairs = numbers
    if not 1 <= count <= MAX_RANGES or len(pairs) != 2 * count:
        raise Malformed(
            "number of ranges",
            where=where,
            got=f"{count}, with {len(pairs)} numbers",
            expected="1..64, two numbers each",
        )
    ranges: list[tuple[int, int]] = []
    end = base
    for index, (delta, pages) in enumerate(zip(pairs[::2], pairs[1::2], strict=True)):
        start = base + delta
        if start < end or (index == 0 and delta):
            raise Malformed("ranges overlap or do not ascend from the base", where=f"{where} range {index}")
        end = start + pages
        if not pages or end > MAX_PAGE:
            raise Malformed("range is empty or above 4 GiB", where=f"{where} range {index}", got=f"{pages} pages")
        ranges.append((start * PAGE, end * PAGE))
    if base + hob_delta >= end:
        raise Malformed("the HOB list is outside the ranges", where=where, got=f"page {base + hob_delta}")
    return HobWitness((base + hob_delta) * PAGE, tuple(ranges))


def _leb128(data: bytes, where: str) -> list[int]:
    numbers: list[int] = []
    value = shift = 0
    for at, byte in enumerate(data):
        if shift > 28 or (shift and not byte):  # five groups of seven bits hold every page number
            raise Malformed("number too large or not in its shortest form", where=f"{where} byte {at}")
        value |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
        else:
            numbers.append(value)
            value = shift = 0
    if shift:
        raise Malformed("ends inside a number", where=f"{where} byte {len(data)}")
    return numbers


def td_hob(witness: HobWitness, memory_size: int) -> bytes:
    """The HOB list for a VM of `memory_size` bytes. Raises Malformed when the firmware's ranges do not fit into it."""
    if witness.ranges[-1][1] > min(memory_size, LOW_MEMORY_END):
        raise Malformed("the firmware's ranges lie above the memory", where="td_hob", got=f"{memory_size} bytes")
    resources: list[tuple[int, int, int]] = []
    at = 0
    for start, end in witness.ranges:
        if at < start:
            resources.append((_UNACCEPTED, at, start - at))
        resources.append((_SYSTEM_MEMORY, start, end - start))
        at = end
    if at == memory_size:  # the last range is written as unaccepted, whatever it is
        _, at, _ = resources.pop()
    if memory_size < SPLIT_FROM:
        resources.append((_UNACCEPTED, at, memory_size - at))
    else:
        if at < LOW_MEMORY_END:
            resources.append((_UNACCEPTED, at, LOW_MEMORY_END - at))
        resources.append((_UNACCEPTED, HIGH_MEMORY, memory_size - LOW_MEMORY_END))
    body = b"".join(_resource(*resource) for resource in resources)
    end_of_list = witness.address + 56 + len(body) + 8
    head = b"\x01\x00\x38\x00" + bytes(4) + (9).to_bytes(4, "little") + bytes(36) + end_of_list.to_bytes(8, "little")
    return head + body


def _resource(kind: int, start: int, size: int) -> bytes:
    head = b"\x03\x00\x30\x00" + bytes(20) + kind.to_bytes(4, "little") + (7).to_bytes(4, "little")
    return head + start.to_bytes(8, "little") + size.to_bytes(8, "little")


def td_hob_digest(witness: HobWitness, memory_size: int) -> bytes:
    """SHA-384 of the list, 48 bytes: the first event of RTMR0."""
    return hashlib.sha384(td_hob(witness, memory_size)).digest()
