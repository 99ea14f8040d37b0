"""The TD HOB: which ranges of memory the firmware finds, and which of them are its own already. Measured first.

The firmware's own ranges are those of OVMF as dstack builds it. A measurement document carries them as a witness of
unsigned LEB128 numbers: first page, pages from there to the HOB list, number of ranges, and for each range its pages
from the first page and its length.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import pairwise
from struct import pack

__all__ = ["td_hob_digest", "witness"]

PAGE = 4096
HOB_LIST = 0x809000
OWN = {0x800000: 0x6000, HOB_LIST: 0x2000, 0x80B000: 0x2000, 0x810000: 0x10000}
"""Start and size in bytes: page tables, HOB list, mailbox, stack and heap."""
LOW_END, HIGH_START = 2 << 30, 4 << 30
SPLIT_FROM = 2816 << 20
"""QEMU leaves a hole below 4 GiB for VMs of this size and larger."""
_HANDOFF, _RESOURCE, _ATTRIBUTES = 1, 3, 7
_ACCEPTED, _UNACCEPTED = 0, 7


def _ranges(memory_size: int) -> Iterator[tuple[int, int, int]]:
    """Kind, start and size."""
    split = memory_size >= SPLIT_FROM
    end = LOW_END if split else memory_size
    edges = sorted({0, end, *OWN, *(start + size for start, size in OWN.items())})
    for start, following in pairwise(edges):
        yield _ACCEPTED if start in OWN else _UNACCEPTED, start, following - start
    if split:
        yield _UNACCEPTED, HIGH_START, memory_size - LOW_END


def td_hob_digest(memory_size: int) -> bytes:
    """SHA-384 of the list that a VM of `memory_size` bytes gets. The size is larger than the firmware's ranges."""
    items = [
        pack("<HHI16sIIQQ", _RESOURCE, 48, 0, bytes(16), kind, _ATTRIBUTES, start, size)
        for kind, start, size in _ranges(memory_size)
    ]
    end_of_list = HOB_LIST + 56 + 48 * len(items) + 8
    head = pack("<HHIII4QQ", _HANDOFF, 56, 0, 9, 0, 0, 0, 0, 0, end_of_list)
    return hashlib.sha384(head + b"".join(items)).digest()


def witness() -> bytes:
    """What the measurement document says about the firmware's own ranges."""
    first = min(OWN) // PAGE
    numbers = [first, HOB_LIST // PAGE - first, len(OWN)]
    for start, size in sorted(OWN.items()):
        numbers += [start // PAGE - first, size // PAGE]
    return b"".join(map(_leb128, numbers))


def _leb128(number: int) -> bytes:
    return bytes((number,)) if number < 0x80 else bytes((number % 0x80 + 0x80,)) + _leb128(number // 0x80)
