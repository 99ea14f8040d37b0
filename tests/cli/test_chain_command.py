"""`twinproof chain` on the devnet's chain: the plan, the change, the JSON, and a key that appears nowhere."""

from __future__ import annotations

import hashlib
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from published_schemas import errors
from twinproof.cli.main import main
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.devchain import DevChain
from twinproof_devnet.chain.governance import AppContract, KmsContract

DEVICE, HASH = "33" * 32, "11" * 32


@pytest.fixture(scope="module")
def chain() -> Iterator[DevChain]:
    chain = DevChain.start()
    yield chain
    chain.close()


@pytest.fixture(scope="module")
def kms(chain: DevChain) -> KmsContract:
    return KmsContract.deploy(chain, DevAccount.create())


@pytest.fixture(scope="module")
def app(kms: KmsContract) -> AppContract:
    return kms.deploy_app(kms.owner, device_id=bytes.fromhex(DEVICE), compose_hash=bytes.fromhex(HASH))


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What was sent is remembered here."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "twinproof" / "chain"


@pytest.fixture
def key(app: AppContract, tmp_path: Path) -> str:
    app.owner.write(tmp_path / "owner.key")
    return str(tmp_path / "owner.key")


@pytest.fixture
def compose(tmp_path: Path) -> Path:
    path = tmp_path / "app-compose.json"
    path.write_text(json.dumps({"manifest_version": 2, "name": secrets.token_hex(8)}))
    return path


def hex_id(app: AppContract) -> str:
    return "0x" + app.address.hex()


def test_allow_hashes_the_exact_bytes_and_prints_where_it_stands(
    chain: DevChain, app: AppContract, key: str, compose: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compose_hash = hashlib.sha256(compose.read_bytes()).hexdigest()
    command = ["chain", "allow", hex_id(app), "--app-compose", str(compose), "--chain", chain.url, "--key-file", key]
    assert main([*command, "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert list(errors("chain-write.v1", document)) == []
    assert document["value"] == f"0x{compose_hash}"
    assert (document["chain_id"], document["already"], document["finalized"]) == (chain.chain_id, False, False)
    block = chain.ledger.head
    assert document["transaction"] == "0x" + block.transactions[0].hash.hex()
    assert (document["block"], document["block_hash"]) == (block.number, "0x" + block.hash.hex())
    assert f"recomputed   0x{compose_hash}" in err
    assert "at most" in err
    assert app.is_allowed(bytes.fromhex(compose_hash))
    assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(errors("chain-write.v1", document)) == []
    assert document["already"] is True
    assert chain.ledger.head is block


def test_bytes_that_are_not_the_expected_ones_are_not_allowed(
    chain: DevChain, app: AppContract, key: str, compose: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = chain.ledger.head
    command = ["chain", "allow", hex_id(app), "--app-compose", str(compose), "--compose-hash", "ab" * 32]
    assert main([*command, "--chain", chain.url, "--key-file", key]) == 4
    assert "another hash" in capsys.readouterr().err
    assert chain.ledger.head is head


def test_a_plan_needs_no_key_and_sends_nothing(
    chain: DevChain, app: AppContract, compose: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = chain.ledger.head
    command = ["chain", "allow", hex_id(app), "--app-compose", str(compose), "--chain", chain.url, "--plan"]
    assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(errors("chain-plan.v1", document)) == []
    assert (document["to"], document["already"]) == (hex_id(app), False)
    assert document["data"].startswith("0xdfc77223")
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert max(map(len, (out + err).splitlines())) <= 80
    assert document["data"].removeprefix("0x") in "".join(out.split())
    assert chain.ledger.head is head


def test_a_device_is_added_by_the_name_of_its_machine(
    chain: DevChain, app: AppContract, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "twinproof.toml"
    config.write_text(
        f'[chain]\nrpc = "{chain.url}"\nchain_id = {chain.chain_id}\n[machines.prod9]\ndevice_id = "{"99" * 32}"\n'
    )
    command = ["chain", "add-device", hex_id(app), "prod9", "--config", str(config), "--key-file", key]
    assert main(command) == 0
    assert f"device       0x{'99' * 32}" in capsys.readouterr().out
    assert app._is("allowedDeviceIds(bytes32)", b"\x99" * 32)


def test_an_app_is_deployed(
    chain: DevChain, kms: KmsContract, key: str, compose: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["chain", "deploy-app", "--kms", "0x" + kms.address.hex(), "--device", DEVICE, "--key-file", key]
    assert main([*command, "--app-compose", str(compose), "--chain", chain.url, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(errors("chain-write.v1", document)) == []
    app = AppContract(chain, bytes.fromhex(document["contract"][2:]), kms.owner)
    assert app.is_allowed(hashlib.sha256(compose.read_bytes()).digest())


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["allow", "APP", "--compose-hash", HASH], 2, "one key signs"),
        (["allow", "APP", "--compose-hash", HASH, "--key-file", "KEY", "--key-env", "X"], 2, "one key signs"),
        (["allow", "APP", "--key-file", "KEY"], 2, "no compose hash"),
        (["allow", "APP", "--compose-hash", "11", "--key-file", "KEY"], 2, "wrong length"),
        (["allow", "APP", "--compose-hash", "00" * 32, "--key-file", "KEY"], 2, "not all zero"),
        (["allow", "0x1234", "--compose-hash", HASH, "--key-file", "KEY"], 2, "APP_ID"),
        (["allow", "0x" + "77" * 20, "--compose-hash", HASH, "--key-file", "KEY"], 4, "not an app of dstack"),
        (["add-device", "APP", "prod1", "--key-file", "KEY"], 2, "DEVICE"),
        (["deploy-app", "--device", DEVICE, "--compose-hash", HASH, "--key-file", "KEY"], 2, "no KMS contract"),
        (["allow", "APP", "--compose-hash", HASH, "--key-file", "KEY", "--max-cost", "x"], 2, "--max-cost"),
        (["allow", "APP", "--compose-hash", HASH, "--key-file", "KEY", "--chain-id", "1"], 5, "another chain"),
        (["allow", "APP", "--compose-hash", "22" * 32, "--key-file", "KEY", "--gas", "21000"], 2, "too little gas"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_sent(
    *,
    chain: DevChain,
    app: AppContract,
    key: str,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    reason: str,
) -> None:
    head = chain.ledger.head
    filled = [{"APP": hex_id(app), "KEY": key}.get(word, word) for word in arguments]
    assert main(["chain", *filled, "--chain", chain.url]) == code
    out, err = capsys.readouterr()
    assert reason in err
    assert out == ""
    assert chain.ledger.head is head


def test_a_wrong_checksum_is_noticed(chain: DevChain, app: AppContract, key: str) -> None:
    right = DevAccount.create().checksum_address
    wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
    if wrong.lower() != wrong:
        assert main(["chain", "allow", wrong, "--compose-hash", HASH, "--key-file", key, "--chain", chain.url]) == 2


def test_without_an_endpoint_the_hint_says_where_it_goes(
    app: AppContract, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["chain", "allow", hex_id(app), "--compose-hash", HASH, "--key-file", key]) == 2
    assert "[chain]" in capsys.readouterr().err


def test_the_key_is_not_in_the_arguments_the_output_or_the_errors_of_a_real_process(
    chain: DevChain, app: AppContract, key: str, compose: Path, tmp_path: Path
) -> None:
    secret = app.owner.key.hex()
    environment = {"TWINPROOF_DEBUG": "1", "DEVNET_KEY": secret, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment["XDG_STATE_HOME"] = str(tmp_path / "state")
    for arguments in (
        ["allow", hex_id(app), "--app-compose", str(compose), "--key-env", "DEVNET_KEY", "--json"],
        ["allow", hex_id(app), "--app-compose", str(compose), "--key-file", key],
        ["allow", hex_id(app), "--compose-hash", "44" * 32, "--key-env", "DEVNET_KEY", "--max-cost", "0.0000000001"],
        ["allow", "0x" + "66" * 20, "--compose-hash", "44" * 32, "--key-env", "DEVNET_KEY"],
    ):
        command = [sys.executable, "-m", "twinproof", "chain", *arguments, "--chain", chain.url]
        assert secret not in " ".join(command)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert secret not in (done.stdout + done.stderr).lower()
        assert "Traceback" not in done.stderr
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name != "owner.key":
            assert secret.encode() not in path.read_bytes()
