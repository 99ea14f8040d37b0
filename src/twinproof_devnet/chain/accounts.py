"""Accounts with new keys: nobody has them but the devnet, and nothing prints them."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from eth_keys.datatypes import PrivateKey

__all__ = ["DevAccount"]

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@dataclass(frozen=True)
class DevAccount:
    """A secp256k1 key and its address."""

    key: bytes = field(repr=False)
    """32 bytes."""

    @classmethod
    def create(cls) -> DevAccount:
        """With a new key."""
        return cls((secrets.randbelow(_ORDER - 1) + 1).to_bytes(32, "big"))

    @cached_property
    def address(self) -> bytes:
        """20 bytes."""
        return PrivateKey(self.key).public_key.to_canonical_address()

    @property
    def checksum_address(self) -> str:
        """As people write it (EIP-55)."""
        return PrivateKey(self.key).public_key.to_checksum_address()

    def write(self, path: Path) -> None:
        """The key as 0x and 64 hex digits, for its owner only."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(f"0x{self.key.hex()}\n")
