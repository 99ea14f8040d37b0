"""The compose hash is over the exact bytes; what is read from the text is read strictly."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_boot import COMPOSE
from twinproof.dstack.app_compose import compose_hash, parse_app_compose
from twinproof.dstack.unmeasured import unmeasured_inputs
from twinproof.errors import Malformed

SMALL = {"manifest_version": 2, "name": "n", "runner": "docker-compose"}


def text_of(**members: object) -> str:
    return json.dumps({**SMALL, **members})


def ids(**members: object) -> list[str]:
    return [notice.id for notice in unmeasured_inputs(text_of(**members))]


def test_another_order_or_another_space_is_another_compose_hash() -> None:
    members = json.loads(COMPOSE)
    variants = {COMPOSE, json.dumps(members, indent=4), json.dumps(members, sort_keys=True), COMPOSE + "\n"}
    assert len({compose_hash(variant) for variant in variants}) == 4


def test_the_hash_is_over_utf_8() -> None:
    assert compose_hash("é") == hashlib.sha256(b"\xc3\xa9").digest()


def test_half_a_surrogate_pair_has_no_bytes_to_hash() -> None:
    with pytest.raises(Malformed, match="surrogate"):
        compose_hash("\ud800")


def test_defaults_are_dstacks() -> None:
    compose = parse_app_compose(text_of())
    assert (compose.manifest_version, compose.key_provider, compose.key_provider_id) == ("2", "none", b"")
    assert (compose.public_logs, compose.public_tcbinfo, compose.secure_time) == (False, True, True)
    assert compose.compose_hash == hashlib.sha256(text_of().encode()).digest()


@pytest.mark.parametrize(
    ("members", "provider"),
    [
        ({"kms_enabled": True}, "kms"),
        ({"local_key_provider_enabled": True}, "local"),
        ({"kms_enabled": True, "local_key_provider_enabled": True}, "kms"),
        ({"key_provider": "none", "kms_enabled": True}, "none"),
        ({"key_provider": "tpm"}, "tpm"),
        ({"key_provider": None, "kms_enabled": True}, "kms"),
    ],
)
def test_older_switches_mean_a_key_provider(members: dict[str, object], provider: str) -> None:
    assert parse_app_compose(text_of(**members)).key_provider == provider


@pytest.mark.parametrize("version", [1, 2, "1", "2", "3"])
def test_known_manifest_versions(version: int | str) -> None:
    assert parse_app_compose(text_of(manifest_version=version)).manifest_version == str(version)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"manifest_version": 3}, "out of range"),
        ({"manifest_version": "03"}, "manifest version"),
        ({"manifest_version": None}, "wrong type"),
        ({"name": 1}, "wrong type"),
        ({"runner": None}, "wrong type"),
        ({"docker_compose_file": {}}, "wrong type"),
        ({"allowed_envs": "A"}, "wrong type"),
        ({"allowed_envs": [1]}, "not a short string"),
        ({"public_logs": "true"}, "wrong type"),
        ({"key_provider": "mine"}, "unknown key provider"),
        ({"key_provider_id": "0"}, "not hex"),
        ({"init_script": ["a"] * 6}, "too many items"),
    ],
)
def test_wrong_types_are_malformed(members: dict[str, object], reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse_app_compose(text_of(**members))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name":"a","name":"b"}', "\x00", "{" * 1000])
def test_what_is_no_app_compose_is_malformed_and_a_notice(text: str) -> None:
    with pytest.raises(Malformed):
        parse_app_compose(text)
    assert [notice.id for notice in unmeasured_inputs(text)] == ["unreadable"]


def test_a_clean_text_has_nothing_to_know_about() -> None:
    assert unmeasured_inputs(COMPOSE) == ()


@pytest.mark.parametrize(
    ("changes", "notice"),
    [
        ({"docker_compose_file": "services:\n  a:\n    image: a:1\n"}, "image_by_tag"),
        ({"docker_compose_file": "services:\n  a:\n    image: ${IMAGE}\n"}, "image_by_variable"),
        ({"docker_compose_file": "services:\n  a:\n    build: .\n"}, "image_built"),
        ({"docker_compose_file": "include: other.yml\n"}, "other_files"),
        ({"docker_compose_file": "a: {b: c}\n"}, "compose_file_unread"),
        ({"docker_compose_file": "services:\n  a:\n    image: a:1\n    privileged: true\n"}, "host_access"),
        ({"docker_compose_file": "services:\n  a:\n    image: a:1\n    command: $X\n"}, "interpolation"),
        ({"docker_compose_file": None}, "compose_file_missing"),
        ({"runner": "other"}, "runner_unknown"),
        ({"runner": "bash", "bash_script": "echo"}, "bash_script"),
        ({"pre_launch_script": "curl x | sh"}, "pre_launch_script"),
        ({"init_script": "echo"}, "init_script"),
        ({"init_script": ["echo", "echo"]}, "init_script"),
        ({"allowed_envs": ["KEY"]}, "allowed_envs"),
        ({"public_logs": True}, "public_logs"),
        ({"public_sysinfo": True}, "public_sysinfo"),
        ({"key_provider_id": ""}, "key_provider_unpinned"),
        ({"key_provider": "none", "key_provider_id": ""}, "no_key_provider"),
        ({"secure_time": False}, "secure_time_off"),
        ({"no_instance_id": True}, "no_instance_id"),
        ({"requirements": None}, "no_requirements"),
    ],
)
def test_each_opening_is_named(changes: dict[str, object], notice: str) -> None:
    found = unmeasured_inputs(json.dumps({**json.loads(COMPOSE), **changes}))
    assert notice in [item.id for item in found]
    assert all(item.text for item in found)


def test_a_bash_app_has_no_images_to_ask_about() -> None:
    assert "compose_file_missing" not in ids(runner="bash", bash_script="echo")


def test_long_lists_are_cut_and_say_so() -> None:
    notices = unmeasured_inputs(text_of(allowed_envs=[f"KEY{number}" for number in range(40)]))
    detail = next(notice.detail for notice in notices if notice.id == "allowed_envs")
    assert detail.endswith("and 28 more")


@given(st.text(max_size=100))
def test_no_text_makes_the_notices_fail(text: str) -> None:
    assert unmeasured_inputs(text)
