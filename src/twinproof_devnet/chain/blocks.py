"""Blocks, transactions, receipts and logs as they are hashed: RLP, Keccak-256, blooms, ordered tries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import rlp
from eth_hash.auto import keccak
from trie.hexary import HexaryTrie

__all__ = ["Block", "Header", "Log", "Receipt", "Transaction", "bloom_of", "ordered_root"]

BLOOM_BYTES = 256
EMPTY_ROOT = keccak(rlp.encode(b""))
EMPTY_UNCLES = keccak(rlp.encode([]))


@dataclass(frozen=True, slots=True)
class Log:
    """What a contract said."""

    address: bytes
    topics: tuple[bytes, ...]
    """32 bytes each, at most four."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction."""

    kind: int
    """The transaction's type: 0, 1 or 2."""
    status: int
    """1, or 0 when it was reverted."""
    cumulative_gas_used: int
    gas_used: int
    effective_gas_price: int
    logs: tuple[Log, ...]
    contract: bytes | None
    """The contract that it created."""

    @property
    def bloom(self) -> bytes:
        return bloom_of(self.logs)

    @property
    def encoded(self) -> bytes:
        """As in the block's receipts trie: RLP, after the type when it is not 0."""
        logs = [[log.address, list(log.topics), log.data] for log in self.logs]
        body = rlp.encode([self.status, self.cumulative_gas_used, self.bloom, logs])
        return bytes([self.kind]) * (self.kind > 0) + bytes(body)


@dataclass(frozen=True, slots=True)
class Transaction:
    """Signed. `raw` is what was sent, `hash` its Keccak-256."""

    hash: bytes
    raw: bytes
    kind: int
    """0 legacy, 1 with access list, 2 with priority fee."""
    sender: bytes
    to: bytes | None
    nonce: int
    gas: int
    value: int
    data: bytes
    chain_id: int | None
    gas_price: int
    """Of kinds 0 and 1; the highest price per gas of kind 2."""
    priority_fee: int
    """The highest tip per gas of kind 2; the same as `gas_price` otherwise."""
    access_list: tuple[tuple[bytes, tuple[bytes, ...]], ...]
    v: int
    """As it is encoded: the parity of y, or 27 or 35 + 2 * chain id more of kind 0."""
    r: int
    s: int

    @property
    def least_gas(self) -> int:
        """Before anything is executed (EIP-2028, 2930, 3860, 7623)."""
        zeros = self.data.count(0)
        tokens = zeros + 4 * (len(self.data) - zeros)
        creation = 32_000 + 2 * ((len(self.data) + 31) // 32) if self.to is None else 0
        accessed = sum(2_400 + 1_900 * len(slots) for _, slots in self.access_list)
        return 21_000 + max(4 * tokens + creation + accessed, 10 * tokens)

    def effective_gas_price(self, base_fee: int) -> int:
        """What one unit of gas costs in a block with this base fee."""
        return min(self.gas_price, base_fee + self.priority_fee) if self.kind == 2 else self.gas_price


@dataclass(frozen=True)
class Header:
    """Of an execution layer block since Prague: 21 fields, in the order in which they are hashed.

    `bloom` has 256 bytes, `miner` 20, `nonce` 8, roots and hashes 32.
    """

    parent_hash: bytes
    uncles_hash: bytes
    miner: bytes
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    bloom: bytes
    difficulty: int
    number: int
    gas_limit: int
    gas_used: int
    timestamp: int
    """Unix seconds."""
    extra_data: bytes
    mix_hash: bytes
    nonce: bytes
    base_fee_per_gas: int
    withdrawals_root: bytes
    blob_gas_used: int
    excess_blob_gas: int
    parent_beacon_block_root: bytes
    requests_hash: bytes

    @classmethod
    def decode(cls, encoded: bytes) -> Header:
        """From RLP."""
        values: dict[str, bytes | int] = {}
        for field, item in zip(fields(cls), rlp.decode(encoded), strict=True):
            values[field.name] = int.from_bytes(item, "big") if field.type == "int" else item
        return cls(**values)  # type: ignore[arg-type]  # each of its field's type

    @cached_property
    def encoded(self) -> bytes:
        """RLP."""
        return bytes(rlp.encode([getattr(self, field.name) for field in fields(self)]))

    @cached_property
    def hash(self) -> bytes:
        return keccak(self.encoded)

    @property
    def next_base_fee(self) -> int:
        """Of the block after this one (EIP-1559)."""
        target, fee = self.gas_limit // 2, self.base_fee_per_gas
        change = fee * abs(self.gas_used - target) // target // 8
        if self.gas_used > target:
            return fee + max(change, 1)
        return fee - change if self.gas_used < target else fee


@dataclass(frozen=True, slots=True)
class Block:
    """Receipts stand in the order of the transactions."""

    header: Header
    transactions: tuple[Transaction, ...] = ()
    receipts: tuple[Receipt, ...] = ()

    @property
    def number(self) -> int:
        return self.header.number

    @property
    def hash(self) -> bytes:
        return self.header.hash


def bloom_of(logs: Iterable[Log]) -> bytes:
    """256 bytes: three bits for every address and topic."""
    bloom = 0
    for log in logs:
        for item in (log.address, *log.topics):
            digest = keccak(item)
            for start in (0, 2, 4):
                bloom |= 1 << (int.from_bytes(digest[start : start + 2], "big") % (8 * BLOOM_BYTES))
    return bloom.to_bytes(BLOOM_BYTES, "big")


def ordered_root(items: Sequence[bytes]) -> bytes:
    """The root of the trie of these items by their RLP-encoded index."""
    if not items:
        return EMPTY_ROOT
    trie = HexaryTrie({}, prune=True)
    for index, item in enumerate(items):
        trie[rlp.encode(index)] = item
    return bytes(trie.root_hash)
