"""An address that answers for an instance elsewhere: what `compare` and `verify` say of a relay before a real one."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loopback import http_answer, serving
from twinproof.cli.main import main
from twinproof_devnet.world import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World.start(("prod9", "prod7")) as running:
        yield running


@pytest.fixture(scope="module")
def addresses(world: World) -> dict[str, str]:
    return {name: instance.url for name, instance in world.instances.items()}


@contextmanager
def relay(target: str, *, first_answer_only: bool = False) -> Iterator[str]:
    """Forwards every request to the target, nonce and all; or gives everybody the answer to the first one."""
    kept: list[bytes] = []

    def forward(connection: socket.socket, head: bytes) -> None:
        path = head.split(b" ")[1].decode()
        if not (kept and first_answer_only):
            with urllib.request.urlopen(target + path, timeout=10) as answer:
                kept.append(answer.read())
        connection.sendall(http_answer(kept[-1], headers=("Content-Type: application/json",)))

    with serving(forward) as url:
        yield url


def run(capsys: pytest.CaptureFixture[str], world: World, *arguments: str, config: Path | None = None) -> Any:
    flags = ["--trust-root", str(world.root_path), "--config", str(config or world.config_path), "--no-cache", "--json"]
    code = main([*arguments, *flags])
    return code, json.loads(capsys.readouterr().out)


def failed(document: dict[str, Any]) -> set[str]:
    checks = [check for instance in document.get("instances", [document]) for check in instance["checks"]]
    return {check["id"] for check in checks + document.get("checks", []) if check["status"] == "fail"}


@pytest.fixture
def no_machines(world: World, tmp_path: Path) -> Path:
    """As a stranger has it: addresses and nothing else."""
    path = tmp_path / "strangers.toml"
    lines = world.config_path.read_text().split("[machines", 1)[0]
    path.write_text(lines)
    return path


def test_a_relay_before_the_other_instance_is_one_machine(
    world: World, addresses: dict[str, str], no_machines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with relay(addresses["prod9"]) as url:
        code, proof = run(capsys, world, "compare", addresses["prod9"], url, config=no_machines)
    assert code == 4
    assert not proof["complete"]
    assert {"compare.machine", "compare.instance_id"} <= failed(proof)


def test_the_same_host_under_two_names_is_one_machine(
    world: World, addresses: dict[str, str], no_machines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = addresses["prod9"].replace("127.0.0.1", "localhost")
    assert other != addresses["prod9"]
    code, proof = run(capsys, world, "compare", addresses["prod9"], other, config=no_machines)
    assert (code, proof["complete"]) == (4, False)
    assert "compare.machine" in failed(proof)


def test_a_relay_that_gives_its_first_answer_to_everybody_is_stale(
    world: World, addresses: dict[str, str], no_machines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with relay(addresses["prod7"], first_answer_only=True) as url:
        assert run(capsys, world, "verify", url, config=no_machines)[0] == 0
        code, proof = run(capsys, world, "compare", addresses["prod9"], url, config=no_machines)
    assert (code, proof["complete"]) == (3, False)
    assert "evidence.nonce" in failed(proof)


def test_a_relay_at_a_machines_address_is_told_by_its_device_id(
    world: World, addresses: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`prod7` of twinproof.toml leads to a relay before prod9."""
    with relay(addresses["prod9"]) as url:
        config = tmp_path / "twinproof.toml"
        config.write_text(world.config_path.read_text().replace(addresses["prod7"], url))
        assert url in config.read_text()
        code, verdict = run(capsys, world, "verify", "prod7", config=config)
        assert (code, failed(verdict)) == (4, {"policy.machine"})
        code, proof = run(capsys, world, "compare", "prod9", "prod7", config=config)
    assert (code, proof["complete"]) == (4, False)
    assert {"policy.machine", "compare.machine"} <= failed(proof)


def test_what_a_relay_before_another_machine_shows_is_that_machine_and_no_address(
    world: World, addresses: dict[str, str], no_machines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """This remains, and the threat model says so: who answers is proved, not where; a pinned device id tells."""
    with relay(addresses["prod7"]) as url:
        code, proof = run(capsys, world, "compare", addresses["prod9"], url, config=no_machines)
        assert (code, proof["complete"]) == (0, True)
        assert run(capsys, world, "verify", url)[0] == 0
