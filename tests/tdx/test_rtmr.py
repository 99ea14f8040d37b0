"""A register only moves forward, and never over a digest of the wrong size."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import Malformed
from twinproof.tdx.rtmr import ZERO_REGISTER, extend, replay

A, B = hashlib.sha384(b"a").digest(), hashlib.sha384(b"b").digest()


def test_nothing_measured_is_all_zero() -> None:
    assert replay([]) == ZERO_REGISTER == bytes(48)


def test_one_digest_is_hashed_onto_zero() -> None:
    assert replay([A]) == hashlib.sha384(bytes(48) + A).digest()


def test_swapped_events_lead_elsewhere() -> None:
    assert replay([A, B]) != replay([B, A])


@pytest.mark.parametrize("size", [0, 20, 32, 47, 49, 64])
def test_an_empty_or_short_digest_is_refused_not_padded(size: int) -> None:
    with pytest.raises(Malformed, match="wrong digest length"):
        replay([A, bytes(size)])


def test_a_register_of_another_size_is_refused() -> None:
    with pytest.raises(Malformed, match="wrong register length"):
        extend(bytes(32), A)


@given(st.lists(st.binary(min_size=48, max_size=48)), st.binary(min_size=48, max_size=48))
def test_every_event_counts(digests: list[bytes], more: bytes) -> None:
    assert replay([*digests, more]) == extend(replay(digests), more)
