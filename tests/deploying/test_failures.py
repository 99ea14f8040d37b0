"""What goes wrong after the plan: each machine's own outcome is told, nothing is undone, and no lie is believed."""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy_world import MACHINES, QUICK, DeployWorld, Ran, deploy_world
from twinproof_devnet.faults import Fault

SECRET = "tok-" + secrets.token_hex(12)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployWorld]:
    """1.0.1 runs on both machines."""
    with deploy_world(tmp_path_factory.mktemp("failures")) as world:
        world.release("1.0.1")
        assert world.deploy("1.0.1").code == 0
        yield world


NEXT = {Fault.STALE_STATUS: "keep", Fault.KMS_DOWN: "start"}
"""What a second deployment under the fault has to do, as the service says."""


@contextmanager
def switched(world: DeployWorld, fault: Fault, machine: str) -> Iterator[None]:
    world.cloud.switch(fault, machine)
    try:
        yield
    finally:
        world.cloud.switch(fault, machine, on=False)
        world.cloud.fleet.settle()


def error_of(ran: Ran, machine: str) -> str:
    found = next(item for item in ran.json["machines"] if item["name"] == machine)
    return f"{found['step']}: {found['message']}"


@pytest.mark.parametrize(
    ("version", "fault", "code", "what"),
    [
        ("1.2.0", Fault.STALE_STATUS, 4, "another compose hash is attested (after 12 s)"),
        ("1.3.0", Fault.KMS_DOWN, 5, "(after 12 s)"),
    ],
    ids=lambda value: value.value if isinstance(value, Fault) else None,
)
def test_a_machine_that_does_not_attest_the_new_hash_is_not_deployed_and_the_other_is(
    world: DeployWorld, version: str, fault: Fault, code: int, what: str
) -> None:
    """The deadline, the exit code and the reason; run again without the fault, it gets there."""
    world.release(version)
    with switched(world, fault, "prod7"):
        ran = world.deploy(version, "--wait", "12")
        kept = world.deploy(version, "--wait", "1")
    assert ran.attested == {"prod9": True, "prod7": False}, ran.err
    assert ran.code == code
    assert error_of(ran, "prod7").startswith("attest: ")
    assert what in error_of(ran, "prod7")
    assert kept.code == code  # also where the service calls it up to date, and there is nothing to do
    assert [machine["action"] for machine in kept.json["plan"]["machines"]] == ["keep", NEXT[fault]]
    assert kept.attested == {"prod9": True, "prod7": False}
    again = world.deploy(version)
    assert again.attested == {"prod9": True, "prod7": True}, again.err


def test_an_answer_that_was_lost_is_looked_up_and_not_sent_again(world: DeployWorld) -> None:
    world.release("2.0.0")
    revisions = {cvm.uuid: len(cvm.revisions) for cvm in world.cloud.fleet.cvms}
    with switched(world, Fault.LOST_ANSWER, "prod7"):
        ran = world.deploy("2.0.0")
    assert ran.attested == {"prod9": True, "prod7": True}
    assert {cvm.uuid: len(cvm.revisions) - 1 for cvm in world.cloud.fleet.cvms} == revisions


def test_secrets_reach_the_app_and_nothing_else(world: DeployWorld, tmp_path: Path) -> None:
    """The allowed names are measured; the value goes in encrypted, and stands in no output and no file."""
    world.release("2.1.0", allowed_envs='"TOKEN"')
    ran = world.deploy("2.1.0", TOKEN=SECRET)
    assert ran.attested == {"prod9": True, "prod7": True}, ran.err
    assert ran.json["plan"]["secrets"] == ["TOKEN"]
    assert SECRET not in ran.out + ran.err
    for cvm in world.cloud.fleet.cvms:
        assert json.loads(cvm.text)["allowed_envs"] == ["TOKEN"]
        assert SECRET not in cvm.text
        assert SECRET.encode() not in cvm.encrypted_env
    for path in world.directory.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path


def test_a_missing_secret_is_named_before_anything_is_sent(world: DeployWorld) -> None:
    world.release("2.1.1", allowed_envs='"TOKEN", "SECOND_ONE"')
    before = (world.chain.endpoint.requests, [len(cvm.revisions) for cvm in world.cloud.fleet.cvms])
    ran = world.deploy("2.1.1", TOKEN=SECRET)
    assert ran.code == 2
    assert "SECOND_ONE" in ran.err
    assert SECRET not in ran.err
    assert (world.chain.endpoint.requests, [len(cvm.revisions) for cvm in world.cloud.fleet.cvms]) == before


def test_secrets_are_not_encrypted_to_a_key_that_the_kms_did_not_sign(world: DeployWorld) -> None:
    world.release("2.2.0", allowed_envs='"TOKEN"')
    sealed = {cvm.node.name: cvm.encrypted_env for cvm in world.cloud.fleet.cvms}
    with switched(world, Fault.FOREIGN_ENV_KEY, "prod7"):
        ran = world.deploy("2.2.0", TOKEN=SECRET)
    assert ran.code == 3
    assert ran.attested == {"prod9": True, "prod7": False}
    assert "not signed by the KMS" in error_of(ran, "prod7")
    assert {cvm.node.name: cvm.encrypted_env for cvm in world.cloud.fleet.cvms}["prod7"] == sealed["prod7"]


def test_no_key_is_in_the_arguments_of_any_process_or_in_any_log(world: DeployWorld, tmp_path: Path) -> None:
    """Watched while it runs: its own arguments and those of every process that it starts. None is a vendor's client."""
    world.release("2.3.0")
    arguments = ["--tag", "v2.3.0", "--image-digest", world.digests["2.3.0"], "--machines", ",".join(MACHINES)]
    command = world.command("ci", "deploy", *arguments, *QUICK, "--finality", "0")
    seen: set[bytes] = set()
    log = tmp_path / "log"
    for name in ("phala", "npx", "npm", "node", "cast"):
        trap = tmp_path / "traps" / name
        trap.parent.mkdir(exist_ok=True)
        trap.write_text(f"#!/bin/sh\ntouch '{tmp_path}/sprung'\n")
        trap.chmod(0o755)
    path = f"{tmp_path / 'traps'}:{world.environment['PATH']}"
    with (
        log.open("wb") as file,
        subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=world.repository.top,
            env={**world.environment, "PATH": path, "GITHUB_TOKEN": SECRET, "GITHUB_ACTIONS": "true"},
        ) as process,
    ):
        while process.poll() is None:
            seen |= set(_command_lines(process.pid))
            time.sleep(0.03)
        output = log.read_bytes()
    assert process.returncode == 0, output.decode()
    assert any(b"ci" in line for line in seen)
    assert not (tmp_path / "sprung").exists()
    for secret in (world.owner.key.hex(), world.cloud.key, SECRET):
        assert secret.encode() not in output
        assert not any(secret.encode() in line for line in seen)


def _command_lines(pid: int) -> list[bytes]:
    """Of the process and its descendants, as anyone on the machine sees them."""
    found, todo = [], [pid]
    while todo:
        process = Path("/proc") / str(todo.pop())
        with contextlib.suppress(OSError):
            found.append((process / "cmdline").read_bytes())
            todo += [int(child) for child in (process / "task" / process.name / "children").read_text().split()]
    return found
