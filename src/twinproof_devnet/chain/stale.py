"""A chain as it was: what an endpoint knows that stopped following it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

from twinproof_devnet.chain.blocks import Block, Transaction
from twinproof_devnet.chain.rpc import Blocks

__all__ = ["Frozen", "WithoutDepth"]


class _View:
    """The same blocks, seen through."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks

    @property
    def lock(self) -> AbstractContextManager[object]:
        return self._blocks.lock

    @property
    def chain_id(self) -> int:
        return self._blocks.chain_id

    @property
    def head(self) -> Block:
        return self._blocks.head

    def number_of(self, tag: str) -> int:
        return self._blocks.number_of(tag)

    def block(self, number: int) -> Block | None:
        return self._blocks.block(number)

    def block_by_hash(self, block_hash: bytes) -> Block | None:
        return self._blocks.block_by_hash(block_hash)

    def is_canonical(self, block: Block) -> bool:
        return self._blocks.is_canonical(block)

    def blocks_with_logs(self, first: int, last: int) -> Iterator[Block]:
        return self._blocks.blocks_with_logs(first, last)

    def transaction(self, transaction_hash: bytes) -> tuple[Transaction, Block | None, int] | None:
        return self._blocks.transaction(transaction_hash)


class Frozen(_View):
    """Its head stays what it was when this was made, or what a reorganisation made of it."""

    def __init__(self, blocks: Blocks) -> None:
        super().__init__(blocks)
        self._last = blocks.head.number

    @property
    def head(self) -> Block:
        return self._blocks.block(self._last) or self._blocks.head

    def number_of(self, tag: str) -> int:
        number = self._blocks.number_of(tag)
        return 0 if tag == "earliest" else max(0, number - (self._blocks.head.number - self.head.number))

    def block(self, number: int) -> Block | None:
        return self._blocks.block(number) if number <= self.head.number else None

    def block_by_hash(self, block_hash: bytes) -> Block | None:
        found = self._blocks.block_by_hash(block_hash)
        return found if found is not None and found.number <= self.head.number else None

    def blocks_with_logs(self, first: int, last: int) -> Iterator[Block]:
        return self._blocks.blocks_with_logs(first, min(last, self.head.number))

    def transaction(self, transaction_hash: bytes) -> tuple[Transaction, Block | None, int] | None:
        found = self._blocks.transaction(transaction_hash)
        known = found is None or found[1] is None or found[1].number <= self.head.number
        return found if known else None


class WithoutDepth(_View):
    """Everything is final at once."""

    def number_of(self, tag: str) -> int:
        return 0 if tag == "earliest" else self._blocks.head.number
