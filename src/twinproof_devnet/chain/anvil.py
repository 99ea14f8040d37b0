"""Executes transactions with anvil, of Foundry: another EVM than py-evm, by other people, that knows nothing of us.

Blocks, receipts, states and proofs are anvil's; every header is hashed again here, and has to have the hash that anvil
says. Its states are not in all those of a real chain: block 0 has the root of an empty state, so nothing in it can be
proved; a word that becomes zero stays in its trie, as a leaf of zero; and there are system contracts and a deployer of
its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

from eth_hash.auto import keccak

from twinproof_devnet.chain.anvil_process import AnvilProcess, anvil_program
from twinproof_devnet.chain.blocks import EMPTY_ROOT, Block, Header, Log, Receipt, Transaction
from twinproof_devnet.chain.engine import (
    FIRST_BASE_FEE,
    GAS_LIMIT,
    Account,
    AccountProof,
    Call,
    out_of_gas,
    reverted,
)
from twinproof_devnet.chain.engine_name import EngineError
from twinproof_devnet.chain.errors import REVERTED, SERVER_ERROR, RpcError
from twinproof_devnet.chain.params import number, octets

__all__ = ["Anvil"]

Json = Mapping[str, object]
_NAMES = {
    "uncles_hash": "sha3Uncles",
    "bloom": "logsBloom",
}
_COINBASE = bytes.fromhex("4200000000000000000000000000000000000011")
_HARDFORK = "prague"
_EPOCH = 4  # its own tags are one and two epochs behind, as far as ours are; only who asks it directly sees them


class Anvil:
    """One process, one branch: states before a reorganisation are gone, as in a node that keeps no side chains."""

    def __init__(self, chain_id: int) -> None:
        """Raises EngineError when it is not installed."""
        self.chain_id = chain_id
        self._program = anvil_program()
        self.process: AnvilProcess | None = None
        self._hashes: list[bytes] = []
        self._description = "anvil"

    @property
    def description(self) -> str:
        return self._description

    def close(self) -> None:
        """Ends the process."""
        if self.process is not None:
            self.process.close()
            self.process = None

    def ask(self, method: str, *params: object) -> object:
        """What anvil itself answers. Raises RpcError in its own words, EngineError when it ended."""
        if self.process is None:
            raise EngineError("anvil is not running")
        return self.process.call(method, *params)

    def genesis(self, balances: Mapping[bytes, int], codes: Mapping[bytes, bytes], timestamp: int) -> Block:
        """Starts the process. Raises EngineError."""
        accounts = {f"0x{address.hex()}": {"balance": hex(balances.get(address, 0))} for address in {*balances, *codes}}
        for address, code in codes.items():
            accounts[f"0x{address.hex()}"]["code"] = f"0x{code.hex()}"
        forks = ("shanghaiTime", "cancunTime", "pragueTime")
        genesis = {
            "config": {"chainId": self.chain_id, "terminalTotalDifficulty": 0, **dict.fromkeys(forks, 0)},
            "alloc": accounts,
            "difficulty": "0x0",
            "gasLimit": hex(GAS_LIMIT),
            "timestamp": hex(timestamp),
        }
        options = {
            "--chain-id": self.chain_id,
            "--hardfork": _HARDFORK,
            "--gas-limit": GAS_LIMIT,
            "--block-base-fee-per-gas": FIRST_BASE_FEE,
            "--timestamp": timestamp,
            "--accounts": 0,
            "--order": "fifo",
            "--slots-in-an-epoch": _EPOCH,
        }
        words = [word for name, value in options.items() for word in (name, str(value))]
        self.process = AnvilProcess(self._program, genesis, "--no-mining", *words)
        version = str(self.ask("web3_clientVersion")).replace("/v", " ")
        network = "a network namespace of its own" if self.process.alone else "this network, on loopback"
        self._description = f"{version}, in {network}"
        return self._mined(0, {})

    def build(
        self, parent: Header, transactions: Sequence[Transaction], timestamp: int, extra_data: bytes = b""
    ) -> tuple[Block, tuple[Transaction, ...]]:
        """What waits in anvil is only what is sent here: the chain keeps its own pool."""
        back = len(self._hashes) - 1 - parent.number
        if back:
            self.ask("anvil_rollback", back)
            del self._hashes[-back:]
        if self._hashes[-1] != parent.hash:
            raise EngineError("anvil is on another branch")
        miner = keccak(extra_data)[:20] if extra_data else _COINBASE  # it takes no extra data of ours
        self.ask("anvil_setCoinbase", f"0x{miner.hex()}")
        self.ask("anvil_setNextBlockBaseFeePerGas", hex(parent.next_base_fee))
        self.ask("evm_setNextBlockTimestamp", timestamp)
        sent = {transaction.hash: transaction for transaction in transactions if self._send(transaction)}
        self.ask("evm_mine")
        self.ask("anvil_dropAllTransactions")
        block = self._mined(parent.number + 1, sent)
        included = {transaction.hash for transaction in block.transactions}
        return block, tuple(transaction for transaction in transactions if transaction.hash not in included)

    def _send(self, transaction: Transaction) -> bool:
        try:
            self.ask("eth_sendRawTransaction", f"0x{transaction.raw.hex()}")
        except RpcError:
            return False
        return True

    def _mined(self, block_number: int, sent: Mapping[bytes, Transaction]) -> Block:
        shown = _object(self.ask("eth_getBlockByNumber", hex(block_number), False))
        header = _header(shown)
        if header.hash != octets(shown["hash"], "hash"):
            raise EngineError(f"block {block_number} of anvil has another hash than its fields")
        hashes = [octets(item, "transaction") for item in _list(shown["transactions"])]
        receipts = _list(self.ask("eth_getBlockReceipts", hex(block_number))) if hashes else []
        self._hashes.append(header.hash)
        return Block(header, tuple(sent[item] for item in hashes), tuple(_receipt(_object(item)) for item in receipts))

    def _at(self, header: Header) -> str:
        """The block's number, as long as it is the block of that number."""
        if header.number >= len(self._hashes) or self._hashes[header.number] != header.hash:
            raise RpcError(SERVER_ERROR, f"missing trie node: the state of block 0x{header.hash.hex()} is gone")
        return hex(header.number)

    def call(self, header: Header, call: Call) -> bytes:
        """What the call returns on the state after this block. Raises RpcError when it is reverted or fails."""
        return octets(self._executed("eth_call", header, call), "result")

    def estimate(self, header: Header, call: Call) -> int:
        """The least gas with which it succeeds, or a little more. Raises RpcError when it never does."""
        return number(self._executed("eth_estimateGas", header, call), "estimate")

    def _executed(self, method: str, header: Header, call: Call) -> object:
        question = {
            "from": f"0x{call.sender.hex()}",
            "data": f"0x{call.data.hex()}",
            "value": hex(call.value),
            "gas": hex(min(call.gas, GAS_LIMIT)),
        }
        if call.to is not None:
            question["to"] = f"0x{call.to.hex()}"
        try:
            return self.ask(method, question, self._at(header))
        except RpcError as error:
            raise _in_words_of_geth(error) from None

    def account(self, header: Header, address: bytes) -> Account:
        """NO_ACCOUNT when there is none."""
        return self.proof(header, address, ()).account

    def code(self, header: Header, address: bytes) -> bytes:
        return octets(self.ask("eth_getCode", f"0x{address.hex()}", self._at(header)), "code")

    def storage(self, header: Header, address: bytes, slot: int) -> int:
        word = self.ask("eth_getStorageAt", f"0x{address.hex()}", f"0x{slot:064x}", self._at(header))
        return int.from_bytes(octets(word, "word", 32), "big")

    def proof(self, header: Header, address: bytes, slots: Sequence[bytes]) -> AccountProof:
        """Slots have 32 bytes."""
        keys = [f"0x{slot.hex()}" for slot in slots]
        shown = _object(self.ask("eth_getProof", f"0x{address.hex()}", keys, self._at(header)))
        account = Account(
            number(shown["nonce"], "nonce"),
            number(shown["balance"], "balance"),
            octets(shown["storageHash"], "storageHash", 32),
            octets(shown["codeHash"], "codeHash", 32),
        )
        by_key = {octets(item["key"], "key", 32): item for item in map(_object, _list(shown["storageProof"]))}
        empty = account.storage_root == EMPTY_ROOT  # anvil then shows the root's own node
        found = [
            (number(item["value"], "value"), () if empty else _nodes(item["proof"]))
            for item in (by_key[slot] for slot in slots)
        ]
        return AccountProof(account, _nodes(shown["accountProof"]), tuple(found))


def _header(shown: Json) -> Header:
    values: dict[str, bytes | int] = {}
    for field in fields(Header):
        first, *rest = field.name.split("_")
        name = _NAMES.get(field.name) or first + "".join(word.capitalize() for word in rest)
        value = shown[name]
        values[field.name] = number(value, name) if field.type == "int" else octets(value, name)
    return Header(**values)  # type: ignore[arg-type]  # each of its field's type


def _receipt(shown: Json) -> Receipt:
    created = shown.get("contractAddress")
    return Receipt(
        kind=number(shown["type"], "type"),
        status=number(shown["status"], "status"),
        cumulative_gas_used=number(shown["cumulativeGasUsed"], "cumulativeGasUsed"),
        gas_used=number(shown["gasUsed"], "gasUsed"),
        effective_gas_price=number(shown["effectiveGasPrice"], "effectiveGasPrice"),
        logs=tuple(_log(_object(log)) for log in _list(shown["logs"])),
        contract=None if created is None else octets(created, "contractAddress", 20),
    )


def _log(shown: Json) -> Log:
    topics = tuple(octets(item, "topic", 32) for item in _list(shown["topics"]))
    return Log(octets(shown["address"], "address", 20), topics, octets(shown["data"], "data"))


def _nodes(shown: object) -> tuple[bytes, ...]:
    return tuple(octets(node, "node") for node in _list(shown))


def _object(value: object) -> Json:
    if not isinstance(value, dict):
        raise EngineError(f"anvil answered {value!r:.80} instead of an object")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise EngineError(f"anvil answered {value!r:.80} instead of a list")
    return value


def _in_words_of_geth(error: RpcError) -> RpcError:
    if error.code == REVERTED:
        return reverted(octets(error.data, "data") if isinstance(error.data, str) else b"")
    said = error.message.lower()
    if "outofgas" in said or "out of gas" in said:
        return out_of_gas()
    if "insufficient funds" in said:
        return RpcError(SERVER_ERROR, "insufficient funds for transfer")
    return RpcError(SERVER_ERROR, error.message)
