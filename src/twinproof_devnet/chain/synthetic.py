"""A long chain that nobody mined: a million blocks in which one app logged ten thousand events, for measuring readers.

Real are headers (their hash is the hash of their fields), receipts and their roots, blooms, order, limits. Not real are
links between blocks (a parent hash leads nowhere), signatures, and state: there is none, and the methods that need it
do not exist here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from threading import RLock

import rlp
from eth_hash.auto import keccak

from twinproof_devnet.chain.abi import call_data, topic
from twinproof_devnet.chain.blocks import EMPTY_ROOT, EMPTY_UNCLES, Block, Header, Log, Receipt, Transaction, bloom_of
from twinproof_devnet.chain.endpoint import Endpoint
from twinproof_devnet.chain.ledger import Depths
from twinproof_devnet.chain.log_filter import Limits
from twinproof_devnet.chain.rpc import BlockMethods

__all__ = ["SyntheticChain", "long_chain"]

_START_SECONDS = 1_700_000_000
_BLOCK_SECONDS = 2
_GAS = 54_611
_ADDED, _REMOVED = topic("ComposeHashAdded(bytes32)"), topic("ComposeHashRemoved(bytes32)")
_NO_REQUESTS = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
_ZERO = bytes(32)
_OWNER = keccak(b"twinproof devnet synthetic owner")[:20]
_KEPT = 4
"""Every so many hashes, one is never removed."""


def _root_of_one(item: bytes) -> bytes:
    """Of the trie with only this item, at index 0: a leaf."""
    return keccak(rlp.encode([b"\x20\x80", item]))


class SyntheticChain:
    """Everything follows from the three numbers. Event i is in the block `event_blocks[i]`, alone."""

    def __init__(
        self,
        *,
        blocks: int = 1_000_000,
        events: int = 10_000,
        first: int = 1_000,
        chain_id: int = 31337,
        depths: Depths = Depths(),  # noqa: B008  (frozen)
    ) -> None:
        """`first` is the block of the first event. Raises ValueError when events do not fit in blocks."""
        if not 0 < first < first + 2 * events <= blocks:
            raise ValueError("more events than blocks to have them, one in each at most")
        self.lock: AbstractContextManager[object] = RLock()
        self.app = keccak(b"twinproof devnet synthetic app")[:20]
        self.chain_id, self.depths, self._last = chain_id, depths, blocks
        step = (blocks - first) // events
        self.event_blocks = [
            first + index * step + int.from_bytes(keccak(index.to_bytes(8, "big"))[:4], "big") % step
            for index in range(events)
        ]
        self._made: dict[int, Block] = {}
        self._numbers: dict[bytes, int] = {}
        self._transactions: dict[bytes, int] = {}

    @cached_property
    def allowed(self) -> frozenset[bytes]:
        """The compose hashes that are allowed at the end."""
        found: set[bytes] = set()
        for index in range(len(self.event_blocks)):
            log = self._log(index)
            (found.add if log.topics[0] == _ADDED else found.discard)(log.data)
        return frozenset(found)

    def _log(self, index: int) -> Log:
        """A hash is added, and removed by the event after it, but for some."""
        pair, second = divmod(index, 2)
        removed = second and pair % _KEPT
        return Log(self.app, (_REMOVED if removed else _ADDED,), keccak(b"hash %d" % (2 * pair if removed else index)))

    def prepare(self) -> None:
        """Make every block with an event, so that a measurement is about the reader and not about this."""
        for number in self.event_blocks:
            self.block(number)

    @property
    def head(self) -> Block:
        return self._block(self._last)

    def advance(self, count: int) -> None:
        """So many more blocks, without events."""
        self._last += count

    def number_of(self, tag: str) -> int:
        behind = {"safe": self.depths.safe, "finalized": self.depths.finalized}.get(tag, 0)
        return 0 if tag == "earliest" else self._last - behind

    def block(self, number: int) -> Block | None:
        return self._block(number) if 0 <= number <= self._last else None

    def _block(self, number: int) -> Block:
        if number not in self._made:
            block = self._new_block(number)
            self._made[number] = block
            self._numbers[block.hash] = number
            for transaction in block.transactions:
                self._transactions[transaction.hash] = number
        return self._made[number]

    def block_by_hash(self, block_hash: bytes) -> Block | None:
        """Of those that were asked for by number, or have logs that were asked for."""
        number = self._numbers.get(block_hash)
        return None if number is None else self._block(number)

    def is_canonical(self, block: Block) -> bool:
        return self._made.get(block.number) is block

    def blocks_with_logs(self, first: int, last: int) -> Iterator[Block]:
        found = self.event_blocks[bisect_left(self.event_blocks, first) : bisect_right(self.event_blocks, last)]
        return map(self._block, found)

    def transaction(self, transaction_hash: bytes) -> tuple[Transaction, Block | None, int] | None:
        number = self._transactions.get(transaction_hash)
        if number is None:
            return None
        block = self._block(number)
        return block.transactions[0], block, 0

    def _new_block(self, number: int) -> Block:
        index = bisect_left(self.event_blocks, number)
        if index == len(self.event_blocks) or self.event_blocks[index] != number:
            return Block(_header(number, EMPTY_ROOT, EMPTY_ROOT, bytes(256), 0))
        log = self._log(index)
        transaction = self._transaction(index, log)
        receipt = Receipt(0, 1, _GAS, _GAS, 1, (log,), None)
        roots = _root_of_one(transaction.raw), _root_of_one(receipt.encoded)
        return Block(_header(number, *roots, bloom_of([log]), _GAS), (transaction,), (receipt,))

    def _transaction(self, nonce: int, log: Log) -> Transaction:
        name = "addComposeHash(bytes32)" if log.topics[0] == _ADDED else "removeComposeHash(bytes32)"
        data, v = call_data(name, log.data), 35 + 2 * self.chain_id
        raw = bytes(rlp.encode([nonce, 1, _GAS, self.app, 0, data, v, 1, 1]))
        return Transaction(
            keccak(raw), raw, 0, _OWNER, self.app, nonce, _GAS, 0, data, self.chain_id, 1, 1, (), v, 1, 1
        )


def _header(number: int, transactions: bytes, receipts: bytes, bloom: bytes, gas: int) -> Header:
    return Header(
        parent_hash=keccak(b"before %d" % number),
        uncles_hash=EMPTY_UNCLES,
        miner=bytes(20),
        state_root=EMPTY_ROOT,
        transactions_root=transactions,
        receipts_root=receipts,
        bloom=bloom,
        difficulty=0,
        number=number,
        gas_limit=30_000_000,
        gas_used=gas,
        timestamp=_START_SECONDS + number * _BLOCK_SECONDS,
        extra_data=b"synthetic",
        mix_hash=_ZERO,
        nonce=bytes(8),
        base_fee_per_gas=1,
        withdrawals_root=EMPTY_ROOT,
        blob_gas_used=0,
        excess_blob_gas=0,
        parent_beacon_block_root=_ZERO,
        requests_hash=_NO_REQUESTS,
    )


def long_chain(limits: Limits = Limits(), chain: SyntheticChain | None = None) -> Endpoint:  # noqa: B008  (frozen)
    """An endpoint of such a chain, with all blocks made. Close it."""
    chain = chain or SyntheticChain()
    chain.prepare()
    return Endpoint(BlockMethods(chain, limits))
