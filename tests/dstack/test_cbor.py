"""CBOR in one form only: every value is read back, and every other spelling of it is malformed."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_cbor import Value, cbor, head
from twinproof.dstack.cbor import MAX_DEPTH, read_cbor
from twinproof.errors import Malformed

LEAVES = st.one_of(st.integers(0, (1 << 64) - 1), st.binary(max_size=300), st.text(max_size=80))
VALUES = st.recursive(LEAVES, lambda inner: st.dictionaries(st.text(max_size=30), inner, max_size=5), max_leaves=20)


def read(data: bytes) -> object:
    return read_cbor(data, "document", max_bytes=1 << 16)


def deep(levels: int) -> bytes:
    return b"\xa1\x61a" * (levels - 1) + b"\x00"


@given(st.dictionaries(st.text(max_size=30), VALUES, max_size=5))
def test_every_value_is_read_back(value: dict[str, Value]) -> None:
    data = cbor(value)
    if nesting(value) <= MAX_DEPTH:
        assert read(data) == value
    else:
        with pytest.raises(Malformed, match="nested too deeply"):
            read(data)


def nesting(value: Value) -> int:
    return 1 + max(map(nesting, value.values()), default=0) if isinstance(value, dict) else 1


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_in_its_only_form_or_malformed(data: bytes) -> None:
    with suppress(Malformed):
        assert cbor(read_cbor(data, "document", max_bytes=1 << 16)) == data


@given(VALUES, st.integers(0, 400), st.integers(0, 255))
def test_a_flipped_byte_never_gives_anything_but_a_value_or_malformed(value: Value, at: int, mask: int) -> None:
    data = bytearray(cbor(value))
    data[at % len(data)] ^= mask
    with suppress(Malformed):
        assert cbor(read_cbor(bytes(data), "document", max_bytes=1 << 16)) == data


@given(VALUES, st.binary(min_size=1, max_size=4))
def test_nothing_follows_the_value(value: Value, rest: bytes) -> None:
    with pytest.raises(Malformed):
        read(cbor(value) + rest)


@given(VALUES)
def test_no_shorter_document_is_complete(value: Value) -> None:
    data = cbor(value)
    for size in range(len(data)):
        with pytest.raises(Malformed):
            read(data[:size])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "document byte 0: ends inside a value"),
        (b"\x20", "negative integer"),
        (b"\x80", "array"),
        (b"\xc0\x00", "tag"),
        (b"\xf4", "float or simple value"),
        (b"\xfb" + bytes(8), "float or simple value"),
        (b"\x5f\x41a\xff", "indefinite length"),
        (b"\x7f\x61a\xff", "indefinite length"),
        (b"\xbf\x61a\x00\xff", "indefinite length"),
        (b"\x1c", "reserved form of a length"),
        (b"\x18\x17", "not the shortest form"),
        (b"\x19\x00\xff", "not the shortest form"),
        (b"\x1a\x00\x00\xff\xff", "not the shortest form"),
        (b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff", "not the shortest form"),
        (b"\x58\x05hello", "not the shortest form"),
        (b"\xa1\x00\x00", "document byte 1: a key is not text"),
        (b"\xa1\x41a\x00", "a key is not text"),
        (b"\xa2\x61a\x00\x61a\x01", "document byte 4: duplicate key: got a"),
        (b"\x62\xff\xfe", "not UTF-8 text"),
        (b"\xa1\x61\xff\x00", "not UTF-8 text"),
        (b"\x63\xed\xa0\x80", "not UTF-8 text"),
        (b"\x00\x00", "bytes after the value: got 1 bytes"),
        (deep(MAX_DEPTH + 1), "nested too deeply"),
    ],
)
def test_another_form_is_malformed(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read(data)


@pytest.mark.parametrize("kind", [2, 3, 5])
@pytest.mark.parametrize("size", [1 << 20, (1 << 64) - 1])
def test_a_length_that_only_claims_to_be_large_costs_nothing(kind: int, size: int) -> None:
    with pytest.raises(Malformed, match="ends inside"):
        read(head(kind, size))


def test_the_deepest_value_is_read() -> None:
    assert read(deep(MAX_DEPTH))


def test_a_large_document_is_refused_before_it_is_read() -> None:
    with pytest.raises(Malformed, match="CBOR too large: got 5 bytes, expected at most 4 bytes"):
        read_cbor(b"\x44abcd", "document", max_bytes=4)
