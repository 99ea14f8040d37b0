"""The long chain that measurements read holds together as far as it says: headers, receipts, order, limits."""

from __future__ import annotations

import pytest
import rlp
from eth_hash.auto import keccak

from devnet_rpc import RpcFailure, rpc
from twinproof_devnet.chain.blocks import Header, ordered_root
from twinproof_devnet.chain.log_filter import Limits
from twinproof_devnet.chain.synthetic import SyntheticChain, long_chain


def test_roots_and_hashes_are_those_of_the_contents() -> None:
    chain = SyntheticChain(blocks=10_000, events=100)
    for number in (chain.event_blocks[0], chain.event_blocks[0] + 1, chain.event_blocks[-1]):
        block = chain.block(number)
        assert block is not None
        assert block.header.receipts_root == ordered_root([item.encoded for item in block.receipts])
        assert block.header.transactions_root == ordered_root([item.raw for item in block.transactions])
        assert Header.decode(block.header.encoded) == block.header
        assert block.hash == keccak(rlp.encode(rlp.decode(block.header.encoded)))


def test_a_scan_within_the_limits_finds_every_event_once_and_in_order() -> None:
    chain = SyntheticChain(blocks=20_000, events=500)
    endpoint = long_chain(Limits(max_range=1_000), chain)
    try:
        query = {"address": f"0x{chain.app.hex()}"}
        with pytest.raises(RpcFailure, match="query exceeds max block range 1000") as caught:
            rpc(endpoint.url, "eth_getLogs", {**query, "fromBlock": "0x0", "toBlock": "latest"})
        assert caught.value.code == -32005
        found = []
        for start in range(0, 20_000, 1_000):
            found += rpc(endpoint.url, "eth_getLogs", {**query, "fromBlock": hex(start), "toBlock": hex(start + 999)})
        assert [int(log["blockNumber"], 16) for log in found] == chain.event_blocks
        assert len(chain.allowed) == 2 * 63  # of 250 pairs every fourth stays, both of its hashes
        log = found[7]
        receipt = rpc(endpoint.url, "eth_getTransactionReceipt", log["transactionHash"])
        assert receipt["logs"] == [log]
        assert rpc(endpoint.url, "eth_getBlockByHash", log["blockHash"], False)["number"] == log["blockNumber"]
        with pytest.raises(RpcFailure, match="does not exist"):
            rpc(endpoint.url, "eth_call", {"to": query["address"]}, "latest")
    finally:
        endpoint.close()


def test_events_need_blocks() -> None:
    with pytest.raises(ValueError, match="more events than blocks"):
        SyntheticChain(blocks=1_000, events=900)
