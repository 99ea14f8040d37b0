"""The tree of a transparency log (RFC 9162, 2.1): its head, and the path from one entry to it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

__all__ = ["inclusion_path", "leaf_hash", "tree_head"]


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def tree_head(leaves: Sequence[bytes]) -> bytes:
    """Over the leaves' hashes; at least one."""
    if len(leaves) == 1:
        return leaves[0]
    split = _split(len(leaves))
    return hashlib.sha256(b"\x01" + tree_head(leaves[:split]) + tree_head(leaves[split:])).digest()


def inclusion_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """From the leaf upwards."""
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*inclusion_path(index, leaves[:split]), tree_head(leaves[split:])]
    return [*inclusion_path(index - split, leaves[split:]), tree_head(leaves[:split])]


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    split: int = 1 << (size - 1).bit_length() - 1
    return split
