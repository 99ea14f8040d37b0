"""Calls and answers of contracts, by signature."""

from __future__ import annotations

from collections.abc import Sequence

from eth_abi.abi import decode, encode
from eth_hash.auto import keccak

__all__ = ["APP_BOOT_INFO", "Values", "answer", "call_data", "selector", "topic"]

Values = Sequence[object]
APP_BOOT_INFO = "(address,bytes32,address,bytes32,bytes32,bytes32,bytes32,string,string[])"


def selector(signature: str) -> bytes:
    """4 bytes."""
    return keccak(signature.encode())[:4]


def topic(signature: str) -> bytes:
    """32 bytes: topic 0 of the event."""
    return keccak(signature.encode())


def call_data(signature: str, *values: object) -> bytes:
    """`name(type,...)` with these values."""
    return selector(signature) + encode(_types(signature), values)


def _types(signature: str) -> list[str]:
    inner = signature[signature.index("(") + 1 : -1]
    types: list[str] = []
    depth = 0
    for part in inner.split(","):
        if depth:
            types[-1] += f",{part}"
        elif part:
            types.append(part)
        depth += part.count("(") - part.count(")")
    return types


def answer(types: Sequence[str], data: bytes) -> tuple[object, ...]:
    """What a call returned."""
    return tuple(decode(types, data))
