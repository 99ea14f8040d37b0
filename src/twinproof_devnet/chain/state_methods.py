"""The methods that need the state after a block: calls, balances, code, storage, proofs, sending."""

from __future__ import annotations

from twinproof_devnet.chain.blocks import Block
from twinproof_devnet.chain.engine import GAS_LIMIT, Call
from twinproof_devnet.chain.errors import INVALID_PARAMS, RpcError
from twinproof_devnet.chain.ledger import Ledger
from twinproof_devnet.chain.log_filter import Limits
from twinproof_devnet.chain.params import Params, number, octets
from twinproof_devnet.chain.rpc import BlockMethods
from twinproof_devnet.chain.shapes import data, quantity

__all__ = ["NodeMethods"]

TIP = 1_000_000
MAX_FEE_HISTORY = 1024
MAX_PROOF_KEYS = 1024


class NodeMethods(BlockMethods):
    """All methods that there are."""

    def __init__(self, ledger: Ledger, limits: Limits) -> None:
        super().__init__(ledger, limits)
        self.ledger = ledger
        self.methods |= {
            "eth_call": self._call,
            "eth_estimateGas": self._estimate,
            "eth_gasPrice": lambda _: quantity(self.blocks.head.header.next_base_fee + TIP),
            "eth_maxPriorityFeePerGas": lambda _: quantity(TIP),
            "eth_feeHistory": self._fee_history,
            "eth_getBalance": self._balance,
            "eth_getCode": self._code,
            "eth_getStorageAt": self._storage,
            "eth_getTransactionCount": self._nonce,
            "eth_sendRawTransaction": lambda params: data(ledger.send(params.octets(0))),
            "eth_getProof": self._proof,
        }

    def _call(self, params: Params) -> object:
        _no_overrides(params)
        return data(self.ledger.engine.call(self.at(params.at(1)).header, _read_call(params)))

    def _estimate(self, params: Params) -> object:
        _no_overrides(params)
        return quantity(self.ledger.engine.estimate(self.at(params.at(1)).header, _read_call(params)))

    def _balance(self, params: Params) -> object:
        return quantity(self.ledger.engine.account(self.at(params.at(1)).header, params.octets(0, 20)).balance)

    def _code(self, params: Params) -> object:
        return data(self.ledger.engine.code(self.at(params.at(1)).header, params.octets(0, 20)))

    def _storage(self, params: Params) -> object:
        slot = int.from_bytes(_key(params.required(1)), "big")
        word = self.ledger.engine.storage(self.at(params.at(2)).header, params.octets(0, 20), slot)
        return data(word.to_bytes(32, "big"))

    def _nonce(self, params: Params) -> object:
        address = params.octets(0, 20)
        if params.at(1) == "pending":
            return quantity(self.ledger.next_nonce(address))
        return quantity(self.ledger.engine.account(self.at(params.at(1)).header, address).nonce)

    def _proof(self, params: Params) -> object:
        address, keys = params.octets(0, 20), params.required(1)
        if not isinstance(keys, list) or len(keys) > MAX_PROOF_KEYS:
            raise RpcError(INVALID_PARAMS, f"invalid argument 1: not a list, or more than {MAX_PROOF_KEYS} keys")
        slots = [_key(key) for key in keys]
        header = self.at(params.at(2)).header
        proof = self.ledger.engine.proof(header, address, slots)
        account = proof.account
        return {
            "address": data(address),
            "accountProof": [data(node) for node in proof.nodes],
            "balance": quantity(account.balance),
            "codeHash": data(account.code_hash),
            "nonce": quantity(account.nonce),
            "storageHash": data(account.storage_root),
            "storageProof": [
                {
                    "key": key if len(key) == 66 else quantity(int.from_bytes(slot, "big")),
                    "value": quantity(value),
                    "proof": [data(node) for node in nodes],
                }
                for key, slot, (value, nodes) in zip(keys, slots, proof.slots, strict=True)
            ],
        }

    def _fee_history(self, params: Params) -> object:
        value = params.required(0)
        count = value if isinstance(value, int) else number(value, "argument 0")
        newest = self.at(params.at(1))
        percentiles = params.at(2)
        oldest = max(0, newest.number - min(count, MAX_FEE_HISTORY) + 1)
        blocks = [block for block in map(self.blocks.block, range(oldest, newest.number + 1)) if block is not None]
        fees = [block.header.base_fee_per_gas for block in blocks] + [newest.header.next_base_fee]
        answer: dict[str, object] = {
            "oldestBlock": quantity(oldest),
            "baseFeePerGas": [quantity(fee) for fee in fees],
            "gasUsedRatio": [block.header.gas_used / block.header.gas_limit for block in blocks],
            "baseFeePerBlobGas": [quantity(1) for _ in fees],
            "blobGasUsedRatio": [0 for _ in blocks],
        }
        if isinstance(percentiles, list) and percentiles:
            answer["reward"] = [[quantity(_tip(block)) for _ in percentiles] for block in blocks]
        return answer


def _tip(block: Block) -> int:
    """The same for all percentiles: blocks have one transaction, as a rule."""
    tips = [receipt.effective_gas_price - block.header.base_fee_per_gas for receipt in block.receipts]
    return min(tips, default=TIP)


def _no_overrides(params: Params) -> None:
    if params.at(2):
        raise RpcError(INVALID_PARAMS, "state overrides are not supported")


def _key(value: object) -> bytes:
    """A slot: up to 32 bytes of hex, shorter ones are padded on the left."""
    if isinstance(value, str) and value.startswith("0x") and 2 < len(value) <= 66:
        return octets("0x" + value[2:].rjust(64, "0"), "storage key", 32)
    raise RpcError(INVALID_PARAMS, "unable to decode storage key: hex string invalid")


def _read_call(params: Params) -> Call:
    members = params.members(0)
    chosen = members.get("input", members.get("data"))
    gas, value = members.get("gas"), members.get("value")
    to, sender = members.get("to"), members.get("from")
    return Call(
        sender=bytes(20) if sender is None else octets(sender, "from", 20),
        to=None if to is None else octets(to, "to", 20),
        data=b"" if chosen is None else octets(chosen, "data"),
        value=0 if value is None else number(value, "value"),
        gas=GAS_LIMIT if gas is None else min(GAS_LIMIT, number(gas, "gas")),
    )
