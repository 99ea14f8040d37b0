"""A key comes from a file that nobody else reads, a variable or a keystore, and is never shown."""

from __future__ import annotations

import copy
import json
import os
import pickle
import secrets
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from eth_account import Account

from twinproof.errors import UsageError
from twinproof.sources.signing_key import key_from_environment, key_from_file, key_from_keystore, read_password
from twinproof_devnet.chain.accounts import DevAccount


@pytest.fixture
def account() -> DevAccount:
    return DevAccount.create()


@pytest.fixture
def file(tmp_path: Path, account: DevAccount) -> Path:
    account.write(tmp_path / "key")
    return tmp_path / "key"


def test_a_private_file_gives_the_key(file: Path, account: DevAccount) -> None:
    assert key_from_file(str(file)).address == account.address


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_can_reach_is_refused(file: Path, account: DevAccount, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(UsageError, match="others can read this key") as failure:
        key_from_file(str(file))
    assert failure.value.hint == "chmod 600"
    assert account.key.hex() not in str(failure.value)


@pytest.mark.parametrize("text", ["", "0x", "zz" * 32, "11" * 31, "11" * 33, "00" * 32, "ff" * 32, "\u00e9" * 32])
def test_what_is_no_key_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(UsageError, match="not a") as failure:
        key_from_file(str(path))
    assert len(text) < 10 or text not in _everything(failure.value)


def test_no_file_and_a_directory_are_told(tmp_path: Path) -> None:
    for name in (tmp_path / "missing", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            key_from_file(str(name))


def test_a_variable_is_named_and_its_value_used(monkeypatch: pytest.MonkeyPatch, account: DevAccount) -> None:
    monkeypatch.setenv("TWINPROOF_TEST_KEY", f" 0x{account.key.hex()}\n")
    assert key_from_environment("TWINPROOF_TEST_KEY").address == account.address


def test_a_key_in_the_place_of_a_name_is_not_repeated(account: DevAccount) -> None:
    with pytest.raises(UsageError, match="no such environment variable") as failure:
        key_from_environment(account.key.hex())
    assert account.key.hex() not in str(failure.value) + failure.value.hint
    assert "not the key" in failure.value.hint


def test_a_keystore_opens_with_its_password_and_with_no_other(tmp_path: Path, account: DevAccount) -> None:
    path, password = tmp_path / "keystore.json", secrets.token_hex(8)
    path.write_text(json.dumps(Account.encrypt(account.key, password, kdf="pbkdf2", iterations=10)))
    path.chmod(0o600)
    assert key_from_keystore(str(path), lambda: password).address == account.address
    with pytest.raises(UsageError, match="does not open") as failure:
        key_from_keystore(str(path), lambda: "wrong " + password)
    assert password not in _everything(failure.value)


@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", '{"version": 3, "crypto": {}}', '{"version": 1}'])
def test_what_is_no_keystore_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keystore.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(UsageError, match="does not open"):
        key_from_keystore(str(path), lambda: "password")


def test_a_signer_shows_its_address_and_is_not_copied(file: Path, account: DevAccount) -> None:
    key = key_from_file(str(file))
    assert repr(key) == f"Signer(0x{account.address.hex()})"
    for move in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not copied"):
            move(key)


def _everything(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("text", ["{key}", "0x{key}", " 0x{key}\n", "0X{key}", "{key}0", "key={key}"])
def test_a_key_in_the_place_of_a_name_or_a_path_stands_in_no_message(account: DevAccount, text: str) -> None:
    value = text.format(key=account.key.hex())
    for read in (key_from_environment, key_from_file, lambda name: key_from_keystore(name, lambda: "")):
        with pytest.raises(UsageError) as failure:
            read(value)
        assert account.key.hex()[:16] not in _everything(failure.value) + failure.value.where


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(UsageError, match="not a file"):
        key_from_file(str(tmp_path / "pipe"))


def test_a_link_is_as_good_as_what_it_leads_to(tmp_path: Path, file: Path, account: DevAccount) -> None:
    (tmp_path / "link").symlink_to(file)
    assert key_from_file(str(tmp_path / "link")).address == account.address
    file.chmod(0o644)
    with pytest.raises(UsageError, match="others can read this key"):
        key_from_file(str(tmp_path / "link"))


@pytest.mark.parametrize(
    ("kdf", "parameters"),
    [
        ("scrypt", {"n": 2**26, "r": 8, "p": 1}),
        ("scrypt", {"n": 2**18, "r": 2**20, "p": 1}),
        ("scrypt", {"n": 2**18, "r": 8, "p": 2**20}),
        ("scrypt", {"n": 10**300, "r": 8, "p": 1}),
        ("pbkdf2", {"c": 10**12, "prf": "hmac-sha256"}),
    ],
)
def test_a_keystore_that_takes_all_memory_or_for_ever_is_not_opened(
    tmp_path: Path, kdf: str, parameters: dict[str, object]
) -> None:
    crypto = {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "00" * 16},
        "ciphertext": "00" * 32,
        "kdf": kdf,
        "kdfparams": {**parameters, "dklen": 32, "salt": "00" * 32},
        "mac": "00" * 32,
    }
    path = tmp_path / "keystore.json"
    path.write_text(json.dumps({"version": 3, "crypto": crypto}))
    path.chmod(0o600)
    with pytest.raises(UsageError, match=r"takes too much to open|does not open"):
        key_from_keystore(str(path), lambda: pytest.fail("the password was asked for"))


@pytest.mark.parametrize("version", [3, 4])
def test_a_keystore_does_not_hide_its_work_behind_another_spelling(tmp_path: Path, version: int) -> None:
    cheap = {"n": 2, "r": 1, "p": 1, "dklen": 32, "salt": "00" * 32}
    dear = {**cheap, "n": 2**30, "r": 8}
    rest = {"cipher": "aes-128-ctr", "cipherparams": {"iv": "00" * 16}, "ciphertext": "00" * 32, "mac": "00" * 32}
    crypto = {**rest, "kdf": "scrypt", "kdfparams": cheap, "KDFParams": dear}
    if version == 4:
        crypto = {**rest, "kdf": {"function": "scrypt", "params": dear}, "kdfparams": cheap}
    path = tmp_path / "keystore.json"
    path.write_text(json.dumps({"version": version, "crypto": crypto}))
    path.chmod(0o600)
    with pytest.raises(UsageError, match="does not open"):
        key_from_keystore(str(path), lambda: pytest.fail("the password was asked for"))


def test_nesting_to_the_end_of_the_stack_is_no_keystore(tmp_path: Path) -> None:
    path = tmp_path / "keystore.json"
    path.write_text("[" * 60_000)
    path.chmod(0o600)
    with pytest.raises(UsageError, match="does not open"):
        key_from_keystore(str(path), lambda: "password")


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_password_keeps_its_spaces_and_letters(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "password"
    path.write_bytes(f" pässword {ending}".encode())
    path.chmod(0o600)
    assert read_password(str(path)) == " pässword "


def test_signing_leaves_the_depth_of_this_process_as_it_was(tmp_path: Path, file: Path) -> None:
    """A text of brackets from an endpoint would otherwise end it without a word."""
    code = (
        "import sys; before = sys.getrecursionlimit()\n"
        "from twinproof.sources.signing_key import key_from_file\n"
        f"key_from_file({str(file)!r}); sys.exit(sys.getrecursionlimit() != before)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
