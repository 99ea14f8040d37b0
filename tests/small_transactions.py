"""Signed transactions of every type for tests: as JSON-RPC shows them, and as the library eth-account encodes them."""

from __future__ import annotations

import sys
from typing import Any

import rlp
from eth_account import Account

from twinproof.keccak import keccak256

sys.setrecursionlimit(min(sys.getrecursionlimit(), 1000))  # py_ecc raises it: JSON would end the process

__all__ = ["KEY", "SENDER", "deposit_json", "raw_deposit", "signed", "signed_json"]

KEY = keccak256(b"the key of a test")
SENDER = bytes.fromhex(Account.from_key(KEY).address[2:])
TO = b"\x12" * 20
_BASE = {"nonce": 7, "gas": 50_000, "to": "0x" + TO.hex(), "value": 3, "data": "0x1234", "chainId": 31337}
_FEES = {"maxFeePerGas": 2_000_000_000, "maxPriorityFeePerGas": 1_000_000}
_LIST = [{"address": "0x" + "21" * 20, "storageKeys": ["0x" + "22" * 32, "0x" + "00" * 32]}]


def _unsigned(kind: int) -> dict[str, Any]:
    if kind == 0:
        return _BASE | {"gasPrice": 1_000_000_000}
    if kind == 1:
        return _BASE | {"type": 1, "gasPrice": 1_000_000_000, "accessList": _LIST}
    whole = _BASE | _FEES | {"type": kind, "accessList": _LIST}
    if kind == 3:
        whole |= {"maxFeePerBlobGas": 5, "blobVersionedHashes": ["0x01" + "33" * 31]}
    if kind == 4:
        given = Account.from_key(KEY).sign_authorization({"chainId": 0, "address": "0x" + "44" * 20, "nonce": 0})
        whole |= {"authorizationList": [given]}
    return whole


def signed(kind: int = 2, **changes: object) -> bytes:
    """The bytes that are hashed."""
    return bytes(Account.from_key(KEY).sign_transaction(_unsigned(kind) | changes).raw_transaction)


def signed_json(kind: int = 2) -> dict[str, Any]:
    """The same transaction as `eth_getBlockByNumber` shows it."""
    unsigned, done = _unsigned(kind), Account.from_key(KEY).sign_transaction(_unsigned(kind))
    shown: dict[str, Any] = {
        "type": hex(kind),
        "hash": "0x" + bytes(done.hash).hex(),
        "from": "0x" + SENDER.hex(),
        "to": unsigned["to"],
        "input": unsigned["data"],
        "v": hex(done.v),
        "r": hex(done.r),
        "s": hex(done.s),
        "gasPrice": hex(unsigned.get("gasPrice", 77)),
    }
    for name in ("nonce", "gas", "value", "chainId", *_FEES, "maxFeePerBlobGas"):
        if name in unsigned:
            shown[name] = hex(unsigned[name])
    if kind:
        shown |= {"accessList": unsigned["accessList"], "yParity": hex(done.v)}
    if kind == 3:
        shown["blobVersionedHashes"] = unsigned["blobVersionedHashes"]
    if kind == 4:
        (given,) = unsigned["authorizationList"]
        numbers = {"chainId": given.chain_id, "nonce": given.nonce, "yParity": given.y_parity}
        numbers |= {"r": given.r, "s": given.s}
        entry = {name: hex(value) for name, value in numbers.items()}
        shown["authorizationList"] = [entry | {"address": "0x" + bytes(given.address).hex()}]
    return shown


def deposit_json(**changes: object) -> dict[str, Any]:
    """The first transaction of a block of an OP Stack chain, as op-geth shows it."""
    return {
        "type": "0x7e",
        "hash": "0x" + "99" * 32,
        "sourceHash": "0x" + "51" * 32,
        "from": "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0001",
        "to": "0x4200000000000000000000000000000000000015",
        "mint": "0x0",
        "value": "0x0",
        "gas": "0xf4240",
        "input": "0x098999be",
        "nonce": "0x1e8480",
        **dict.fromkeys(("v", "r", "s", "gasPrice"), "0x0"),
    } | changes


def raw_deposit() -> bytes:
    """`deposit_json` as the OP Stack specification writes it."""
    shown = deposit_json()
    octets = [bytes.fromhex(shown[name][2:]) for name in ("sourceHash", "from", "to")]
    return b"\x7e" + bytes(rlp.encode([*octets, 0, 0, 1_000_000, 0, bytes.fromhex("098999be")]))
