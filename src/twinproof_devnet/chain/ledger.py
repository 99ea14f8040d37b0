"""The chain itself: which blocks are canonical, which transactions wait, what is final; reorganised on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from threading import RLock

from twinproof_devnet.chain.blocks import Block, Transaction
from twinproof_devnet.chain.engine import Engine
from twinproof_devnet.chain.errors import SERVER_ERROR, RpcError
from twinproof_devnet.chain.transactions import decode

__all__ = ["Depths", "Ledger"]

PRICE_BUMP_PERCENT = 10


@dataclass(frozen=True, slots=True)
class Depths:
    """How many blocks the tags are behind the head."""

    safe: int = 4
    finalized: int = 8


class Ledger:
    """One transaction makes one block, at once, while `automine` is on. Every method takes the lock."""

    def __init__(
        self,
        engine: Engine,
        *,
        balances: Mapping[bytes, int],
        codes: Mapping[bytes, bytes],
        depths: Depths,
        clock: Callable[[], int],
    ) -> None:
        self.lock = RLock()
        self.automine = True
        self.engine, self.depths, self.clock = engine, depths, clock
        genesis = engine.genesis(balances, codes, clock())
        self._canonical = [genesis]
        self._by_hash = {genesis.hash: genesis}
        self._places: dict[bytes, tuple[Block, int]] = {}
        self._pool: dict[bytes, Transaction] = {}
        self._branches = 0
        self.removed: list[Block] = []
        """Blocks that a reorganisation took back, newest first."""

    @property
    def chain_id(self) -> int:
        return self.engine.chain_id

    @property
    def head(self) -> Block:
        return self._canonical[-1]

    @property
    def pending(self) -> tuple[Transaction, ...]:
        """In the order of arrival."""
        return tuple(self._pool.values())

    def number_of(self, tag: str) -> int:
        """Of `earliest`, `latest`, `pending` (as latest), `safe` or `finalized`. Raises KeyError for others."""
        head = self.head.number
        return {
            "earliest": 0,
            "latest": head,
            "pending": head,
            "safe": max(0, head - self.depths.safe),
            "finalized": max(0, head - self.depths.finalized),
        }[tag]

    def block(self, number: int) -> Block | None:
        return self._canonical[number] if 0 <= number < len(self._canonical) else None

    def block_by_hash(self, block_hash: bytes) -> Block | None:
        """Also one that is canonical no longer."""
        return self._by_hash.get(block_hash)

    def is_canonical(self, block: Block) -> bool:
        return self.block(block.number) is block

    def blocks_with_logs(self, first: int, last: int) -> Iterator[Block]:
        """In order, both ends included."""
        for block in self._canonical[max(0, first) : last + 1]:
            if any(receipt.logs for receipt in block.receipts):
                yield block

    def transaction(self, transaction_hash: bytes) -> tuple[Transaction, Block | None, int] | None:
        """With its block and its index there, or no block while it waits."""
        if transaction_hash in self._pool:
            return self._pool[transaction_hash], None, 0
        place = self._places.get(transaction_hash)
        return None if place is None else (place[0].transactions[place[1]], *place)

    def next_nonce(self, address: bytes) -> int:
        """After what waits."""
        with self.lock:
            nonce = self.engine.account(self.head.header, address).nonce
            waiting = {item.nonce for item in self._pool.values() if item.sender == address}
            while nonce in waiting:
                nonce += 1
            return nonce

    def send(self, raw: bytes) -> bytes:
        """The transaction's hash. Raises RpcError, with the words of geth, when it cannot wait here."""
        with self.lock:
            transaction = decode(raw)
            self._check(transaction)
            self._pool[transaction.hash] = transaction
            if self.automine:
                self.mine()
            return transaction.hash

    def _check(self, transaction: Transaction) -> None:
        problem = self._problem(transaction)
        if problem:
            raise RpcError(SERVER_ERROR, problem)
        for other in self.pending:
            if (other.sender, other.nonce) == (transaction.sender, transaction.nonce):
                if transaction.gas_price * 100 < other.gas_price * (100 + PRICE_BUMP_PERCENT):
                    raise RpcError(SERVER_ERROR, "replacement transaction underpriced")
                del self._pool[other.hash]

    def _problem(self, transaction: Transaction) -> str:
        """Why it can never be in a block, or nothing."""
        account = self.engine.account(self.head.header, transaction.sender)
        cost = transaction.gas * transaction.gas_price + transaction.value
        problems = {
            f"invalid chain id for signer: have {transaction.chain_id} want {self.chain_id}": (
                transaction.chain_id not in {None, self.chain_id}
            ),
            "already known": transaction.hash in self._pool or transaction.hash in self._places,
            f"nonce too low: next nonce {account.nonce}, tx nonce {transaction.nonce}": (
                transaction.nonce < account.nonce
            ),
            f"insufficient funds for gas * price + value: balance {account.balance}, tx cost {cost}": (
                cost > account.balance
            ),
            "exceeds block gas limit": transaction.gas > self.head.header.gas_limit,
            f"intrinsic gas too low: gas {transaction.gas}, minimum needed {transaction.least_gas}": (
                transaction.gas < transaction.least_gas
            ),
        }
        return next((text for text, there in problems.items() if there), "")

    def drop(self, transaction_hash: bytes) -> None:
        """Forget a waiting transaction. Raises KeyError when it does not wait."""
        with self.lock:
            del self._pool[transaction_hash]

    def mine(self, count: int = 1) -> Block:
        """So many blocks; what waits is in the first. The new head."""
        with self.lock:
            for _ in range(count):
                self._append(b"")
            return self.head

    def _append(self, extra_data: bytes) -> None:
        parent = self.head.header
        ready = sorted(self._pool.values(), key=lambda item: item.nonce)
        affordable = [item for item in ready if item.gas_price >= parent.base_fee_per_gas * 9 // 8]
        timestamp = max(parent.timestamp + 1, self.clock())
        block, refused = self.engine.build(parent, affordable, timestamp, extra_data)
        nonces = {item.sender: self.engine.account(block.header, item.sender).nonce for item in refused}
        for index, transaction in enumerate(block.transactions):
            del self._pool[transaction.hash]
            self._places[transaction.hash] = (block, index)
        for transaction in refused:
            if transaction.nonce <= nonces[transaction.sender]:  # never possible any more
                del self._pool[transaction.hash]
        self._canonical.append(block)
        self._by_hash[block.hash] = block

    def reorganise(self, depth: int, *, keep: bool = True) -> tuple[Block, ...]:
        """Replace the last `depth` blocks by one more than that; the blocks taken back, oldest first.

        Their transactions are mined again in the first new block, or forgotten unless `keep`.
        Raises ValueError for a depth that reaches a finalised block.
        """
        with self.lock:
            if not 0 < depth <= self.head.number - self.number_of("finalized"):
                raise ValueError(f"reorganisation of {depth} blocks: between 1 and the depth of the finalised block")
            gone = tuple(self._canonical[-depth:])
            del self._canonical[-depth:]
            self.removed[:0] = reversed(gone)
            for block in gone:
                for transaction in block.transactions:
                    del self._places[transaction.hash]
                    if keep:
                        self._pool[transaction.hash] = transaction
            self._branches += 1
            for _ in range(depth + 1):
                self._append(f"branch {self._branches}".encode())
            return gone
