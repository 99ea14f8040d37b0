"""Merkle-Patricia proofs: what a trie of a known root holds under a key, or that it holds nothing there.

A proof is the list of RLP nodes on the way from the root. Every node but the root is 32 bytes or longer and named by
its Keccak-256; shorter ones stand inside their parent. Nodes that the way does not need are refused, like nodes in a
form that no builder writes. Source: Ethereum yellow paper, appendix D.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Never

from twinproof.chain.rlp_items import Item, decode, encode
from twinproof.errors import Forged, Malformed
from twinproof.keccak import keccak256

__all__ = ["EMPTY_ROOT", "MAX_NODES", "MAX_NODE_BYTES", "lookup", "nibbles"]

EMPTY_ROOT = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
"""Keccak-256 of 0x80, the RLP of nothing."""
MAX_NODES = 65
"""A key of 32 bytes has 64 nibbles, so its way has at most 65 nodes."""
MAX_NODE_BYTES = 1 << 21
"""A receipt's leaf holds all logs of its transaction; other nodes have at most 600 bytes."""
_EMPTY_NODE = b"\x80"


def nibbles(key: bytes) -> tuple[int, ...]:
    """The half bytes of a key, the path through the trie."""
    return tuple(half for byte in key for half in (byte >> 4, byte & 15))


def lookup(root: bytes, key: bytes, proof: Sequence[bytes], where: str) -> bytes | None:
    """The value under `key` in the trie of this root (32 bytes), None when the proof shows that there is none.

    `key` is the path itself: hash it first for a secure trie. Raises Forged when the nodes do not lead from the root,
    Malformed for nodes in another form or not needed.
    """
    if root == EMPTY_ROOT:
        if list(proof) not in ([], [_EMPTY_NODE]):
            raise Malformed("nodes of an empty trie", where=where, got=f"{len(proof)} nodes", expected="none")
        return None
    walk = _Walk(proof, where)
    value = walk.value(root, nibbles(key))
    if walk.used != len(proof):
        raise Malformed(
            "nodes that are not on the way", where=where, got=f"{len(proof)} nodes", expected=f"{walk.used} nodes"
        )
    return value


class _Walk:
    """One way down: `used` is how many nodes of the proof it took."""

    def __init__(self, proof: Sequence[bytes], where: str) -> None:
        if len(proof) > MAX_NODES:
            raise Malformed("too many nodes", where=where, got=str(len(proof)), expected=f"at most {MAX_NODES}")
        self._proof, self._where = proof, where
        self.used = 0

    def value(self, root: bytes, path: tuple[int, ...]) -> bytes | None:
        node = self._hashed(root)
        after_extension = False
        while True:
            if len(node) == 17:
                if not path:
                    return self._octets(node[16]) or None
                child, path = node[path[0]], path[1:]
                after_extension = False
            elif len(node) == 2:
                if after_extension:
                    self._refuse("an extension that leads to no branch")
                partial, is_leaf = self._partial(self._octets(node[0]))
                if is_leaf:
                    return self._leaf(node[1]) if path == partial else None
                if path[: len(partial)] != partial:
                    return None if self._reference(node[1]) else self._refuse("an extension that leads nowhere")
                child, path = node[1], path[len(partial) :]
                after_extension = True
            else:
                self._refuse(f"a node of {len(node)} items")
            below = self._reference(child)
            if below is None:
                if after_extension:
                    self._refuse("an extension that leads nowhere")
                return None
            node = self._hashed(below) if isinstance(below, bytes) else below

    def _hashed(self, digest: bytes) -> Sequence[Item]:
        if self.used == len(self._proof):
            raise Forged(
                "the proof ends before the way does", where=self._where, got=f"{self.used} nodes", expected=digest.hex()
            )
        raw = self._proof[self.used]
        if len(raw) > MAX_NODE_BYTES:
            self._refuse(f"a node of {len(raw)} bytes")
        found = keccak256(raw)
        if found != digest:
            raise Forged(
                f"node {self.used} is not the one that is named",
                where=self._where,
                got=found.hex(),
                expected=digest.hex(),
            )
        if self.used and len(raw) < 32:
            self._refuse("a short node that should stand inside its parent")
        self.used += 1
        node = decode(raw, f"{self._where} node {self.used - 1}")
        return self._refuse("a node that is no list") if isinstance(node, bytes) else node

    def _reference(self, item: Item) -> bytes | Sequence[Item] | None:
        """A hash, a node that stands inside this one, or nothing."""
        if isinstance(item, bytes):
            if len(item) not in (0, 32):
                self._refuse(f"a reference of {len(item)} bytes")
            return item or None
        if len(encode(item)) >= 32:
            self._refuse("a long node inside its parent")
        return item

    def _partial(self, encoded: bytes) -> tuple[tuple[int, ...], bool]:
        """Hex-prefix encoding: the nibbles, and whether a leaf ends here. Yellow paper, appendix C."""
        halves = nibbles(encoded)
        if not halves or halves[0] > 3 or (not halves[0] & 1 and halves[1]):
            self._refuse("a path in no hex-prefix encoding")
        partial, is_leaf = halves[1 if halves[0] & 1 else 2 :], bool(halves[0] & 2)
        if not partial and not is_leaf:
            self._refuse("an extension by nothing")
        return partial, is_leaf

    def _leaf(self, item: Item) -> bytes:
        return self._octets(item) or self._refuse("a leaf without a value")

    def _octets(self, item: Item) -> bytes:
        return item if isinstance(item, bytes) else self._refuse("a list instead of a byte string")

    def _refuse(self, what: str) -> Never:
        raise Malformed(f"not a trie node: {what}", where=f"{self._where} node {max(self.used - 1, 0)}")
