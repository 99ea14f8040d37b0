"""A lying endpoint differs from an honest one of the same chain in what its fault says, and in nothing else."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from devnet_rpc import rpc
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.devchain import DevChain
from twinproof_devnet.chain.endpoint import Endpoint
from twinproof_devnet.chain.engine_name import EngineName
from twinproof_devnet.chain.governance import AppContract, KmsContract
from twinproof_devnet.chain.layout import mapping_slot
from twinproof_devnet.faults import CHAIN_FAULTS, Fault
from twinproof_devnet.world import World

HASH, OTHER = b"\x11" * 32, b"\x22" * 32
QUIET = {Fault.STALE_HEAD, Fault.EARLY_FINALITY, Fault.RPC_HTML, Fault.RATE_LIMITED, Fault.RPC_SLOW, Fault.RPC_DOWN}
"""Those that do not change what an answer about a final block says."""


@pytest.fixture(scope="module")
def app(engine: EngineName) -> Iterator[AppContract]:
    chain = DevChain.start(engine=engine)
    kms = KmsContract.deploy(chain, DevAccount.create())
    app = kms.deploy_app(kms.owner, device_id=b"\x33" * 32, compose_hash=HASH)
    app.allow(OTHER)
    chain.settle()
    yield app
    chain.close()


@pytest.fixture
def pair(app: AppContract) -> Iterator[tuple[Endpoint, Endpoint]]:
    honest, lying, *_ = app.chain.endpoints(2)
    yield honest, lying
    for fault in lying.faults:
        lying.switch(fault, on=False)


def questions(app: AppContract) -> list[tuple[str, tuple[object, ...]]]:
    block = app.chain.ledger.number_of("finalized")
    at, address = hex(block), f"0x{app.address.hex()}"
    created = list(app.chain.ledger.blocks_with_logs(0, block))[-1]
    slots = [f"0x{mapping_slot(key, 0).hex()}" for key in (HASH, b"\x99" * 32)]
    return [
        ("eth_chainId", ()),
        ("eth_getBlockByNumber", (at, False)),
        ("eth_getLogs", ({"address": address, "fromBlock": "0x0", "toBlock": at},)),
        ("eth_getBlockReceipts", (hex(created.number),)),
        ("eth_getProof", (address, slots, at)),
        ("eth_call", ({"to": address, "data": f"0x2f6622e5{HASH.hex()}"}, at)),
    ]


LIED_ABOUT = {
    Fault.WRONG_LOGS: {"eth_getLogs"},
    Fault.MISSING_LOGS: {"eth_getLogs"},
    Fault.FOREIGN_LOGS: {"eth_getLogs"},
    Fault.DISORDERED_LOGS: {"eth_getLogs"},
    Fault.DUPLICATED_LOGS: {"eth_getLogs"},
    Fault.MALFORMED_LOGS: {"eth_getLogs"},
    Fault.REORGED_LOGS: {"eth_getLogs"},
    Fault.FORGED_RECEIPTS: {"eth_getBlockReceipts"},
    Fault.FORGED_PROOF: {"eth_getProof"},
    Fault.FORGED_HEADER: {"eth_getBlockByNumber"},
    Fault.WRONG_CHAIN_ID: {"eth_chainId"},
    Fault.FALSE_CALL: {"eth_call"},
}


def test_every_fault_of_the_chain_is_tried_here() -> None:
    assert LIED_ABOUT.keys() | QUIET == CHAIN_FAULTS


@pytest.mark.parametrize("fault", sorted(LIED_ABOUT))
def test_it_lies_about_what_it_says_and_about_nothing_else(
    app: AppContract, pair: tuple[Endpoint, Endpoint], fault: Fault
) -> None:
    honest, lying = pair
    lying.switch(fault)
    different = {
        method
        for method, params in questions(app)
        if rpc(honest.url, method, *params) != rpc(lying.url, method, *params)
    }
    assert different == LIED_ABOUT[fault]


def test_a_forged_proof_turns_both_answers_round(app: AppContract, pair: tuple[Endpoint, Endpoint]) -> None:
    _, lying = pair
    lying.switch(Fault.FORGED_PROOF)
    method, params = questions(app)[4]
    assert [item["value"] for item in rpc(lying.url, method, *params)["storageProof"]] == ["0x0", "0x1"]


def test_a_stale_endpoint_knows_nothing_that_came_after(app: AppContract, pair: tuple[Endpoint, Endpoint]) -> None:
    honest, lying = pair
    lying.switch(Fault.STALE_HEAD)
    before = rpc(lying.url, "eth_blockNumber")
    sent = app.allow(b"\x44" * 32)
    assert rpc(lying.url, "eth_blockNumber") == before
    assert rpc(lying.url, "eth_getTransactionReceipt", f"0x{sent.hash.hex()}") is None
    assert rpc(lying.url, "eth_getBlockByNumber", hex(sent.block.number), False) is None
    query = {"address": f"0x{app.address.hex()}", "fromBlock": "0x0", "toBlock": hex(sent.block.number)}
    assert len(rpc(honest.url, "eth_getLogs", query)) == len(rpc(lying.url, "eth_getLogs", query)) + 2
    call = {"to": query["address"], "data": f"0x2f6622e5{'44' * 32}"}
    assert [int(rpc(one.url, "eth_call", call, "latest"), 16) for one in pair] == [1, 0]


def test_an_endpoint_can_say_too_early_that_something_is_final(
    app: AppContract, pair: tuple[Endpoint, Endpoint]
) -> None:
    honest, lying = pair
    lying.switch(Fault.EARLY_FINALITY)
    numbers: list[Any] = [int(rpc(one.url, "eth_getBlockByNumber", "finalized", False)["number"], 16) for one in pair]
    assert numbers[1] - numbers[0] == app.chain.ledger.depths.finalized
    assert numbers[1] == int(rpc(honest.url, "eth_blockNumber"), 16)


def test_bad_manners(pair: tuple[Endpoint, Endpoint]) -> None:
    _, lying = pair
    lying.switch(Fault.RPC_HTML)
    with urllib.request.urlopen(lying.url, b"{}", timeout=10) as answer:
        assert answer.headers["Content-Type"] == "text/html"
        assert answer.read().startswith(b"<!DOCTYPE html>")
    lying.switch(Fault.RPC_HTML, on=False)
    lying.switch(Fault.RATE_LIMITED)
    statuses = []
    for _ in range(4):
        try:
            rpc(lying.url, "eth_chainId")
            statuses.append(200)
        except urllib.error.HTTPError as error:
            statuses.append(error.code)
            error.close()
    assert sorted(statuses) == [200, 200, 429, 429]
    lying.switch(Fault.RATE_LIMITED, on=False)
    lying.switch(Fault.RPC_DOWN)
    with pytest.raises(OSError, match=r"without response|reset"):
        rpc(lying.url, "eth_chainId")
    lying.switch(Fault.RPC_DOWN, on=False)
    lying.switch(Fault.RPC_SLOW)
    lying.slowness = 0.2
    assert rpc(lying.url, "eth_chainId") == "0x7a69"


def test_only_faults_of_endpoints_can_be_switched_on_there(pair: tuple[Endpoint, Endpoint]) -> None:
    with pytest.raises(ValueError, match="not a fault of an RPC endpoint"):
        pair[1].switch(Fault.DEBUG_TD)


def test_a_world_has_as_many_endpoints_as_asked_for_and_one_of_them_may_lie() -> None:
    with World.start(("solo",), chain=True, endpoints=3) as world:
        world.switch(Fault.WRONG_CHAIN_ID, "rpc2")
        assert [rpc(one.url, "eth_chainId") for one in world.chain.rpc] == ["0x7a69", "0x7a6a", "0x7a69"]
        assert all(one.url in world.config_path.read_text() for one in world.chain.rpc)
        world.switch(Fault.WRONG_CHAIN_ID, "rpc2", on=False)
        assert rpc(world.chain.rpc[1].url, "eth_chainId") == "0x7a69"
        with pytest.raises(ValueError, match="there is no endpoint rpc4; there are: rpc1, rpc2, rpc3"):
            world.switch(Fault.WRONG_CHAIN_ID, "rpc4")
