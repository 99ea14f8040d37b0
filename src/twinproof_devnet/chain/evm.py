"""Executes transactions on the state after a block, with py-evm, under the rules of the Prague fork."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import rlp
from eth.abc import BlockHeaderAPI, ComputationAPI, StateAPI
from eth.consensus.context import ConsensusContext
from eth.db.atomic import AtomicDB
from eth.db.backends.memory import MemoryDB
from eth.db.chain import ChainDB
from eth.exceptions import VMError
from eth.vm.chain_context import ChainContext
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.transactions import PragueTransactionBuilder
from eth.vm.spoof import SpoofTransaction
from eth_hash.auto import keccak
from eth_typing import Address
from eth_utils.exceptions import ValidationError
from trie.hexary import HexaryTrie

from twinproof_devnet.chain.blocks import EMPTY_ROOT, Block, Header, Log, Receipt, Transaction, ordered_root
from twinproof_devnet.chain.engine import (
    FIRST_BASE_FEE,
    GAS_LIMIT,
    NO_ACCOUNT,
    Account,
    AccountProof,
    Call,
    out_of_gas,
    reverted,
)
from twinproof_devnet.chain.errors import SERVER_ERROR, RpcError

# py-evm raises this process's limit for calls 1024 deep, and json then takes a text of brackets to the end of the stack
# instead of to a RecursionError. No contract here calls deeper than a proxy does.
sys.setrecursionlimit(min(sys.getrecursionlimit(), 1000))

__all__ = ["Evm"]

_COINBASE = bytes.fromhex("4200000000000000000000000000000000000011")


class Evm:
    """The states after all blocks that were ever built, on whatever branch."""

    def __init__(self, chain_id: int) -> None:
        self.chain_id = chain_id
        self._chaindb = ChainDB(AtomicDB(MemoryDB()))
        self._context = ChainContext(chain_id)
        self._consensus = ConsensusContext(self._chaindb.db)
        self._headers: dict[bytes, BlockHeaderAPI] = {}

    @property
    def description(self) -> str:
        return f"py-evm {version('py-evm')}, in this process"

    def close(self) -> None:
        """Memory is all there was."""

    def genesis(self, balances: Mapping[bytes, int], codes: Mapping[bytes, bytes], timestamp: int) -> Block:
        """Block 0."""
        header = PragueVM.create_genesis_header(
            difficulty=0, gas_limit=GAS_LIMIT, timestamp=timestamp, base_fee_per_gas=FIRST_BASE_FEE
        )
        state = PragueVM.build_state(self._chaindb.db, header, self._context)
        for address, balance in balances.items():
            state.set_balance(Address(address), balance)
        for address, code in codes.items():
            state.set_code(Address(address), code)
        state.persist()
        return self._sealed(header.copy(state_root=state.state_root), (), ())

    def build(
        self, parent: Header, transactions: Sequence[Transaction], timestamp: int, extra_data: bytes = b""
    ) -> tuple[Block, tuple[Transaction, ...]]:
        """The next block, and the transactions that cannot be in it (wrong nonce, no balance)."""
        header = PragueVM.create_header_from_parent(
            self._headers[parent.hash],
            timestamp=timestamp,
            gas_limit=GAS_LIMIT,
            coinbase=_COINBASE,
            extra_data=extra_data,
            mix_hash=keccak(parent.hash + extra_data),
        )
        if not transactions:
            return self._sealed(header, (), ()), ()
        machine = PragueVM(header, self._chaindb, self._context, self._consensus)
        included, refused, receipts = [], [], []
        for transaction in transactions:
            decoded = PragueTransactionBuilder.decode(transaction.raw)
            try:
                receipt, computation = machine.apply_transaction(header, decoded)
            except (ValidationError, VMError):
                refused.append(transaction)
                continue
            used = receipt.gas_used - header.gas_used
            header = machine.add_receipt_to_header(header, receipt)
            included.append(transaction)
            receipts.append(
                Receipt(
                    kind=transaction.kind,
                    status=int(computation.is_success),
                    cumulative_gas_used=receipt.gas_used,
                    gas_used=used,
                    effective_gas_price=transaction.effective_gas_price(header.base_fee_per_gas or 0),
                    logs=tuple(
                        Log(bytes(log.address), tuple(topic.to_bytes(32, "big") for topic in log.topics), log.data)
                        for log in receipt.logs
                    ),
                    contract=bytes(computation.msg.storage_address) if transaction.to is None else None,
                )
            )
        machine.state.persist()
        return self._sealed(header.copy(state_root=machine.state.state_root), included, receipts), tuple(refused)

    def _sealed(
        self, header: BlockHeaderAPI, transactions: Sequence[Transaction], receipts: Sequence[Receipt]
    ) -> Block:
        header = header.copy(
            transaction_root=ordered_root([item.raw for item in transactions]),
            receipt_root=ordered_root([item.encoded for item in receipts]),
        )
        block = Block(Header.decode(rlp.encode(header)), tuple(transactions), tuple(receipts))
        self._headers[block.hash] = header
        self._chaindb.db[block.hash] = block.header.encoded
        return block

    def _state(self, header: Header, *, free: bool = False) -> StateAPI:
        found = self._headers[header.hash]
        return PragueVM.build_state(self._chaindb.db, found.copy(base_fee_per_gas=0) if free else found, self._context)

    def call(self, header: Header, call: Call) -> bytes:
        """What the call returns on the state after this block. Raises RpcError when it is reverted or fails."""
        computation = self._run(header, call)
        if computation.is_error:
            raise _failure(bytes(computation.output), computation.error)
        return bytes(computation.output)

    def _run(self, header: Header, call: Call) -> ComputationAPI:
        state, sender = self._state(header, free=True), Address(call.sender)
        if state.get_balance(sender) < call.value:
            raise RpcError(SERVER_ERROR, "insufficient funds for transfer")
        unsigned = PragueTransactionBuilder.create_unsigned_transaction(
            nonce=state.get_nonce(sender),
            gas_price=0,
            gas=min(call.gas, GAS_LIMIT),
            to=Address(call.to or b""),
            value=call.value,
            data=call.data,
        )
        try:
            spoofed: object = SpoofTransaction(unsigned, from_=sender)
            return state.apply_transaction(spoofed)  # type: ignore[arg-type]  # it stands for one, without signature
        except ValidationError as error:
            raise RpcError(SERVER_ERROR, str(error)) from None

    def estimate(self, header: Header, call: Call) -> int:
        """The least gas with which it succeeds, or a little more. Raises RpcError when it never does."""
        computation = self._run(header, call)
        if computation.is_error:
            raise _failure(bytes(computation.output), computation.error)
        low, high = 21_000 - 1, min(call.gas, GAS_LIMIT)
        unsigned_used = high - computation.get_gas_remaining()
        guess = min(high, unsigned_used * 64 // 63 + 3_000)
        while high - low > max(1, low // 64):
            try:
                failed = self._run(header, Call(call.sender, call.to, call.data, call.value, guess)).is_error
            except RpcError:
                failed = True
            low, high = (guess, high) if failed else (low, guess)
            guess = (low + high) // 2 if failed or high > unsigned_used * 2 else max(low + 1, high * 63 // 64)
        return high

    def account(self, header: Header, address: bytes) -> Account:
        """NO_ACCOUNT when there is none."""
        encoded = HexaryTrie(self._chaindb.db, header.state_root)[keccak(address)]
        if not encoded:
            return NO_ACCOUNT
        nonce, balance, storage_root, code_hash = rlp.decode(encoded)
        return Account(int.from_bytes(nonce, "big"), int.from_bytes(balance, "big"), storage_root, code_hash)

    def code(self, header: Header, address: bytes) -> bytes:
        return bytes(self._state(header).get_code(Address(address)))

    def storage(self, header: Header, address: bytes, slot: int) -> int:
        return int(self._state(header).get_storage(Address(address), slot))

    def proof(self, header: Header, address: bytes, slots: Sequence[bytes]) -> AccountProof:
        """Slots have 32 bytes."""
        account = self.account(header, address)
        nodes, _ = self._prove(header.state_root, address)
        found = []
        for slot in slots:
            path, value = self._prove(account.storage_root, slot)
            found.append((int.from_bytes(rlp.decode(value) if value else b"", "big"), path))
        return AccountProof(account, nodes, tuple(found))

    def _prove(self, root: bytes, key: bytes) -> tuple[tuple[bytes, ...], bytes]:
        """The RLP nodes on the way to keccak(key) in the trie with this root, and the value there, empty if none."""
        if root == EMPTY_ROOT:
            return (), b""
        trie = HexaryTrie(self._chaindb.db, root)
        path = keccak(key)
        nodes = [rlp.encode(node) for node in trie.get_proof(path)]  # type: ignore[no-untyped-call]
        return tuple(node for index, node in enumerate(nodes) if index == 0 or len(node) >= 32), trie[path]


def _failure(output: bytes, error: Exception) -> RpcError:
    """As geth words it."""
    kind = type(error).__name__
    if output or kind == "Revert":
        return reverted(output)
    return out_of_gas() if kind == "OutOfGas" else RpcError(SERVER_ERROR, f"{kind}: {error}")
