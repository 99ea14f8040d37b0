"""Transactions of the devnet's own accounts: type 2 (EIP-1559), without access list."""

from __future__ import annotations

import rlp
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey

from twinproof_devnet.chain.accounts import DevAccount

__all__ = ["sign"]


def sign(
    account: DevAccount,
    *,
    chain_id: int,
    nonce: int,
    to: bytes | None,
    data: bytes,
    gas: int,
    max_fee: int,
    priority_fee: int = 1_000_000,
    value: int = 0,
) -> bytes:
    """What eth_sendRawTransaction takes."""
    fields: list[object] = [chain_id, nonce, priority_fee, max_fee, gas, to or b"", value, data, []]
    signature = PrivateKey(account.key).sign_msg_hash(keccak(b"\x02" + rlp.encode(fields)))
    return b"\x02" + bytes(rlp.encode([*fields, signature.v, signature.r, signature.s]))
