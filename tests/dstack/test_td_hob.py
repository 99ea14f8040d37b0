"""The list of memory ranges that the firmware measures first: rebuilt for every size that a document speaks for."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_cbor import WITNESS
from small_lite import GIB, hob
from twinproof.dstack.td_hob import MAX_RANGES, HobWitness, parse_witness, supported_memory, td_hob, td_hob_digest
from twinproof.errors import Malformed

STABLE = 0xB0000000
RANGES = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 300)), min_size=1, max_size=MAX_RANGES)


def leb128(*numbers: int) -> bytes:
    out = bytearray()
    for number in numbers:
        left = number
        while left > 0x7F:
            out.append(left & 0x7F | 0x80)
            left >>= 7
        out.append(left)
    return bytes(out)


def witness_of(base: int, gaps: list[tuple[int, int]]) -> tuple[bytes, list[tuple[int, int]]]:
    """The witness of ranges given as (pages free before it, pages), and the ranges themselves in pages."""
    at, ranges = base, []
    for index, (gap, pages) in enumerate(gaps):
        at += gap if index else 0
        ranges.append((at, at + pages))
        at += pages
    flat = [number for start, end in ranges for number in (start - base, end - start)]
    return leb128(base, 0, len(ranges), *flat), ranges


def resources(data: bytes) -> list[tuple[int, int, int]]:
    """Kind, start and size of each range of a HOB list."""
    assert data[:8] == bytes.fromhex("0100380000000000")
    assert data[8:48] == (9).to_bytes(4, "little") + bytes(36)
    found = []
    for at in range(56, len(data), 48):
        item = data[at : at + 48]
        assert item[:24] == bytes.fromhex("0300300000000000") + bytes(16)
        assert item[28:32] == (7).to_bytes(4, "little")
        kind, start, size = (int.from_bytes(item[a:b], "little") for a, b in ((24, 28), (32, 40), (40, 48)))
        found.append((kind, start, size))
    return found


@pytest.mark.parametrize("memory", [2 * GIB, STABLE, 4 * GIB, 64 * GIB], ids=["2 GiB", "2.75 GiB", "4 GiB", "64 GiB"])
def test_the_list_of_a_known_firmware_is_the_one_written_down_range_by_range(memory: int) -> None:
    assert td_hob(parse_witness(WITNESS), memory) == hob(memory)


def test_two_gibibytes_on_a_real_machine_gave_this_digest() -> None:
    expected = "0b8772e5b0b41b83"  # the first event of RTMR0 in the real GetQuote answer of a 2 GiB guest
    assert td_hob_digest(parse_witness(WITNESS), 2 * GIB).hex().startswith(expected)


@given(st.integers(0, 5000), RANGES, st.sampled_from([2 * GIB, STABLE, STABLE + 4096, 4 * GIB, 512 * GIB]))
def test_every_byte_of_memory_is_in_one_range_and_the_firmwares_own_are_accepted(
    base: int, gaps: list[tuple[int, int]], memory: int
) -> None:
    encoded, pages = witness_of(base, gaps)
    listed = resources(td_hob(parse_witness(encoded), memory))
    assert [(start >> 12, start + size >> 12) for kind, start, size in listed if kind == 0] == pages
    moved = [(start if start < 1 << 32 else start - (2 << 30), size) for _, start, size in listed]
    at = 0
    for start, size in moved:
        assert (start, size > 0) == (at, True)
        at += size
    assert at == memory


@given(st.integers(0, 5000), RANGES)
def test_a_witness_is_read_back(base: int, gaps: list[tuple[int, int]]) -> None:
    encoded, pages = witness_of(base, gaps)
    expected = tuple((start << 12, end << 12) for start, end in pages)
    assert parse_witness(encoded) == HobWitness(base << 12, expected)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_witness_or_malformed(data: bytes) -> None:
    with suppress(Malformed):
        td_hob(parse_witness(data), 4 * GIB)


def test_a_range_that_ends_the_memory_is_written_as_unaccepted() -> None:
    encoded = leb128(0x7FFF0, 0, 1, 0, 16)
    assert resources(td_hob(parse_witness(encoded), 2 * GIB)) == [(7, 0, 0x7FFF0000), (7, 0x7FFF0000, 0x10000)]


@pytest.mark.parametrize(
    ("witness", "reason"),
    [
        (b"", "ends before its ranges: got 0 numbers"),
        (leb128(0x800, 9), "ends before its ranges: got 2 numbers"),
        (leb128(0x800, 0, 0), "number of ranges"),
        (leb128(0x800, 0, 2, 0, 6), "number of ranges"),
        (leb128(0x800, 0, 1, 0, 6, 9), "number of ranges"),
        (leb128(0x800, 0, 1, 0, 6) + b"\x80", "ends inside a number"),
        (leb128(0x800, 0, MAX_RANGES + 1, *(n for i in range(MAX_RANGES + 1) for n in (i, 1))), "number of ranges"),
        (leb128(0x800, 9, 2, 9, 2, 0, 6), "range 0: ranges overlap or do not ascend"),
        (leb128(0x800, 0, 2, 0, 6, 5, 1), "range 1: ranges overlap or do not ascend"),
        (leb128(0x800, 0, 2, 0, 6, 0, 6), "range 1: ranges overlap or do not ascend"),
        (leb128(0x800, 0, 1, 1, 6), "range 0: ranges overlap or do not ascend from the base"),
        (leb128(0x800, 0, 2, 0, 6, 9, 0), "range 1: range is empty"),
        (leb128(0x800, 0, 1, 0, 1 << 20), "above 4 GiB"),
        (leb128(0x800, 6, 1, 0, 6), "the HOB list is outside the ranges"),
        (b"\x80\x90\x00" + leb128(0, 1, 0, 6), "shortest form"),
        (b"\xff\xff\xff\xff\xff\x01" + leb128(0, 1, 0, 6), "number too large"),
        (bytes(5000), "witness too large"),
    ],
)
def test_a_bad_witness_is_malformed(witness: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse_witness(witness)


def test_ranges_above_the_memory_are_malformed() -> None:
    with pytest.raises(Malformed, match="ranges lie above the memory"):
        td_hob(parse_witness(leb128(0x80000, 0, 1, 0, 1)), 4 * GIB)


@pytest.mark.parametrize(
    ("memory", "supported"),
    [
        (0, False),
        (2 * GIB - 4096, False),
        (2 * GIB, True),
        (2 * GIB + 4096, False),
        (STABLE - 1, False),
        (STABLE, True),
        (4 * GIB, True),
        (1 << 52, True),
        ((1 << 52) + 1, False),
    ],
)
def test_a_document_speaks_for_two_gibibytes_and_from_two_and_three_quarters(memory: int, supported: bool) -> None:
    assert supported_memory(memory) is supported


def test_the_digest_is_sha384_of_the_list() -> None:
    assert td_hob_digest(parse_witness(WITNESS), 4 * GIB) == hashlib.sha384(hob(4 * GIB)).digest()
