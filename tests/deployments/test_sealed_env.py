"""Secrets are encrypted to the KMS's key for this app, or not at all; a missing one is named before it is too late."""

from __future__ import annotations

import json
import secrets

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from deployment_records import APP_ID
from twinproof.deployments.cloud_answers import EnvKey
from twinproof.deployments.sealed_env import check_env_key, check_secrets, parse_env_file, seal
from twinproof.errors import EvidenceError, Malformed, Stale, Untrusted, UsageError

ROOT = PrivateKey(b"\x11" * 32)
ENV = X25519PrivateKey.from_private_bytes(b"\x22" * 32)
PUBLIC = ENV.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
AT = 1_790_000_000


def signed(*, root: PrivateKey = ROOT, app_id: bytes = APP_ID, public: bytes = PUBLIC, at: int | None = None) -> EnvKey:
    dated = b"" if at is None else at.to_bytes(8, "big")
    signature = root.sign_msg_hash(keccak(b"dstack-env-encrypt-pubkey:" + app_id + dated + public)).to_bytes()
    return EnvKey(public, signature, at)


def check(key: EnvKey, app_id: bytes = APP_ID) -> None:
    check_env_key(key, app_id=app_id, kms_root=ROOT.public_key.to_compressed_bytes(), at=AT)


@pytest.mark.parametrize("at", [None, AT, AT - 300, AT + 60])
def test_a_key_that_the_root_signed_for_this_app_is_taken(at: int | None) -> None:
    check(signed(at=at))


@pytest.mark.parametrize(
    "key",
    [
        signed(root=PrivateKey(b"\x12" * 32)),
        signed(app_id=bytes(20)),
        EnvKey(bytes([9]) * 32, signed().signature, None),
        EnvKey(PUBLIC, signed(at=AT).signature, None),
        EnvKey(PUBLIC, signed().signature, AT),
    ],
    ids=["another root", "another app", "another key", "the time cut off", "a time added"],
)
def test_a_key_that_the_root_did_not_sign_for_this_app_gets_no_secret(key: EnvKey) -> None:
    with pytest.raises(Untrusted, match="not signed by the KMS"):
        check(key)


@pytest.mark.parametrize("at", [AT - 301, AT + 61])
def test_a_signature_of_another_time_is_stale(at: int) -> None:
    with pytest.raises(Stale):
        check(signed(at=at))


@given(st.binary(min_size=65, max_size=65))
def test_no_other_signature_passes(signature: bytes) -> None:
    with pytest.raises(EvidenceError):
        check(EnvKey(PUBLIC, signature, None))


def test_a_contract_without_a_root_key_vouches_for_none() -> None:
    with pytest.raises(Untrusted, match="names no root key"):
        check_env_key(signed(), app_id=APP_ID, kms_root=b"", at=AT)


def test_the_app_opens_what_was_sealed_for_it() -> None:
    values = {"TOKEN": 's3cret = "ü"', "OTHER": "x"}
    blob = seal(values, signed(), ephemeral=secrets.token_bytes(32), iv=secrets.token_bytes(12))
    shared = ENV.exchange(X25519PublicKey.from_public_bytes(blob[:32]))
    opened = json.loads(AESGCM(shared).decrypt(blob[32:44], blob[44:], None))
    assert opened == {"env": [{"key": name, "value": value} for name, value in values.items()]}
    assert b"s3cret" not in blob


def test_a_key_of_small_order_is_refused() -> None:
    with pytest.raises(Malformed, match="small order"):
        seal({"A": "b"}, EnvKey(bytes(32), bytes(65), None), ephemeral=b"\x01" * 32, iv=bytes(12))


def test_a_missing_secret_is_named_and_no_value_is() -> None:
    with pytest.raises(UsageError) as caught:
        check_secrets(["TOKEN", "API", "GIVEN"], {"GIVEN": "very-secret"})
    assert caught.value.got == "TOKEN, API"
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["", "a\0b", "x" * 70_000])
def test_a_value_that_cannot_be_meant_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_secrets(["TOKEN"], {"TOKEN": value})
    assert "TOKEN" in caught.value.got
    assert not value or value not in str(caught.value)


def test_only_the_allowed_names_are_sent() -> None:
    assert check_secrets(["A"], {"A": "1", "PRIVATE_KEY": "2"}) == {"A": "1"}


def test_an_env_file_is_read_as_it_is() -> None:
    text = '# comment\n\nA=1\nB= spaced = value \r\nC="quoted"\n'
    assert parse_env_file(text, "file") == {"A": "1", "B": " spaced = value ", "C": '"quoted"'}


@pytest.mark.parametrize("text", ["TOKEN", "1A=x", "A=1\nA=2", "export A=1"])
def test_a_line_of_another_form_is_named_and_not_shown(text: str) -> None:
    with pytest.raises(UsageError, match="line") as caught:
        parse_env_file(text, "file")
    assert text not in str(caught.value)


@pytest.mark.parametrize("name", ["A\x1b[2J", "A B", "1A", "", "A=B", "Ä"])
def test_what_is_no_variables_name_is_refused_and_moves_no_cursor(name: str) -> None:
    with pytest.raises(UsageError, match="not the name of a variable") as caught:
        check_secrets([name], {name: "x"})
    assert "\x1b" not in str(caught.value)
