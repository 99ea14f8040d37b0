"""A world with a chain: what it deployed is what runs, and what the contracts do not allow gets no keys."""

from __future__ import annotations

import json
import tomllib
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import pytest

from twinproof_devnet.boot_info import boot_info
from twinproof_devnet.chain.contracts_now import ContractsNow
from twinproof_devnet.compose import ToyApp, app_compose, compose_hash
from twinproof_devnet.faults import Fault
from twinproof_devnet.provision import BootRefused
from twinproof_devnet.world import World

NEW = replace(ToyApp(), image=f"registry.invalid/toy-example@sha256:{'ab' * 32}")
NEW_HASH = compose_hash(app_compose(NEW))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World.start(("prod9", "prod7"), chain=True) as running:
        yield running


def rpc(world: World, method: str, *params: object) -> object:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    with urllib.request.urlopen(urllib.request.Request(world.chain.url, body), timeout=30) as answer:
        return json.load(answer)["result"]


def test_the_configuration_names_the_endpoint_the_kms_and_the_chain(world: World) -> None:
    table = tomllib.loads(world.config_path.read_text())["chain"]
    assert table == {"rpc": [world.chain.url], "kms": f"0x{world.chain.kms.address.hex()}", "chain_id": 31337}
    assert rpc(world, "eth_chainId") == hex(31337)


def test_the_key_of_the_owner_is_for_its_user_only(world: World) -> None:
    assert world.chain_key_path.stat().st_mode & 0o777 == 0o600
    assert world.chain.owner.key.hex() not in world.config_path.read_text()
    assert world.chain.owner.key.hex() not in repr(world.chain.owner)


def test_the_app_id_is_the_contract_and_everything_that_runs_is_final_there(world: World) -> None:
    assert world.provisioned.app_id == world.chain.app_id
    assert all(vm.app_id == world.chain.app_id for vm in world.provisioned.vms.values())
    final = world.chain.chain.ledger.block(world.chain.chain.ledger.number_of("finalized"))
    assert final is not None
    assert world.chain.chain.ledger.engine.code(final.header, world.chain.app_id)


def test_the_contract_names_the_root_keys_that_really_sign(world: World) -> None:
    k256, ca, quote, event_log = world.chain.kms.read("kmsInfo()", ["bytes"] * 4)
    assert k256 == world.provisioned.kms.root_public_key
    assert isinstance(ca, bytes)
    assert ca.hex() == world.provisioned.kms.key_provider.id
    assert (quote, event_log) == (b"", b"")


def test_an_upgrade_that_is_not_allowed_does_not_boot_and_one_that_is_does(world: World) -> None:
    before = world.provisioned.vms["prod9"].compose_hash
    with pytest.raises(BootRefused, match=r"^the KMS gave no keys to prod9: Compose hash not allowed$"):
        world.upgrade(NEW)
    assert {vm.compose_hash for vm in world.provisioned.vms.values()} == {before}
    assert [instance.running for instance in world.instances.values()] == [False, True]
    world.chain.allow(NEW_HASH)
    world.upgrade(NEW)
    assert {vm.compose_hash for vm in world.provisioned.vms.values()} == {NEW_HASH}
    with urllib.request.urlopen(f"{world.instances['prod7'].url}/health", timeout=30) as answer:
        assert answer.status == 200


def test_a_machine_that_is_not_allowed_gets_no_keys(world: World) -> None:
    device = world.provisioned.device_ids["prod7"]
    app = world.provisioned.app
    world.chain.remove_device(device)
    with pytest.raises(BootRefused, match=r"prod7: Device not allowed$"):
        world.upgrade(app, "prod7")
    world.chain.add_device(device)
    world.upgrade(app, "prod7")


def test_another_guest_image_gets_no_keys(world: World) -> None:
    with pytest.raises(BootRefused, match=r"prod7: OS image is not allowed$"):
        world.switch(Fault.DIFFERENT_IMAGE, "prod7")
    assert not world.faults


def test_a_world_without_a_chain_says_so() -> None:
    with World.start(("solo",)) as lonely:
        assert not lonely.has_chain
        with pytest.raises(ValueError, match="this world has no chain"):
            _ = lonely.chain
        assert "[chain]" not in lonely.config_path.read_text()


def test_what_a_cloud_asks_is_answered_from_the_contracts(world: World) -> None:
    contracts = ContractsNow(world.chain.kms)
    app_id, dark = world.chain.app_id, bytes.fromhex("d0" * 32)
    assert (contracts.chain_id, contracts.rpc_url) == (31337, world.chain.url)
    assert contracts.kms_contract == world.chain.kms.address
    assert contracts.is_registered(app_id)
    assert not contracts.is_registered(dark[:20])
    assert contracts.is_device_allowed(app_id, world.provisioned.device_ids["prod9"])
    assert not contracts.allows_any_device(app_id)
    assert not contracts.is_hash_allowed(app_id, dark)
    sent = world.chain.allow(dark)
    assert contracts.is_hash_allowed(app_id, dark)
    assert not contracts.is_hash_allowed(dark[:20], dark)
    assert contracts.is_about(sent.hash, app_id)
    assert not contracts.is_about(sent.hash, contracts.kms_contract)
    assert not contracts.is_about(dark, app_id)
    assert contracts.is_app_allowed(boot_info(world.provisioned.vms["prod9"])) == (True, "")
