"""One transaction or receipt of a block, by its place, proved against the block's root of such items.

No endpoint gives such proofs, so they are made of all items of the block, which must come out at its root. Sources:
Ethereum yellow paper, 4.4 and appendix D; EIP-2718.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinproof.chain.rlp_items import encode, integer_bytes
from twinproof.chain.trie import MAX_NODE_BYTES, MAX_NODES, lookup
from twinproof.chain.trie_builder import root_and_proof
from twinproof.chain.values import data_text, hex_data, hex_quantity, quantity
from twinproof.errors import Forged, Malformed
from twinproof.wire import Fields

__all__ = ["IndexedProof", "make_indexed_proof", "parse_indexed_proof"]


@dataclass(frozen=True, slots=True)
class IndexedProof:
    """The place of a transaction in its block, and the trie nodes down to what stands there."""

    transaction_index: int
    nodes: tuple[bytes, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "transactionIndex": hex_quantity(self.transaction_index),
            "nodes": [hex_data(node) for node in self.nodes],
        }

    def item(self, root: bytes, where: str) -> bytes:
        """The bytes at this place of the trie of this root (32 bytes). Raises Forged, Malformed."""
        raw = lookup(root, _key(self.transaction_index), self.nodes, where)
        if raw is None:
            raise Forged("the block has no transaction at this place", where=where, got=str(self.transaction_index))
        return raw


def make_indexed_proof(items: Sequence[bytes], index: int, root: bytes, what: str, where: str) -> IndexedProof:
    """The proof for the item at `index`, from all items of a block, in their order and their consensus form.

    Raises Forged when they do not come out at the block's root: one of them is missing, surplus or changed.
    """
    if index not in range(len(items)):
        raise Malformed(f"no {what} at this place", where=where, got=str(index), expected=f"0..{len(items) - 1}")
    found, nodes = root_and_proof({_key(place): item for place, item in enumerate(items)}, _key(index))
    if found != root:
        raise Forged(
            f"the {what}s do not come out at the block's root of {what}s",
            where=where,
            got=found.hex(),
            expected=root.hex(),
        )
    return IndexedProof(index, nodes)


def parse_indexed_proof(fields: Fields) -> IndexedProof:
    """Read a proof of a bundle strictly. Raises Malformed."""
    texts = fields.texts("nodes", max_items=MAX_NODES, max_chars=2 * MAX_NODE_BYTES + 2)
    nodes = tuple(data_text(text, f"{fields.where}.nodes[{index}]") for index, text in enumerate(texts))
    return IndexedProof(quantity(fields, "transactionIndex", high=1 << 32), nodes)


def _key(index: int) -> bytes:
    return encode(integer_bytes(index))
