"""What `eth_getProof` answers, and what it proves against the state root of a block. Source: EIP-1186.

A slot that was set to zero is left out of the trie; one node (anvil) keeps it as a leaf with the value 0x80. Both say
zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from twinproof.chain.rlp_items import byte_strings, decode, integer
from twinproof.chain.trie import EMPTY_ROOT, MAX_NODE_BYTES, MAX_NODES, lookup
from twinproof.chain.values import MAX_WORD, data, data_text, hex_data, quantity
from twinproof.errors import Contradiction, Malformed
from twinproof.keccak import keccak256
from twinproof.wire import Fields

__all__ = ["EMPTY_CODE", "Account", "AccountProof", "SlotProof", "parse_account_proof", "proved_account"]

EMPTY_CODE = bytes.fromhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
"""Keccak-256 of nothing: the code hash of an account that is no contract."""
_MOST_SLOTS = 256
_MAX_STATE_NODE = 1 << 12


@dataclass(frozen=True, slots=True)
class SlotProof:
    """One storage slot (32 bytes), the word the endpoint says it holds, and the trie nodes."""

    slot: bytes
    value: int
    nodes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AccountProof:
    """The answer for one address (20 bytes): trie nodes, and the values that the endpoint says they prove."""

    address: bytes
    nodes: tuple[bytes, ...]
    slots: tuple[SlotProof, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "address": hex_data(self.address),
            "accountProof": [hex_data(node) for node in self.nodes],
            "storageProof": [
                {"key": hex_data(slot.slot), "value": hex(slot.value), "proof": [hex_data(node) for node in slot.nodes]}
                for slot in self.slots
            ],
        }


@dataclass(frozen=True, slots=True)
class Account:
    """An account as proved: code hash (32 bytes) and the words of the slots that were asked for."""

    address: bytes
    code_hash: bytes
    words: Mapping[bytes, int]

    @property
    def is_contract(self) -> bool:
        return self.code_hash != EMPTY_CODE


def parse_account_proof(fields: Fields) -> AccountProof:
    """Read an `eth_getProof` answer, or the same of a bundle, strictly. Raises Malformed.

    `balance`, `nonce`, `codeHash` and `storageHash` are not read: they are what the nodes say.
    """
    slots = tuple(
        SlotProof(_slot(entry), quantity(entry, "value", high=MAX_WORD), _nodes(entry, "proof"))
        for entry in fields.objects("storageProof", max_items=_MOST_SLOTS)
    )
    if len({slot.slot for slot in slots}) != len(slots):
        raise Malformed("a slot proved twice", where=f"{fields.where}.storageProof")
    return AccountProof(data(fields, "address", size=20), _nodes(fields, "accountProof"), slots)


def _slot(entry: Fields) -> bytes:
    """A key of 32 bytes; some nodes answer with the quantity it is."""
    text = entry.text("key", max_chars=100)
    if len(text) == 66:
        return data(entry, "key", size=32)
    return quantity(entry, "key", high=MAX_WORD).to_bytes(32, "big")


def _nodes(fields: Fields, name: str) -> tuple[bytes, ...]:
    texts = fields.texts(name, max_items=MAX_NODES, max_chars=2 * _MAX_STATE_NODE + 2)
    return tuple(
        data_text(text, f"{fields.where}.{name}[{index}]", max_size=MAX_NODE_BYTES) for index, text in enumerate(texts)
    )


def proved_account(proof: AccountProof, state_root: bytes) -> Account | None:
    """The account under this state root, None when the proof shows that there is none.

    Raises Forged for nodes that do not lead from the root, Contradiction for a value other than the nodes hold.
    """
    where = f"account 0x{proof.address.hex()}"
    found = lookup(state_root, keccak256(proof.address), proof.nodes, where)
    if found is None:
        for slot in proof.slots:
            _word(slot, EMPTY_ROOT, where)
        return None
    nonce, balance, storage_root, code_hash = byte_strings(decode(found, where), where, count=4)
    integer(nonce, f"{where}.nonce")
    integer(balance, f"{where}.balance")
    if len(storage_root) != 32 or len(code_hash) != 32:
        raise Malformed("not an account", where=where, got=f"{len(storage_root)} and {len(code_hash)} bytes")
    return Account(proof.address, code_hash, {slot.slot: _word(slot, storage_root, where) for slot in proof.slots})


def _word(slot: SlotProof, storage_root: bytes, where: str) -> int:
    where = f"{where} slot 0x{slot.slot.hex()}"
    found = lookup(storage_root, keccak256(slot.slot), slot.nodes, where)
    word = 0
    if found is not None:
        item = decode(found, where)
        if not isinstance(item, bytes):
            raise Malformed("a list instead of a word", where=where)
        word = integer(item, where)
    if word != slot.value:
        raise Contradiction(
            "the endpoint says another value than its proof", where=where, got=hex(slot.value), expected=hex(word)
        )
    return word
