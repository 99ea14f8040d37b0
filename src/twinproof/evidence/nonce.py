"""One secret per run, one nonce per instance: no answer fits two instances or two runs."""

from __future__ import annotations

import hashlib

from twinproof.evidence.evidence import Challenge

__all__ = ["NONCE_SIZE", "SESSION_SIZE", "challenge_for", "nonce_for"]

NONCE_SIZE = 32
SESSION_SIZE = 32


def challenge_for(session: bytes, index: int, url: str) -> Challenge:
    """The challenge of instance `index` (0-based) at `url`.

    No two instances of a run share a nonce, and a reader of the report can derive each again from the session. A
    machine that relays its nonce to another one is caught by the device id in the quote, not here.
    """
    return Challenge(nonce=nonce_for(session, index, url), session=session, index=index, url=url)


def nonce_for(session: bytes, index: int, url: str) -> bytes:
    """SHA-256(session || u32 big-endian index || url), 32 bytes."""
    if len(session) != SESSION_SIZE:
        raise ValueError(f"a session secret has {SESSION_SIZE} bytes")
    return hashlib.sha256(session + index.to_bytes(4, "big") + url.encode()).digest()
