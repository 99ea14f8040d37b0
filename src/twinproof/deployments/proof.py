"""A digest for the comparison that stands behind a deployment, which anyone with the bundles computes again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

__all__ = ["bundle_digest", "proof_digest"]

_TAG = b"twinproof/proof-digest/v1:"


def bundle_digest(text: bytes) -> bytes:
    """SHA-256 of a bundle's file, 32 bytes."""
    return hashlib.sha256(text).digest()


def proof_digest(bundles: Iterable[bytes]) -> bytes:
    """SHA-256(tag || the digests of the compared bundles, sorted), 32 bytes; the order of asking does not matter."""
    return hashlib.sha256(_TAG + b"".join(sorted(bundles))).digest()
