"""The official `phala` command, from its own package and unmodified, deploys, upgrades and replicates in the cloud."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from npm_package import NO_NETWORK, NPM, installed
from twinproof_devnet.machine import Machine

TESTS = Path(__file__).resolve().parents[1]
COMMANDS = (
    "nodes",
    "deploy",
    "get",
    "list",
    "attestation",
    "upgrade",
    "devices",
    "allow",
    "replicate",
    "list of two",
)

pytestmark = [pytest.mark.node, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What phala_session.py saw, in a network where nothing but its own loopback is."""
    package = installed(NPM / "phala", tmp_path_factory.mktemp("npm") / "phala")
    version = json.loads((package / "node_modules" / "phala" / "package.json").read_text())["version"]
    assert version == "1.1.18"
    scratch = tmp_path_factory.mktemp("session")
    cli = package / "node_modules" / "phala" / "dist" / "index.js"
    done = subprocess.run(
        [*NO_NETWORK, sys.executable, str(TESTS / "phala_session.py"), str(cli), str(scratch)],
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def said(session: dict[str, Any], name: str) -> dict[str, Any]:
    """The JSON object in what the command printed; some print a line or a dump before it."""
    text: str = session["said"][name]["out"]
    document: dict[str, Any] = json.loads(text[text.index("\n{\n") if not text.startswith("{") else 0 :])
    return document


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_succeeds(session: dict[str, Any], name: str) -> None:
    assert session["said"][name]["code"] == 0, session["said"][name]
    assert said(session, name)["success"] is True


def test_the_nodes_are_the_machines(session: dict[str, Any]) -> None:
    assert {node["name"]: node["device_id"] for node in said(session, "nodes")["items"]} == {
        name: Machine.named(name).device_id.hex() for name in ("prod5", "prod7", "prod9")
    }


def test_a_deployment_is_one_contract_and_one_instance_that_attests(session: dict[str, Any]) -> None:
    first = session["then"]["cvms"][0]
    assert session["then"]["apps"] == 1
    assert said(session, "deploy")["app_id"] == first["app_id"]
    assert said(session, "get")["compose_hash"] == session["then"]["before"]
    attested = said(session, "attestation")
    assert attested["is_online"] is True
    assert attested["tcb_info"]["compose_hash"] == session["then"]["before"]


def test_an_upgrade_is_allowed_on_chain_and_attested_afterwards(session: dict[str, Any]) -> None:
    first, then = session["then"]["cvms"][0], session["then"]
    assert then["before"] != first["compose_hash"]
    assert then["hashes"] == [then["before"], first["compose_hash"]]
    assert first["attested"] == first["compose_hash"]


def test_a_replica_runs_on_its_device_under_the_same_app_id(session: dict[str, Any]) -> None:
    first, second = session["then"]["cvms"]
    assert said(session, "allow")["0"]["deviceId"] == f"0x{second['device_id']}"
    assert session["then"]["devices"] == [first["device_id"], second["device_id"]]
    assert said(session, "replicate")["vm_uuid"] == second["uuid"]
    assert (second["app_id"], second["attested"]) == (first["app_id"], first["attested"])
    assert second["error"] == ""


def test_the_list_hides_replicas_as_the_real_one_does(session: dict[str, Any]) -> None:
    assert len(said(session, "list of two")["items"]) == 1
