"""The one source of randomness."""

from __future__ import annotations

import secrets

from twinproof.evidence.nonce import SESSION_SIZE

__all__ = ["session_secret"]


def session_secret() -> bytes:
    """32 random bytes, one per run."""
    return secrets.token_bytes(SESSION_SIZE)
