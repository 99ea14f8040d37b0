"""Tries, accounts and blocks for tests, made by the library `trie`, so that two implementations have to agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import rlp
from trie.hexary import HexaryTrie

from twinproof.chain.account_proof import AccountProof, SlotProof
from twinproof.keccak import keccak256

CODE_HASH = keccak256(b"code")


def library_trie(entries: Mapping[bytes, bytes]) -> Any:
    made: Any = HexaryTrie({})
    for key, value in entries.items():
        made.set(key, value)
    return made


def library_proof(made: Any, key: bytes) -> list[bytes]:
    """As `eth_getProof` gives it: only nodes that a hash names."""
    nodes: list[Any] = [rlp.encode(node) for node in made.get_proof(key)]
    return [node for index, node in enumerate(nodes) if index == 0 or len(node) >= 32]


def word_rlp(value: int) -> bytes:
    return bytes(rlp.encode(value.to_bytes((value.bit_length() + 7) // 8, "big")))


class SmallState:
    """Accounts with storage, a state root, and proofs from both."""

    def __init__(self, storage: Mapping[bytes, Mapping[bytes, int]]) -> None:
        self.storage = {
            address: library_trie({keccak256(slot): word_rlp(value) for slot, value in slots.items() if value})
            for address, slots in storage.items()
        }
        self.words = {address: dict(slots) for address, slots in storage.items()}
        self.accounts = library_trie(
            {
                keccak256(address): bytes(rlp.encode([b"\1", b"", made.root_hash, CODE_HASH]))
                for address, made in self.storage.items()
            }
            | {keccak256(bytes([n]) * 20): bytes(rlp.encode([b"", b"\x07", b"\0" * 32, b"\0" * 32])) for n in range(40)}
        )
        self.root = bytes(self.accounts.root_hash)

    def proof(self, address: bytes, *slots: bytes) -> AccountProof:
        made = self.storage.get(address, library_trie({}))
        words = self.words.get(address, {})
        return AccountProof(
            address,
            tuple(library_proof(self.accounts, keccak256(address))),
            tuple(SlotProof(slot, words.get(slot, 0), tuple(library_proof(made, keccak256(slot)))) for slot in slots),
        )
