"""Where people look a transaction up, for the chains that have such a place."""

from __future__ import annotations

__all__ = ["transaction_url"]

_EXPLORERS = {
    1: "https://etherscan.io",
    8453: "https://basescan.org",
    84532: "https://sepolia.basescan.org",
    11155111: "https://sepolia.etherscan.io",
}


def transaction_url(chain_id: int, transaction: bytes) -> str:
    """Empty for a chain without a known explorer, such as a simulated one."""
    base = _EXPLORERS.get(chain_id)
    return f"{base}/tx/0x{transaction.hex()}" if base else ""
