"""The trie over a few keys and one proof from it: for a block's receipts, of which no endpoint gives proofs.

Source: Ethereum yellow paper, appendix D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twinproof.chain.rlp_items import Item, encode
from twinproof.chain.trie import EMPTY_ROOT, nibbles
from twinproof.keccak import keccak256

__all__ = ["root_and_proof"]

_Paths = Sequence[tuple[tuple[int, ...], bytes]]
_Way = tuple[bytes, ...]
_NOWHERE: _Way = ()


def root_and_proof(entries: Mapping[bytes, bytes], key: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """The root (32 bytes) of the trie of these entries, and the nodes on the way to `key`, the root's first.

    No value is empty, and no key is the start of another one.
    """
    paths = sorted((nibbles(key), value) for key, value in entries.items())
    if not paths:
        return EMPTY_ROOT, ()
    node, below = _node(paths, 0, nibbles(key))
    raw = encode(node)
    return keccak256(raw), (raw, *below)


def _node(paths: _Paths, depth: int, target: tuple[int, ...]) -> tuple[Item, _Way]:
    """The node of these paths from `depth` on, and the hashed nodes below it on the way to `target`."""
    first, last = paths[0][0], paths[-1][0]
    if len(paths) == 1:
        return [_hex_prefix(first[depth:], leaf=True), paths[0][1]], ()
    shared, way = depth, _NOWHERE
    while first[shared] == last[shared]:
        shared += 1
    if shared > depth:
        child, way = _reference(paths, shared, target)
        there = target[depth:shared] == first[depth:shared]
        return [_hex_prefix(first[depth:shared], leaf=False), child], way if there else _NOWHERE
    branch: list[Item] = [b""] * 17
    for half in range(16):
        part = [entry for entry in paths if entry[0][depth] == half]
        if part:
            branch[half], below = _reference(part, depth + 1, target)
            if target[depth : depth + 1] == (half,):
                way = below
    return branch, way


def _reference(paths: _Paths, depth: int, target: tuple[int, ...]) -> tuple[Item, _Way]:
    node, way = _node(paths, depth, target)
    raw = encode(node)
    return (node, way) if len(raw) < 32 else (keccak256(raw), (raw, *way))


def _hex_prefix(path: tuple[int, ...], *, leaf: bool) -> bytes:
    halves = (2 * leaf + 1, *path) if len(path) & 1 else (2 * leaf, 0, *path)
    return bytes(high << 4 | low for high, low in zip(halves[::2], halves[1::2], strict=True))
