"""The endpoint answers as a node does: what it shows hashes to what it claims; limits, errors and tags are a node's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import rlp
from eth_hash.auto import keccak
from trie.hexary import HexaryTrie

from devnet_rpc import RpcFailure, post, rpc
from twinproof_devnet.chain.abi import topic
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.blocks import ordered_root
from twinproof_devnet.chain.devchain import MULTICALL3, DevChain
from twinproof_devnet.chain.engine_name import EngineName
from twinproof_devnet.chain.errors import RpcError
from twinproof_devnet.chain.governance import AppContract, KmsContract
from twinproof_devnet.chain.layout import IMPLEMENTATION, mapping_slot
from twinproof_devnet.chain.ledger import Depths
from twinproof_devnet.chain.log_filter import Limits, Wording
from twinproof_devnet.chain.signing import sign

HASH, GONE, NEVER, DEVICE = b"\x11" * 32, b"\x22" * 32, b"\x99" * 32, b"\x33" * 32
HEADER = """parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom difficulty number gasLimit
gasUsed timestamp extraData mixHash nonce baseFeePerGas withdrawalsRoot blobGasUsed excessBlobGas parentBeaconBlockRoot
requestsHash"""
QUANTITIES = "difficulty number gasLimit gasUsed timestamp baseFeePerGas blobGasUsed excessBlobGas"
ADDED = f"0x{topic('ComposeHashAdded(bytes32)').hex()}"
REMOVED = f"0x{topic('ComposeHashRemoved(bytes32)').hex()}"


@pytest.fixture(scope="module")
def app(engine: EngineName) -> Iterator[AppContract]:
    chain = DevChain.start(engine=engine)
    kms = KmsContract.deploy(chain, DevAccount.create())
    app = kms.deploy_app(kms.owner, device_id=DEVICE, compose_hash=HASH)
    app.allow(GONE)
    app.remove(GONE)
    chain.settle()
    yield app
    chain.close()


@pytest.fixture(scope="module")
def url(app: AppContract) -> str:
    return app.chain.url


def octets(text: object) -> bytes:
    digits = str(text)[2:]
    return bytes.fromhex(digits.rjust(len(digits) + len(digits) % 2, "0"))


def minimal(text: object) -> bytes:
    return octets(text).lstrip(b"\x00")


def blocks(url: str) -> list[Any]:
    head = int(rpc(url, "eth_blockNumber"), 16)
    return [rpc(url, "eth_getBlockByNumber", hex(number), True) for number in range(head + 1)]


def test_every_header_hashes_to_its_blocks_hash_and_names_the_block_before(url: str) -> None:
    before = "0x" + "00" * 32
    for block in blocks(url):
        fields = [
            minimal(block[name]) if name in QUANTITIES.split() else octets(block[name]) for name in HEADER.split()
        ]
        assert f"0x{keccak(rlp.encode(fields)).hex()}" == block["hash"]
        assert block["parentHash"] == before
        before = block["hash"]


def test_receipts_and_transactions_lead_to_the_roots_of_their_block(url: str) -> None:
    seen = 0
    for block in blocks(url):
        receipts = rpc(url, "eth_getBlockReceipts", block["number"])
        encoded = []
        for receipt in receipts:
            logs = [
                [octets(log["address"]), [octets(item) for item in log["topics"]], octets(log["data"])]
                for log in receipt["logs"]
            ]
            fields = [minimal(receipt["status"]), minimal(receipt["cumulativeGasUsed"]), octets(receipt["logsBloom"])]
            encoded.append(minimal(receipt["type"]) + rlp.encode([*fields, logs]))
            assert rpc(url, "eth_getTransactionReceipt", receipt["transactionHash"]) == receipt
        assert f"0x{ordered_root(encoded).hex()}" == block["receiptsRoot"]
        raw = [_raw(item) for item in block["transactions"]]
        assert f"0x{ordered_root(raw).hex()}" == block["transactionsRoot"]
        assert [f"0x{keccak(item).hex()}" for item in raw] == [item["hash"] for item in block["transactions"]]
        assert rpc(url, "eth_getBlockReceipts", block["hash"]) == receipts
        seen += len(receipts)
    assert seen == 8


def _raw(item: dict[str, Any]) -> bytes:
    assert (item["type"], item["accessList"]) == ("0x2", [])
    names = [
        "chainId",
        "nonce",
        "maxPriorityFeePerGas",
        "maxFeePerGas",
        "gas",
        "to",
        "value",
        "input",
        "accessList",
        "yParity",
        "r",
        "s",
    ]
    fields: list[object] = []
    for name in names:
        value = item[name]
        fields.append(
            [] if name == "accessList" else octets(value or "0x") if name in {"to", "input"} else minimal(value)
        )
    return b"\x02" + bytes(rlp.encode(fields))


def proven(root: object, key: bytes, nodes: list[str]) -> bytes:
    """By the trie package."""
    decoded = [rlp.decode(octets(node)) for node in nodes]
    return HexaryTrie.get_from_proof(octets(root), keccak(key), decoded)  # type: ignore[no-any-return, no-untyped-call]


@pytest.mark.parametrize("tag", ["latest", "finalized"])
def test_proofs_verify_against_the_state_root_with_another_implementation(app: AppContract, url: str, tag: str) -> None:
    block = rpc(url, "eth_getBlockByNumber", tag, False)
    slots = [mapping_slot(key, 0) for key in (HASH, GONE, NEVER)]
    slots += [IMPLEMENTATION.to_bytes(32, "big"), (1).to_bytes(32, "big")]
    found = rpc(url, "eth_getProof", f"0x{app.address.hex()}", [f"0x{slot.hex()}" for slot in slots], block["number"])
    account = rlp.decode(proven(block["stateRoot"], app.address, found["accountProof"]))
    assert account == [
        minimal(found["nonce"]),
        minimal(found["balance"]),
        octets(found["storageHash"]),
        octets(found["codeHash"]),
    ]
    assert keccak(octets(rpc(url, "eth_getCode", f"0x{app.address.hex()}", tag))) == octets(found["codeHash"])
    implementation = rpc(url, "eth_getStorageAt", f"0x{app.address.hex()}", hex(IMPLEMENTATION), tag)
    expected = [1, 0, 0, int(implementation, 16), 0]
    assert [int(item["value"], 16) for item in found["storageProof"]] == expected
    for slot, item in zip(slots, found["storageProof"], strict=True):
        value = proven(found["storageHash"], slot, item["proof"])
        assert int.from_bytes(rlp.decode(value) if value else b"", "big") == int(item["value"], 16)
        assert item["key"] == f"0x{slot.hex()}"


def test_an_account_that_is_not_there_is_proved_absent(url: str) -> None:
    found = rpc(url, "eth_getProof", "0x" + "12" * 20, ["0x0", "0x" + "00" * 31 + "01"], "latest")
    block = rpc(url, "eth_getBlockByNumber", "latest", False)
    assert proven(block["stateRoot"], b"\x12" * 20, found["accountProof"]) == b""
    assert found["storageHash"] == "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
    assert found["codeHash"] == "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert found["storageProof"] == [
        {"key": "0x0", "value": "0x0", "proof": []},
        {"key": "0x" + "00" * 31 + "01", "value": "0x0", "proof": []},
    ]


def logs(url: str, app: AppContract, **query: object) -> list[Any]:
    found: list[Any] = rpc(
        url, "eth_getLogs", {"address": f"0x{app.address.hex()}", "fromBlock": "0x0", "toBlock": "latest", **query}
    )
    return found


def test_filters_are_by_position_with_alternatives_and_gaps(app: AppContract, url: str) -> None:
    assert [log["data"][2:] for log in logs(url, app, topics=[ADDED])] == [HASH.hex(), GONE.hex()]
    assert len(logs(url, app, topics=[[ADDED, REMOVED]])) == 3
    policy = [log for log in logs(url, app) if len(log["topics"]) == 4]
    value = f"0x{HASH.hex()}"
    assert logs(url, app, topics=[None, None, None, value]) == [log for log in policy if log["topics"][3] == value]
    assert logs(url, app, topics=[None, None, None, []]) == policy
    assert logs(url, app, address=[f"0x{'12' * 20}"]) == []
    assert logs(url, app, address=[f"0x{'12' * 20}", f"0x{app.address.hex()}"]) == logs(url, app)
    one = logs(url, app, topics=[REMOVED])[0]
    by_hash = rpc(url, "eth_getLogs", {"address": one["address"], "blockHash": one["blockHash"], "topics": [REMOVED]})
    assert by_hash == [one]
    block = app.chain.ledger.block(int(one["blockNumber"], 16))
    assert block is not None
    indexes = [log["logIndex"] for log in logs(url, app, fromBlock=hex(block.number), toBlock=hex(block.number))]
    assert indexes == ["0x0", "0x1"]


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ({"fromBlock": "0x5", "toBlock": "0x4"}, -32602, "invalid block range params"),
        ({"fromBlock": "0x05"}, -32602, "leading zero digits"),
        ({"fromBlock": 5}, -32602, "leading zero digits"),
        ({"topics": [ADDED] * 5}, -32602, "exceed max topics"),
        ({"topics": ["0x12"]}, -32602, "want 64"),
        ({"address": "0x12"}, -32602, "want 40"),
        ({"blockHash": "0x" + "12" * 32}, -32602, "cannot specify both"),
    ],
)
def test_filters_that_make_no_sense_are_refused(
    app: AppContract, url: str, query: dict[str, object], code: int, message: str
) -> None:
    with pytest.raises(RpcFailure, match=message) as caught:
        logs(url, app, **query)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("wording", "code", "range_text", "count_text"),
    [
        (Wording.LIMIT_EXCEEDED, -32005, "query exceeds max block range 10", "query returned more than 3 results"),
        (Wording.INVALID_PARAMS, -32602, r"up to a 10 block range.*\[0x0, 0x9\]", "Log response size exceeded"),
        (Wording.SERVER_ERROR, -32000, "limited to a 10 range", "more than 3 logs"),
    ],
)
def test_limits_are_said_as_the_kinds_of_providers_say_them(
    engine: EngineName, wording: Wording, code: int, range_text: str, count_text: str
) -> None:
    chain = DevChain.start(engine=engine, limits=Limits(max_range=10, max_results=3, wording=wording))
    try:
        KmsContract.deploy(chain, DevAccount.create())
        chain.mine(20)
        with pytest.raises(RpcFailure, match=range_text) as caught:
            rpc(chain.url, "eth_getLogs", {"fromBlock": "0x0", "toBlock": "0xa"})
        assert caught.value.code == code
        with pytest.raises(RpcFailure, match=count_text) as caught:
            rpc(chain.url, "eth_getLogs", {"fromBlock": "0x0", "toBlock": "0x9"})
        assert caught.value.code == code
    finally:
        chain.close()


def test_tags_trail_the_head_by_their_depths(engine: EngineName) -> None:
    chain = DevChain.start(engine=engine, depths=Depths(safe=2, finalized=5))
    try:
        assert rpc(chain.url, "eth_getBlockByNumber", "finalized", False)["number"] == "0x0"
        chain.mine(9)
        numbers = [
            int(rpc(chain.url, "eth_getBlockByNumber", tag, False)["number"], 16)
            for tag in ("latest", "pending", "safe", "finalized", "earliest")
        ]
        assert numbers == [9, 9, 7, 4, 0]
        assert rpc(chain.url, "eth_getBlockByNumber", "0xa", False) is None
    finally:
        chain.close()


def test_calls_see_the_state_of_their_block_and_reverts_carry_their_data(app: AppContract, url: str) -> None:
    removed = int(logs(url, app, topics=[REMOVED])[0]["blockNumber"], 16)
    call = {"to": f"0x{app.address.hex()}", "data": f"0x2f6622e5{GONE.hex()}"}
    assert [int(rpc(url, "eth_call", call, hex(number)), 16) for number in (removed - 1, removed)] == [1, 0]
    stranger = {**call, "from": "0x" + "12" * 20, "input": f"0xdfc77223{GONE.hex()}"}
    with pytest.raises(RpcFailure, match=r"^execution reverted$") as caught:
        rpc(url, "eth_call", stranger, "latest")
    assert (caught.value.code, caught.value.data) == (3, "0x118cdaa7" + "00" * 12 + "12" * 20)
    with pytest.raises(RpcFailure, match="header not found"):
        rpc(url, "eth_call", call, "0xffffff")
    assert rpc(url, "eth_call", {"to": "0x" + "12" * 20, "data": "0x54fd4d50"}, "latest") == "0x"


def test_an_estimate_is_enough_and_not_much_more_than_what_is_used(app: AppContract, url: str) -> None:
    call = {"from": f"0x{app.owner.address.hex()}", "to": f"0x{app.address.hex()}", "data": f"0xdfc77223{NEVER.hex()}"}
    estimate = int(rpc(url, "eth_estimateGas", call), 16)
    with pytest.raises(RpcError, match="out of gas"):
        app.chain.transact(app.owner, app.address, octets(call["data"]), gas=estimate // 2)
    with pytest.raises(RpcError, match=r"intrinsic gas too low: gas 21000, minimum needed 22\d\d\d"):
        app.chain.transact(app.owner, app.address, octets(call["data"]), gas=21_000)
    sent = app.chain.transact(app.owner, app.address, octets(call["data"]), gas=estimate)
    assert sent.receipt.status == 1
    assert sent.receipt.gas_used <= estimate <= sent.receipt.gas_used * 1.05
    app.remove(NEVER)


def test_multicall_is_where_clients_look_for_it(app: AppContract, url: str) -> None:
    from eth_abi.abi import decode, encode

    calls = [(app.address, True, octets("0x2f6622e5") + HASH), (app.address, True, octets("0xffffffff"))]
    data = octets("0x82ad56cb") + encode(["(address,bool,bytes)[]"], [calls])
    answer = rpc(url, "eth_call", {"to": f"0x{MULTICALL3.hex()}", "data": f"0x{data.hex()}"}, "latest")
    (results,) = decode(["(bool,bytes)[]"], octets(answer))
    assert results == ((True, (1).to_bytes(32, "big")), (False, b""))


def test_batches_are_answered_in_order_and_one_error_spoils_nothing(url: str) -> None:
    batch = [
        {"jsonrpc": "2.0", "id": n, "method": m} for n, m in enumerate(("eth_chainId", "eth_nothing", "net_version"))
    ]
    answers = post(url, batch)
    assert [item["id"] for item in answers] == [0, 1, 2]
    assert (answers[0]["result"], answers[1]["error"]["code"], answers[2]["result"]) == ("0x7a69", -32601, "31337")
    assert post(url, [])["error"]["code"] == -32600


def waiting(chain: DevChain, account: DevAccount, nonce: int, fee: int = 10**10, value: int = 1) -> bytes:
    return sign(
        account, chain_id=chain.chain_id, nonce=nonce, to=b"\x12" * 20, data=b"", gas=21_000, max_fee=fee, value=value
    )


def test_transactions_wait_are_replaced_are_dropped_and_are_refused(engine: EngineName) -> None:
    chain = DevChain.start(engine=engine)
    ledger, account = chain.ledger, chain.deployer
    try:
        ledger.automine = False
        first = ledger.send(waiting(chain, account, 0))
        assert rpc(chain.url, "eth_getTransactionByHash", f"0x{first.hex()}")["blockHash"] is None
        assert rpc(chain.url, "eth_getTransactionReceipt", f"0x{first.hex()}") is None
        counts = [
            rpc(chain.url, "eth_getTransactionCount", f"0x{account.address.hex()}", tag)
            for tag in ("latest", "pending")
        ]
        assert counts == ["0x0", "0x1"]
        for raw, message in (
            (waiting(chain, account, 0), "already known"),
            (waiting(chain, account, 0, 10**10 + 1), "replacement transaction underpriced"),
            (waiting(chain, DevAccount.create(), 0), "insufficient funds"),
            (b"\x03" + bytes(10), "transaction type not supported"),
            (b"\x02\xc0", "not 12 fields"),
        ):
            with pytest.raises(RpcFailure, match=message) as caught:
                rpc(chain.url, "eth_sendRawTransaction", f"0x{raw.hex()}")
            assert caught.value.code == -32000
        second = ledger.send(waiting(chain, account, 0, 2 * 10**10))
        assert rpc(chain.url, "eth_getTransactionByHash", f"0x{first.hex()}") is None
        gap = ledger.send(waiting(chain, account, 2))
        ledger.mine()
        assert [item.hash for item in ledger.head.transactions] == [second]
        assert [item.hash for item in ledger.pending] == [gap]
        ledger.drop(gap)
        assert rpc(chain.url, "eth_getTransactionByHash", f"0x{gap.hex()}") is None
        with pytest.raises(RpcFailure, match="nonce too low: next nonce 1, tx nonce 0"):
            rpc(chain.url, "eth_sendRawTransaction", f"0x{waiting(chain, account, 0, 3 * 10**10).hex()}")
    finally:
        chain.close()


@pytest.mark.parametrize("keep", [True, False])
def test_a_reorganisation_takes_blocks_back_and_their_transactions_come_again_or_not(
    engine: EngineName, keep: bool
) -> None:
    chain = DevChain.start(engine=engine)
    try:
        chain.mine(10)
        raw = waiting(chain, chain.deployer, 0)
        sent = chain.ledger.send(raw)
        chain.mine(2)
        before = [chain.ledger.block(number) for number in range(14)]
        balance = rpc(chain.url, "eth_getBalance", "0x" + "12" * 20, "latest")
        chain.reorg(3, keep=keep)
        after = [chain.ledger.block(number) for number in range(15)]
        assert after[:11] == before[:11]
        assert all(old != new for old, new in zip(before[11:], after[11:14], strict=True))
        assert after[14] is chain.ledger.head
        old = before[11]
        assert old is not None
        receipt = rpc(chain.url, "eth_getTransactionReceipt", f"0x{sent.hex()}")
        if keep:
            assert receipt["blockNumber"] == hex(11)
            assert receipt["blockHash"] != f"0x{old.hash.hex()}"
        else:
            assert receipt is None
        now = rpc(chain.url, "eth_getBalance", "0x" + "12" * 20, "latest")
        assert (balance, now) == ("0x1", "0x1" if keep else "0x0")
        assert rpc(chain.url, "eth_getBlockByHash", f"0x{old.hash.hex()}", False)["number"] == hex(11)
        where = {"blockHash": f"0x{old.hash.hex()}", "requireCanonical": True}
        with pytest.raises(RpcFailure, match="not currently canonical"):
            rpc(chain.url, "eth_getBalance", "0x" + "12" * 20, where)
        with pytest.raises(ValueError, match="depth of the finalised block"):
            chain.reorg(9)
    finally:
        chain.close()


def test_fees_follow_from_the_blocks(url: str) -> None:
    history = rpc(url, "eth_feeHistory", "0x3", "latest", [50])
    head = int(rpc(url, "eth_blockNumber"), 16)
    assert int(history["oldestBlock"], 16) == head - 2
    assert history["baseFeePerGas"][:3] == [
        rpc(url, "eth_getBlockByNumber", hex(head - 2 + index), False)["baseFeePerGas"] for index in range(3)
    ]
    assert len(history["baseFeePerGas"]) == 4
    tip = int(rpc(url, "eth_maxPriorityFeePerGas"), 16)
    assert int(rpc(url, "eth_gasPrice"), 16) == int(history["baseFeePerGas"][3], 16) + tip


def test_blocks_come_by_themselves_when_asked_to(engine: EngineName) -> None:
    chain = DevChain.start(engine=engine)
    try:
        chain.mine_every(0.01)
        while rpc(chain.url, "eth_blockNumber") == "0x0":
            pass
    finally:
        chain.close()
