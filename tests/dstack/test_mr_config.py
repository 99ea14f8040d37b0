"""MR_CONFIG_ID in all its forms, and documents that say something else than what was measured."""

from __future__ import annotations

import hashlib
import json

import pytest

from small_boot import APP_ID, BOOT, COMPOSE_HASH, INSTANCE_ID
from small_boot import Boot as SmallBoot
from twinproof.dstack.boot import Boot, read_boot
from twinproof.dstack.event_log import parse_event_log
from twinproof.dstack.mr_config import check_v3_document, read_mr_config_id
from twinproof.errors import Contradiction, Forged, Malformed

V3 = {
    "app_id": APP_ID.hex(),
    "compose_hash": COMPOSE_HASH.hex(),
    "instance_id": INSTANCE_ID.hex(),
    "key_provider": "kms",
    "key_provider_id": "30590a",
    "version": 3,
}


def boot() -> Boot:
    return read_boot(parse_event_log(SmallBoot(events=list(BOOT)).log()))


def document(**changes: object) -> str:
    return json.dumps({name: value for name, value in {**V3, **changes}.items() if value is not None})


def digest(text: str) -> bytes:
    return hashlib.sha256(b"dstack-mr-config-v3:\x00" + text.encode()).digest()


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (bytes(48), "unused"),
        (COMPOSE_HASH + bytes(16), "0.5.1"),
        (b"\x01" + COMPOSE_HASH + bytes(15), "V1"),
        (b"\x02" + bytes(32) + bytes(15), "V2"),
        (b"\x03" + b"\x04" * 32 + bytes(15), "V3"),
    ],
)
def test_each_form_is_told(value: bytes, form: str) -> None:
    assert read_mr_config_id(value, COMPOSE_HASH).form == form


def test_the_form_of_0_5_1_may_start_with_any_byte_by_chance() -> None:
    compose_hash = b"\x02" + b"\x77" * 31
    assert read_mr_config_id(compose_hash + bytes(16), compose_hash).form == "0.5.1"


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("at", [33, 40, 47])
def test_reserved_bytes_must_be_zero(version: int, at: int) -> None:
    value = bytearray(bytes([version]) + COMPOSE_HASH + bytes(15))
    value[at] = 1
    with pytest.raises(Malformed, match="reserved bytes"):
        read_mr_config_id(bytes(value), COMPOSE_HASH)


@pytest.mark.parametrize("first", [4, 0x80, 0xFF])
def test_an_unknown_form_is_refused(first: int) -> None:
    with pytest.raises(Malformed, match="no known form"):
        read_mr_config_id(bytes([first]) + bytes(46) + b"\x01", COMPOSE_HASH)


def test_a_version_3_document_that_says_what_was_measured_is_accepted() -> None:
    text = document()
    check_v3_document(digest(text), text, boot())


def test_a_version_3_document_may_leave_out_what_it_does_not_bind() -> None:
    text = document(app_id=None, instance_id=None, key_provider_id=None, init_script_hashes=[])
    check_v3_document(digest(text), text, boot())


def test_another_document_is_forged() -> None:
    with pytest.raises(Forged, match="not the document"):
        check_v3_document(digest(document()), document(app_id="00" * 20), boot())


@pytest.mark.parametrize(
    "changes",
    [
        {"app_id": "00" * 20},
        {"compose_hash": "00" * 32},
        {"instance_id": ""},
        {"key_provider": "none"},
        {"key_provider": "local"},
        {"key_provider": "KMS"},
        {"key_provider_id": "30"},
        {"init_script_hashes": ["00" * 32]},
    ],
)
def test_a_document_that_contradicts_the_measured_boot_is_refused(changes: dict[str, object]) -> None:
    text = document(**changes)
    with pytest.raises(Contradiction):
        check_v3_document(digest(text), text, boot())


@pytest.mark.parametrize(
    "changes", [{"version": 2}, {"version": "3"}, {"more": 1}, {"compose_hash": None}, {"app_id": 1}]
)
def test_a_document_of_another_shape_is_malformed(changes: dict[str, object]) -> None:
    text = document(**changes)
    with pytest.raises(Malformed):
        check_v3_document(digest(text), text, boot())
