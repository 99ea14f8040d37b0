"""MRTD of a firmware file in both orders, and files that are not a TDX firmware."""

from __future__ import annotations

import hashlib
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_firmware import SECTIONS, TDX_OFFSET, Piece, changed, firmware, mrtd
from twinproof.dstack.tdvf import MAX_FIRMWARE_BYTES, SectionType, mrtd_values, parse_tdvf
from twinproof.errors import Malformed

IMAGE = firmware()


def test_the_sections_are_those_of_the_descriptor() -> None:
    sections = parse_tdvf(IMAGE).sections
    assert [(s.address, s.memory_size, s.type.value) for s in sections] == [
        (piece.address, piece.memory, piece.kind) for piece in SECTIONS
    ]
    assert sections[0].type is SectionType.BFV
    assert bytes(sections[0].data) == IMAGE[4096:]


def test_mrtd_has_one_value_for_each_order_of_adding_pages() -> None:
    single, two = mrtd_values(parse_tdvf(IMAGE))
    assert single == mrtd(IMAGE, SECTIONS, two_pass=False)
    assert two == mrtd(IMAGE, SECTIONS, two_pass=True)
    assert single != two


def test_a_firmware_that_adds_one_unmeasured_page_is_one_record() -> None:
    image = firmware((Piece(0, 0, 0x1000, 0x1000, 3, 0),))
    expected = hashlib.sha384(b"MEM.PAGE.ADD" + bytes(4) + bytes.fromhex("0010000000000000") + bytes(104)).digest()
    assert mrtd_values(parse_tdvf(image)) == (expected, expected)


def test_pages_that_are_added_later_leave_no_record() -> None:
    sections = (*SECTIONS, Piece(0, 0, 1 << 32, 1 << 40, 4, 2))
    image = firmware(sections)
    assert mrtd_values(parse_tdvf(image))[0] == mrtd(image, (*SECTIONS, Piece(0, 0, 0, 0, 4, 2)), two_pass=False)


@pytest.mark.parametrize("at", [4096, len(IMAGE) // 2, len(IMAGE) - 1])
def test_every_byte_of_the_code_changes_mrtd(at: int) -> None:
    flipped = IMAGE[:at] + bytes([IMAGE[at] ^ 1]) + IMAGE[at + 1 :]
    assert set(mrtd_values(parse_tdvf(flipped))).isdisjoint(mrtd_values(parse_tdvf(IMAGE)))


def test_the_variable_store_is_not_part_of_mrtd() -> None:
    assert mrtd_values(parse_tdvf(b"\xff" + IMAGE[1:])) == mrtd_values(parse_tdvf(IMAGE))


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        (changed(0, kind=5), "unknown section type"),
        (changed(0, flags=4), "unknown section attributes"),
        (changed(0, flags=3), "not filled from the file"),
        (changed(0, raw=4096), "not filled from the file"),
        (changed(0, address=SECTIONS[0].address + 1), "not whole pages"),
        (changed(2, memory=4097), "not whole pages"),
        (changed(2, memory=0), "not whole pages"),
        (changed(2, address=(1 << 52) - 4096), "not whole pages"),
        (changed(2, address=(1 << 64) - 4096), "not whole pages"),
        (changed(0, offset=2 * 4096), "outside the file"),
        (changed(0, offset=0xFFFFFFFF), "outside the file"),
        (changed(1, raw=4097), "larger than its memory"),
        (changed(2, raw=4096), "memory with data"),
        (changed(2, memory=1 << 30), "too large"),
        (changed(2, address=0x80A000), "added twice"),
        ((), "number of sections"),
        (SECTIONS[:1] * 65, "number of sections"),
    ],
)
def test_a_wrong_section_is_malformed(sections: tuple[Piece, ...], reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse_tdvf(firmware(sections))


def descriptor(signature: bytes = b"TDVF", length: int = 48, version: int = 1, count: int = 1) -> bytes:
    return struct.pack("<4sIII", signature, length, version, count) + SECTIONS[0].packed()


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", "no table"),
        (bytes(4096), "no table"),
        (IMAGE[:-1], "no table"),
        (bytes(MAX_FIRMWARE_BYTES + 1), "too large"),
        (firmware(entries=()), "without TDX metadata"),
        (firmware(entries=((TDX_OFFSET, bytes(4)),) * 2), "named twice"),
        (firmware(entries=((TDX_OFFSET, bytes(8)),)), "not a 4-byte offset"),
        (firmware(entries=((TDX_OFFSET, b"\xff" * 4),)), "outside the file"),
        (firmware(entries=((TDX_OFFSET, bytes(4)),)), "outside the file"),
        (firmware(entries=((TDX_OFFSET, struct.pack("<I", 0x200)),)), "not a TDVF descriptor"),
        (firmware(descriptor=descriptor(version=2)), "unknown TDVF version"),
        (firmware(descriptor=descriptor(length=16)), "wrong TDVF length"),
        (firmware(descriptor=descriptor(length=80, count=2)[:48]), "unknown section|not whole|outside|data"),
        (firmware(descriptor=descriptor(count=0xFFFFFFFF)), "number of sections"),
    ],
)
def test_a_file_that_is_no_tdx_firmware_is_malformed(image: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse_tdvf(image)


@pytest.mark.parametrize("length", [0, 17, 0xFFFF])
def test_the_lengths_of_the_table_are_bounded(length: int) -> None:
    footer = len(IMAGE) - 32 - 18
    for at in (footer, footer - 18):  # of the table, and of its last entry
        with pytest.raises(Malformed, match=r"wrong (table|entry) length"):
            parse_tdvf(IMAGE[:at] + struct.pack("<H", length) + IMAGE[at + 2 :])


@given(
    st.lists(
        st.tuples(st.integers(1, 700), st.sampled_from([b"\x00", b"\x01", b"\x12", b"\x7f", b"\xff"])),
        min_size=1,
        max_size=4,
    )
)
def test_a_mutated_table_is_parsed_or_malformed(changes: list[tuple[int, bytes]]) -> None:
    image = bytearray(IMAGE)
    for distance, value in changes:
        at = len(image) - 0x500 + distance
        image[at : at + 1] = value
    with suppress(Malformed):
        assert all(len(value) == 48 for value in mrtd_values(parse_tdvf(bytes(image))))
    end = bytearray(IMAGE)
    for distance, value in changes:
        end[-distance] = value[0]
    with suppress(Malformed):
        parse_tdvf(bytes(end))
