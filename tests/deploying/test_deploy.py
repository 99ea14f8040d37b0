"""One version on two machines, on a simulated chain and cloud: created, upgraded, and what stops it at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy_world import DeployWorld, deploy_world
from twinproof_devnet.faults import Fault
from twinproof_devnet.loopback import Request


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployWorld]:
    """1.1.0 runs on both machines; 1.2.0 is released."""
    with deploy_world(tmp_path_factory.mktemp("deploy")) as world:
        world.release("1.1.0")
        assert world.deploy("1.1.0").attested == {"prod9": True, "prod7": True}
        world.release("1.2.0")
        yield world


@contextmanager
def both_at_once(world: DeployWorld) -> Iterator[None]:
    """No machine's update is confirmed before the other one's is there to be confirmed, too."""
    together = threading.Barrier(2)

    def wait(request: Request) -> None:
        if request.path.endswith("/commit-update"):
            together.wait(timeout=20)

    world.cloud.service.interruption = wait
    try:
        yield
    finally:
        world.cloud.service.interruption = None
    assert not together.broken


def stopped(world: DeployWorld, fault: Fault, machine: str, *flags: str) -> tuple[int, str]:
    """Deploy 1.2.0 under a fault; nothing may have been signed."""
    head = world.chain.ledger.head.number
    world.cloud.switch(fault, machine)
    try:
        ran = world.deploy("1.2.0", *flags)
    finally:
        world.cloud.switch(fault, machine, on=False)
        world.cloud.fleet.settle()
    assert world.chain.ledger.head.number == head, "something was signed"
    return ran.code, ran.err


def test_both_machines_run_under_one_app_id_from_one_contract(world: DeployWorld) -> None:
    assert world.contracts() == 1
    cvms = world.cloud.fleet.cvms
    assert sorted(cvm.node.name for cvm in cvms) == ["prod7", "prod9"]
    assert len({cvm.app_id for cvm in cvms}) == 1
    assert len({cvm.compose_hash for cvm in cvms}) == 1


def test_the_plan_names_every_transaction_and_changes_nothing(world: DeployWorld) -> None:
    head = world.chain.ledger.head.number
    ran = world.deploy("1.2.0", "--plan")
    assert ran.code == 0
    assert "addComposeHash        this compose hash" in ran.err
    machines = ran.json["plan"]["machines"]
    assert [(machine["name"], machine["action"]) for machine in machines] == [("prod9", "update"), ("prod7", "update")]
    assert {machine["old_compose_hash"] for machine in machines} == {world.cloud.fleet.cvms[0].compose_hash}
    assert ran.json["plan"]["compose_hash"] != machines[0]["old_compose_hash"]
    assert world.chain.ledger.head.number == head
    assert {cvm.text for cvm in world.cloud.fleet.cvms} == {world.cloud.fleet.cvms[0].text}


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (Fault.REWRITTEN_HASH, "the service would run another app-compose text than this version's"),
        (Fault.WRONG_DEVICE_ID, "no node of the cloud has this device id"),
    ],
)
def test_a_cloud_that_says_something_else_on_one_machine_gets_nothing_signed(
    world: DeployWorld, fault: Fault, what: str
) -> None:
    code, err = stopped(world, fault, "prod7")
    assert code == 4
    assert what in err


def test_a_machine_that_is_down_stops_the_plan_before_anything_is_signed(world: DeployWorld) -> None:
    code, err = stopped(world, Fault.MACHINE_DOWN, "prod7")
    assert code == 5
    assert "prod7: the cloud lists no node with this device id" in err


def test_a_wrong_api_key_is_told_and_not_shown(world: DeployWorld) -> None:
    ran = world.deploy("1.2.0", PHALA_CLOUD_API_KEY="phak_of-somebody-else")
    assert ran.code == 2
    assert "does not accept the API key" in ran.err
    assert "phak_of-somebody-else" not in ran.out + ran.err


@pytest.mark.parametrize("name", ["PHALA_CLOUD_API_KEY", "DEPLOYER_PRIVATE_KEY"])
def test_a_missing_key_is_named_before_anything_is_sent(world: DeployWorld, name: str) -> None:
    requests = world.chain.endpoint.requests
    ran = world.deploy("1.2.0", unset=name)
    assert ran.code == 2
    assert name in ran.err
    assert world.chain.endpoint.requests == requests


def test_a_signer_who_is_not_the_owner_is_refused_before_anything_is_signed(world: DeployWorld) -> None:
    head = world.chain.ledger.head.number
    ran = world.deploy("1.2.0", DEPLOYER_PRIVATE_KEY=f"0x{world.kms.owner.key.hex()}")
    assert (ran.code, world.chain.ledger.head.number) == (4, head)
    assert "only the owner of the app can deploy it" in ran.err


def test_another_kms_than_the_one_that_is_meant_is_refused(world: DeployWorld) -> None:
    ran = world.deploy("1.2.0", "--kms", f"0x{'12' * 20}")
    assert ran.code == 4
    assert "KMS" in ran.err


@pytest.mark.parametrize("machines", [("prod3",), ("prod9", "prod9")])
def test_machines_that_cannot_be_meant_are_a_usage_error(world: DeployWorld, machines: tuple[str, ...]) -> None:
    assert world.deploy("1.2.0", machines=machines).code == 2


def test_an_upgrade_in_place_keeps_instances_and_keys_and_is_done_when_attested(world: DeployWorld) -> None:
    before = {cvm.uuid: cvm.instance_id for cvm in world.cloud.fleet.cvms}
    with both_at_once(world):
        ran = world.deploy("1.2.0")
    assert ran.attested == {"prod9": True, "prod7": True}, ran.out
    assert {cvm.uuid: cvm.instance_id for cvm in world.cloud.fleet.cvms} == before
    assert {cvm.compose_hash for cvm in world.cloud.fleet.cvms} == {ran.json["plan"]["compose_hash"]}
    assert world.contracts() == 1


def test_deploying_it_again_sends_no_transaction(world: DeployWorld) -> None:
    head = world.chain.ledger.head.number
    ran = world.deploy("1.2.0")
    assert ran.code == 0
    assert {machine["action"] for machine in ran.json["plan"]["machines"]} == {"keep"}
    assert world.chain.ledger.head.number == head


def test_no_key_is_in_the_journal_and_only_its_owner_reads_it(world: DeployWorld) -> None:
    journals = [path for path in (world.directory / "state" / "twinproof").iterdir() if path.suffix == ".json"]
    assert len(journals) == 2
    for path in journals:
        assert path.stat().st_mode & 0o077 == 0
        text = path.read_text()
        assert world.owner.key.hex() not in text
        assert world.cloud.key not in text


def test_a_third_machine_joins_the_same_app(world: DeployWorld, tmp_path: Path) -> None:
    ran = world.deploy("1.2.0", "--save", str(tmp_path), machines=("prod9", "prod7", "prod5"))
    assert ran.attested == {"prod9": True, "prod7": True, "prod5": True}
    assert world.contracts() == 1
    assert {cvm.app_id for cvm in world.cloud.fleet.cvms} == {bytes.fromhex(ran.json["app_id"])}
