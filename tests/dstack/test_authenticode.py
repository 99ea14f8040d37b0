"""The digest of a PE image as firmware measures it; layouts that readers could hash differently are refused."""

from __future__ import annotations

import struct
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_kernel import HEADERS, authenticode, bzimage
from twinproof.dstack.authenticode import authenticode_sha384, hashed_ranges
from twinproof.errors import Malformed

IMAGE = bzimage()
CHECKSUM, CERTIFICATE_ENTRY = 0x98, 0xE8


def test_all_but_the_checksum_and_the_certificate_entry_is_hashed() -> None:
    assert authenticode_sha384(IMAGE) == authenticode(IMAGE)


def test_an_image_with_few_directories_has_no_certificate_entry() -> None:
    image = bzimage(directories=4)
    assert authenticode_sha384(image) == authenticode(image, directories=4)


def test_bytes_after_the_last_section_are_hashed_and_certificates_are_not() -> None:
    image = bzimage(tail=b"12345678", certificates=b"c" * 24)
    assert authenticode_sha384(image) == authenticode(image, certificates=24)
    unsigned = bzimage(tail=b"12345678")
    assert authenticode_sha384(unsigned) == authenticode(unsigned) == authenticode_sha384(image)


def test_sections_are_hashed_in_the_order_of_the_file() -> None:
    other_table = bzimage(sections=((0x400, 0x400), (0x800, 0x200), (0xA00, 0x600), (0, 0)))
    assert hashed_ranges(other_table) == hashed_ranges(IMAGE)


@pytest.mark.parametrize("at", [0x10, CHECKSUM + 4, CERTIFICATE_ENTRY + 8, HEADERS, len(IMAGE) - 1])
def test_every_hashed_byte_counts(at: int) -> None:
    assert authenticode_sha384(flipped(at)) != authenticode_sha384(IMAGE)


@pytest.mark.parametrize("at", range(CHECKSUM, CHECKSUM + 4))
def test_the_checksum_does_not_count(at: int) -> None:
    assert authenticode_sha384(flipped(at)) == authenticode_sha384(IMAGE)


def flipped(at: int) -> bytes:
    return IMAGE[:at] + bytes([IMAGE[at] ^ 0x80]) + IMAGE[at + 1 :]


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", "not a PE image"),
        (b"MZ", "ends inside"),
        (b"\x7fELF" + bytes(4096), "not a PE image"),
        (IMAGE[:0x3C] + b"\xff\xff\xff\xff" + IMAGE[0x40:], "no PE header"),
        (IMAGE[:0x3C] + b"\x44\x00\x00\x00" + IMAGE[0x40:], "no PE header"),
        (IMAGE[:0x50], "ends inside"),
        (IMAGE + b"1234", "multiple of 8"),
        (bzimage(machine=0x14C), "not for x86-64"),
        (bzimage(magic=0x10B), "not a PE32"),
        (bzimage(setup={0x40 + 20: b"\x70\x00"}), "optional header"),
        (bzimage(setup={0x40 + 24 + 108: b"\x11\x00\x00\x00"}), "not a PE32"),
        (bzimage(setup={0x40 + 6: b"\x00\x00"}), "number of sections"),
        (bzimage(setup={0x40 + 6: b"\x61\x00"}), "number of sections"),
        (bzimage(headers=0x100), "headers of a wrong size"),
        (bzimage(headers=0xFFFFFFF8), "headers of a wrong size"),
        (bzimage(headers=0x300), "gaps"),
        (bzimage(sections=((0x400, 0x400), (0x808, 0x200))), "gaps"),
        (bzimage(sections=((0x400, 0x400), (0x7F8, 0x208))), "overlaps"),
        (bzimage(sections=((0x400, 0x400), (0x400, 0x400))), "overlaps"),
        (bzimage()[: HEADERS + 8], "beyond the file"),
        (bzimage(certificates=b"c" * 24) + bytes(8), "end of the file"),
        (bzimage(certificates=b"c" * 24)[:-8], "end of the file"),
        (bzimage(setup={CERTIFICATE_ENTRY: struct.pack("<II", len(IMAGE), 0)}), "end of the file"),
        (bzimage(setup={CERTIFICATE_ENTRY: struct.pack("<II", 0x400, len(IMAGE) - 0x400)}), "beyond the file"),
    ],
)
def test_an_image_that_readers_could_hash_differently_is_malformed(image: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        authenticode_sha384(image)


@given(st.lists(st.tuples(st.integers(0, HEADERS - 1), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4))
def test_a_mutated_header_is_hashed_or_malformed(changes: list[tuple[int, bytes]]) -> None:
    image = bytearray(bzimage(certificates=b"c" * 24))
    for at, data in changes:
        image[at : at + len(data)] = data
    with suppress(Malformed):
        ranges = hashed_ranges(bytes(image))
        assert all(0 <= start <= end <= len(image) for start, end in ranges)
        assert all(before[1] <= after[0] for before, after in pairwise(ranges))


@given(st.integers(0, len(IMAGE)))
def test_a_cut_image_is_malformed(size: int) -> None:
    if size < len(IMAGE):
        with pytest.raises(Malformed):
            authenticode_sha384(IMAGE[:size])
