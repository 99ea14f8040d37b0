"""The app info of an RA-TLS certificate: both of its forms are read, and nothing else."""

from __future__ import annotations

import contextlib

import msgpack  # type: ignore[import-untyped]  # it ships neither stubs nor py.typed
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.dstack.app_info import parse_app_info
from twinproof.errors import Malformed

MEMBERS: dict[str, object] = {
    "app_id": bytes([1]) * 20,
    "compose_hash": bytes([2]) * 32,
    "instance_id": bytes([3]) * 20,
    "device_id": bytes([4]) * 32,
    "mr_system": bytes([5]) * 32,
    "mr_aggregated": bytes([6]) * 32,
    "os_image_hash": bytes([7]) * 32,
    "key_provider_info": b'{"name":"none","id":""}',
}


def packed(value: object) -> bytes:
    data: bytes = msgpack.packb(value)
    return data


def test_the_array_and_the_map_say_the_same() -> None:
    positional, named = parse_app_info(packed([*MEMBERS.values()])), parse_app_info(packed(MEMBERS))
    assert positional == named
    assert (named.app_id, named.key_provider_info, named.init_script_hashes) == (
        MEMBERS["app_id"],
        MEMBERS["key_provider_info"],
        None,
    )


@pytest.mark.parametrize("scripts", [[], [bytes(32)], [bytes(32), bytes([1]) * 32]])
def test_the_scripts_are_read_in_either_form(scripts: list[bytes]) -> None:
    named = parse_app_info(packed({**MEMBERS, "init_script_hashes": scripts}))
    assert named == parse_app_info(packed([*MEMBERS.values(), scripts]))
    assert named.init_script_hashes == tuple(scripts)


def test_names_of_later_guests_are_left_alone_and_nil_scripts_say_nothing() -> None:
    assert parse_app_info(packed({**MEMBERS, "new": 1, "init_script_hashes": None})) == parse_app_info(packed(MEMBERS))


def test_what_the_issuer_did_not_know_is_empty() -> None:
    unknown = {"instance_id": b"", "device_id": b"", "os_image_hash": b""}
    assert parse_app_info(packed({**MEMBERS, **unknown})).device_id == b""


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (1, "neither a map nor an array"),
        ([], "an array of 0"),
        ([*MEMBERS.values()][:7], "an array of 7"),
        ([*MEMBERS.values(), [], 1], "an array of 10"),
        ({}, "wrong type"),
        ({**MEMBERS, "app_id": "text"}, "wrong type"),
        ({**MEMBERS, "app_id": bytes(19)}, "wrong length"),
        ({**MEMBERS, "compose_hash": b""}, "wrong length"),
        ({**MEMBERS, "mr_system": [0] * 32}, "wrong type"),
        ({**MEMBERS, "init_script_hashes": b""}, "wrong type"),
        ({**MEMBERS, "init_script_hashes": [bytes(31)]}, "not a hash"),
        ({**MEMBERS, "key_provider_info": bytes(1 << 15)}, "too large"),
    ],
)
def test_another_form_is_malformed(value: object, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse_app_info(packed(value))


def test_a_member_that_stands_twice_is_malformed() -> None:
    data = packed({**MEMBERS, "xpp_id": bytes(20)})
    with pytest.raises(Malformed, match="duplicate member"):
        parse_app_info(data.replace(b"xpp_id", b"app_id"))


@given(st.binary(max_size=200))
def test_random_bytes_are_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        parse_app_info(data)
