"""SCALE: bounded reads, shortest lengths, offsets in every error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_boot import blob, compact
from twinproof.dstack.scale import ScaleReader
from twinproof.errors import Malformed


@given(st.integers(0, (1 << 30) - 1))
def test_every_compact_length_is_read_back(value: int) -> None:
    reader = ScaleReader(compact(value), "x")
    assert reader.compact("length") == value
    reader.end()


@given(st.binary(max_size=300), st.text(max_size=50))
def test_blobs_and_texts_are_read_back(data: bytes, text: str) -> None:
    reader = ScaleReader(blob(data) + blob(text.encode()) + b"\x01\x02\x03\x04", "x")
    assert (reader.blob("a"), reader.text("b"), reader.u32("c")) == (data, text, 0x04030201)
    reader.end()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "ends inside"),
        (b"\x01", "ends inside"),
        (b"\x02\x00\x00", "ends inside"),
        (b"\x03\x00\x00\x00\x40", "too large"),
        (b"\x05\x00", "shortest form"),
        (b"\x06\x00\x00\x00", "shortest form"),
        (compact(5) + b"1234", "ends inside"),
    ],
)
def test_a_bad_length_is_malformed_with_its_offset(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason) as caught:
        ScaleReader(data, "x").blob("thing")
    assert caught.value.where.startswith("x byte ")


def test_text_must_be_utf_8() -> None:
    with pytest.raises(Malformed, match="UTF-8"):
        ScaleReader(blob(b"\xff"), "x").text("name")


def test_bytes_after_the_end_are_told() -> None:
    with pytest.raises(Malformed, match="after the end"):
        ScaleReader(b"\x00", "x").end()
