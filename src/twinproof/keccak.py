"""Keccak-256, Ethereum's hash (not SHA3-256), from eth-hash, which is optional: `pip install twinproof[chain]`."""

from __future__ import annotations

from twinproof.errors import UsageError

__all__ = ["INSTALL", "has_keccak", "keccak256"]

INSTALL = "pip install twinproof[chain]"


def has_keccak() -> bool:
    """Whether eth-hash is installed, for those who have something to say without it."""
    try:
        keccak256(b"")
    except UsageError:
        return False
    return True


def keccak256(data: bytes) -> bytes:
    """32 bytes. Raises UsageError when eth-hash is not installed."""
    try:
        from eth_hash.backends.pycryptodome import keccak256 as digest  # noqa: PLC0415  (an optional dependency)
    except ImportError as error:
        raise UsageError("eth-hash is not installed", where="Keccak-256", hint=INSTALL) from error
    return digest(data)
