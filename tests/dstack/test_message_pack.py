"""MessagePack: no duplicate keys, no extension types, no bombs, no exceptions of the library."""

from __future__ import annotations

import contextlib

import msgpack  # type: ignore[import-untyped]  # it ships neither stubs nor py.typed
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.dstack.message_pack import MAX_ITEMS, unpack
from twinproof.errors import Malformed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_every_value_is_read_back(value: object) -> None:
    assert unpack(msgpack.packb(value), "x") == value


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not MessagePack"),
        (b"\xc1", "not MessagePack"),
        (b"\x00\x00", "not MessagePack"),
        (b"\x81\xa1a", "not MessagePack"),
        (b"\x81\x01\x01", "not MessagePack"),
        (b"\x82\xa1a\x01\xa1a\x02", "duplicate"),
        (b"\x82\xa1a\x01\xc4\x01b\x02", "name is not text"),
        (b"\xa1\xff", "not MessagePack"),
        (b"\xc7\x00\x05", "extension type|not MessagePack"),
        (msgpack.packb(msgpack.ExtType(5, b"x")), "extension type|not MessagePack"),
        (msgpack.packb(msgpack.Timestamp(1)), "extension type|not MessagePack"),
        (b"\x91" * 5000 + b"\x00", "not MessagePack"),
        (msgpack.packb(list(range(MAX_ITEMS + 1))), "not MessagePack"),
        (msgpack.packb({str(n): n for n in range(65)}), "not MessagePack"),
        (b"\xdd\xff\xff\xff\xff", "not MessagePack"),
        (msgpack.packb([[0] * 60_000] * 20), "too many values"),
        (msgpack.packb([[[]] * 60_000] * 20), "too many values"),
    ],
)
def test_what_is_not_plain_is_malformed(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        unpack(data, "x")


@given(st.binary(max_size=200))
def test_random_bytes_are_read_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        unpack(data, "x")
