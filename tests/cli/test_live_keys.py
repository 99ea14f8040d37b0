"""Keys live: what the official client gets from a guest agent, judged by `twinproof key` under the KMS's root."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from dstack_sdk import DstackClient

from twinproof.cli.main import main
from twinproof_devnet.faults import Fault, FaultAt
from twinproof_devnet.provision import APP_ID
from twinproof_devnet.world import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World.start(("prod9", "prod7"), faults=[FaultAt(Fault.FOREIGN_KMS_KEY, "prod7")]) as running:
        yield running


def flags(world: World) -> list[str]:
    return ["--app-id", APP_ID.hex(), "--kms-root", world.provisioned.kms.root_public_key.hex()]


def get_key(world: World, machine: str, path: Path, algorithm: str = "secp256k1") -> str:
    """The client's own answer, in a file."""
    client = DstackClient(str(world.instances[machine].socket))
    with client:  # not `as client`: that gives the asynchronous one
        path.write_text(client.get_key("wallet", "mail", algorithm).model_dump_json())
    return str(path)


@pytest.mark.parametrize("algorithm", ["secp256k1", "ed25519"])
def test_a_key_that_the_kms_released_is_proved(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], algorithm: str
) -> None:
    answer = get_key(world, "prod9", tmp_path / "key.json", algorithm)
    assert main(["key", answer, *flags(world), "--purpose", "mail", "--algorithm", algorithm]) == 0
    assert "THE PINNED KMS VOUCHES FOR THIS KEY" in capsys.readouterr().out


def test_a_key_of_another_kms_is_caught(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = get_key(world, "prod7", tmp_path / "key.json")
    assert main(["key", answer, *flags(world), "--purpose", "mail", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert [check["id"] for check in document["checks"] if check["status"] == "fail"] == ["keys.root_pinned"]


@pytest.mark.parametrize("algorithm", ["secp256k1", "secp256k1_prehashed", "ed25519"])
def test_what_an_instance_signed_is_proved_to_be_its_apps(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], algorithm: str
) -> None:
    data, answer = tmp_path / "data", tmp_path / "signed.json"
    data.write_bytes(bytes(range(32)))
    client = DstackClient(str(world.instances["prod9"].socket))
    with client:
        answer.write_text(client.sign(algorithm, data.read_bytes()).model_dump_json())
    arguments = ["key", str(answer), *flags(world), "--data", str(data), "--algorithm", algorithm, "--json"]
    assert main(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert {check["id"]: check["status"] for check in document["checks"]}["keys.data_signature"] == "pass"
    data.write_bytes(bytes(32))
    assert main(arguments) == 3
    capsys.readouterr()


def test_a_tls_key_of_the_official_client_is_bound_to_its_quote(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = DstackClient(str(world.instances["prod9"].socket))
    with client:
        made = client.get_tls_key(subject="localhost", usage_ra_tls=True, with_app_info=True)
    path = tmp_path / "chain.pem"
    path.write_text("".join(made.certificate_chain))
    common = ["--trust-root", str(world.root_path), "--config", str(world.config_path), "--no-cache", "--json"]
    assert main(["verify", str(path), *common]) == 0
    verdict = json.loads(capsys.readouterr().out)
    statuses = {check["id"]: check["status"] for check in verdict["checks"]}
    assert statuses["evidence.report_data"] == statuses["evidence.ra_tls_claims"] == "pass"
