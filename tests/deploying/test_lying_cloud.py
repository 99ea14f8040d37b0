"""A cloud that lies consistently, or only the second time: what it says decides nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deploy_world import DeployWorld, deploy_world
from lying_cloud import Lie, lying
from twinproof_devnet.loopback import Request

FOREIGN = "5e" * 20


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployWorld]:
    """1.1.0 runs on both machines and is recorded; 1.2.0 is released."""
    with deploy_world(tmp_path_factory.mktemp("lying")) as world:
        world.release("1.1.0")
        arguments = ("--tag", "v1.1.0", "--image-digest", world.digests["1.1.0"], "--machines", "prod9,prod7")
        ran = world.run("ci", "deploy", *arguments, "--poll", "0.2", "--finality", "0")
        assert ran.code == 0, ran.err
        world.repository.git("pull", "-q", "--ff-only", "origin")
        world.release("1.2.0")
        yield world


def texts(world: DeployWorld) -> dict[str, str]:
    return {cvm.node.name: cvm.text for cvm in world.cloud.fleet.cvms}


def sent(world: DeployWorld) -> int:
    return world.chain.ledger.head.number


def refused(world: DeployWorld, lie: Lie) -> str:
    """What `deploy` says to this lie, having sent and changed nothing."""
    before = sent(world), texts(world)
    with lying(world.cloud.service, lie):
        ran = world.deploy("1.2.0")
    assert (ran.code, sent(world), texts(world)) == (4, *before)
    return ran.err


def uuid_of(world: DeployWorld, machine: str) -> str:
    return next(cvm.uuid for cvm in world.cloud.fleet.cvms if cvm.node.name == machine)


def set_detail(answer: Any, name: str, value: object) -> Any:
    for item in answer.get("details", ()):
        if item["field"] == name:
            item["value"] = value
    return answer


def test_two_names_of_one_node_are_not_two_machines(world: DeployWorld) -> None:
    """Both device ids are said to be those of one node: the second instance would run beside the first."""

    def lie(request: Request, answer: Any) -> object:
        if request.path.endswith("/teepods/available"):
            nodes = {node["name"]: node for node in answer["nodes"]}
            nodes["prod9"]["device_ids"] = [{"device_id": nodes["prod7"]["device_id"]}]
            nodes["prod7"]["device_id"] = None
        return answer

    assert "two machines of twinproof.toml are one node of the cloud: got node prod9" in refused(world, lie)


def test_the_id_of_another_tenants_app_in_a_proposal_gets_nothing_signed(world: DeployWorld) -> None:
    def lie(_: Request, answer: Any) -> object:
        return set_detail(answer, "app_id", FOREIGN) if isinstance(answer, dict) else answer

    assert "the service would run it as another app" in refused(world, lie)


CHANGES: dict[str, tuple[object, str]] = {
    "compose_hash": ("ee" * 32, "another app-compose text"),
    "device_id": ("ee" * 32, "on another machine"),
    "kms_info": ({"slug": "evil", "chain_id": 8453, "kms_contract_address": "0x" + "ee" * 20}, "another KMS"),
    "app_id": (FOREIGN, "as another app"),
}


@pytest.mark.parametrize("fields", [("compose_hash", "kms_info"), ("device_id", "app_id")])
def test_a_proposal_that_changes_after_the_plan_is_not_confirmed(world: DeployWorld, fields: tuple[str, str]) -> None:
    """The first answer to each machine is honest, the one that would be confirmed is not: one field on each."""
    field_of = {cvm.uuid: name for cvm, name in zip(world.cloud.fleet.cvms, fields, strict=True)}
    asked: list[str] = []

    def lie(request: Request, answer: Any) -> object:
        if request.method == "PATCH":
            uuid = request.path.rpartition("/")[2]
            asked.append(uuid)
            if asked.count(uuid) == 2:
                return set_detail(answer, field_of[uuid], CHANGES[field_of[uuid]][0])
        return answer

    before = texts(world)
    with lying(world.cloud.service, lie):
        ran = world.deploy("1.2.0")
    assert ran.code == 4
    for item in ran.json["machines"]:
        assert CHANGES[field_of[uuid_of(world, item["name"])]][1] in item["message"]
    assert texts(world) == before


def test_an_instance_that_is_made_for_another_app_is_refused(world: DeployWorld) -> None:
    def lie(request: Request, answer: Any) -> object:
        return answer | {"app_id": FOREIGN} if request.path.endswith("/commit-replica") else answer

    with lying(world.cloud.service, lie):
        ran = world.deploy("1.1.0", machines=("prod9", "prod5"))
    assert ran.code == 4
    assert "the service made an instance of another app" in str(ran.json["machines"])
    assert ran.attested == {"prod9": True, "prod5": False}


def test_one_instance_shown_at_both_addresses_is_one_machine(world: DeployWorld) -> None:
    """Another name of prod9's host is said to be prod7's: `deploy` and `status` ask the quote who answers."""

    def lie(request: Request, answer: Any) -> object:
        if request.path.endswith("/cvms") and isinstance(answer, list):
            first = next(item for item in answer if item["node_info"]["name"] == "prod9")
            other_name = json.loads(json.dumps(first["endpoints"]).replace("127.0.0.1", "localhost"))
            for item in answer:
                if item is not first:
                    item["endpoints"] = other_name
        return answer

    with lying(world.cloud.service, lie):
        status = world.run("status", "--json")
        ran = world.deploy("1.1.0", "--wait", "1")
    assert status.out, status.err
    problems = {item["machine"]: item["problems"] for item in status.json["machines"]}
    assert status.code == 4
    assert problems["prod9"] == []
    assert any("another machine answers at its address" in text for text in problems["prod7"]), problems
    assert ran.attested == {"prod9": True, "prod7": False}
    assert "another machine answers at this address" in str(ran.json["machines"])


def test_device_ids_that_are_swapped_everywhere_are_told_by_the_hardware(world: DeployWorld) -> None:
    def lie(_: Request, answer: Any) -> object:
        return swapped(answer, world)

    with lying(world.cloud.service, lie):
        ran = world.deploy("1.2.0", "--wait", "15")
    assert ran.code == 4, ran.out
    assert ran.attested == {"prod9": False, "prod7": False}, ran.out
    assert str(ran.json["machines"]).count("another machine answers at this address") == 2
    again = world.deploy("1.2.0")
    assert again.attested == {"prod9": True, "prod7": True}, again.err
    assert world.contracts() == 1


def swapped(value: Any, world: DeployWorld) -> Any:
    """With the device ids of prod7 and prod9 in each other's places."""
    ids = [world.cloud.nodes[name].host.device_id.hex() for name in ("prod7", "prod9")]
    other = dict(zip(ids, reversed(ids), strict=True))
    if isinstance(value, dict):
        return {name: swapped(item, world) for name, item in value.items()}
    if isinstance(value, list):
        return [swapped(item, world) for item in value]
    return other.get(value, value) if isinstance(value, str) else value
