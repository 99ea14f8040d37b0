"""`twinproof key`: what it prints, its exit codes, and what it says about arguments that cannot be meant."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

import pytest

from published_schemas import errors
from twinproof.cli.main import main
from twinproof_devnet.kms import Kms

APP_ID = bytes(range(20))


@cache
def kms() -> Kms:
    return Kms.create(1_800_000_000)


@pytest.fixture
def answer(tmp_path: Path) -> str:
    """GetKey's, in a file."""
    got = kms().release(APP_ID).get_key("path", "mail", "secp256k1")
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({"key": got.key.hex(), "signature_chain": [item.hex() for item in got.signature_chain]}))
    return str(path)


@pytest.fixture
def signed(tmp_path: Path) -> str:
    """Sign's, over `data`, in a file."""
    got = kms().release(APP_ID).sign("secp256k1", b"data")
    members = {
        "signature": got.signature.hex(),
        "signature_chain": [item.hex() for item in got.signature_chain],
        "public_key": got.public_key.hex(),
    }
    path = tmp_path / "signed.json"
    path.write_text(json.dumps(members))
    return str(path)


def flags(root: bytes | None = None) -> list[str]:
    return ["--app-id", APP_ID.hex(), "--kms-root", (root or kms().root_public_key).hex()]


def test_a_chain_to_the_pinned_root_is_exit_0_and_says_what_it_does_not_prove(
    answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["key", answer, *flags(), "--purpose", "mail"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "THE PINNED KMS VOUCHES FOR THIS KEY" in out
    assert "Proved: the KMS released the app's key to some authorised instance at some time" in out
    assert "Not proved: which version, compose file or instance holds the key" in out
    assert json.loads(Path(answer).read_text())["key"][:8] not in out


def test_another_root_is_exit_3(answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    other = Kms.create(1_800_000_000).root_public_key
    assert main(["key", answer, *flags(other), "--purpose", "mail"]) == 3
    out = capsys.readouterr().out
    assert "NOT GENUINE" in out
    assert "VOUCHES FOR THIS KEY" not in out


def test_without_a_root_it_is_exit_4_and_shows_the_root_as_recovered(
    answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["key", answer, "--app-id", APP_ID.hex(), "--purpose", "mail", "--explain"]) == 4
    out = capsys.readouterr().out
    assert "NO KMS ROOT IS PINNED" in out
    assert kms().root_public_key.hex() in out
    assert "keys.root_pinned: not pinned" in out


def test_json_has_every_check_and_only_json_is_on_stdout(answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", answer, *flags(), "--purpose", "mail", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(errors("key.v1", document)) == []
    assert (document["schema"], document["proved"], document["exit_code"]) == ("twinproof/key/v1", True, 0)
    assert document["checks"][0]["id"] == "keys.format"
    assert document["recovered_kms_root"] == document["pinned_kms_root"] == kms().root_public_key.hex()


def test_signed_data_is_verified(signed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"data")
    assert main(["key", signed, *flags(), "--data", str(data)]) == 0
    data.write_bytes(b"other")
    assert main(["key", signed, *flags(), "--data", str(data)]) == 3
    assert "keys.data_signature" in capsys.readouterr().out


def test_an_uncompressed_root_with_0x_is_the_same_root(answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    from eth_keys.datatypes import PublicKey

    point = "0x04" + PublicKey.from_compressed_bytes(kms().root_public_key).to_bytes().hex()
    arguments = ["--app-id", "0x" + APP_ID.hex(), "--kms-root", point, "--purpose", "mail", "--algorithm", "k256"]
    assert main(["key", answer, *arguments]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "--app-id"),
        (["--app-id", "00"], "wrong length"),
        (["--app-id", "zz" * 20], "not hex text"),
        ([*flags()[:2], "--kms-root", ""], "not a public key of secp256k1"),
        ([*flags()[:2], "--kms-root", "02" + "11" * 31], "not a public key of secp256k1"),
        ([*flags()[:2], "--kms-root", "02" + "ff" * 32], "not a point"),
        ([*flags()[:2], "--kms-root", "3059" + "11" * 89], "its secp256k1 root differs"),
        ([*flags(), "--algorithm", "rsa"], "unknown algorithm"),
        ([*flags(), "--purpose", "\udcff"], "not UTF-8"),
        ([*flags(), "--data", "/nonexistent"], "cannot be read"),
        ([*flags(), "--data", sys.executable], "signs no data"),
    ],
)
def test_arguments_that_cannot_be_meant_are_exit_2(
    arguments: list[str], text: str, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["key", answer, *arguments]) == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.out == ""


def test_standard_input_cannot_be_the_answer_and_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "-", *flags(), "--data", "-"]) == 2
    assert "can be read once" in capsys.readouterr().err


def test_without_the_extra_it_is_exit_2_with_the_command_to_type(
    answer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "eth_keys.datatypes", None)
    assert main(["key", answer, *flags()]) == 2
    assert "pip install twinproof[chain]" in capsys.readouterr().err
