"""Answers of an endpoint for tests: a log, a header, a receipt, as JSON-RPC gives them."""

from __future__ import annotations

import rlp

from twinproof.keccak import keccak256

Document = dict[str, object]


def log_json(**changes: object) -> Document:
    return {
        "address": "0x" + "11" * 20,
        "topics": ["0x" + "22" * 32],
        "data": "0x" + "33" * 32,
        "blockNumber": "0x10",
        "blockHash": "0x" + "44" * 32,
        "transactionHash": "0x" + "55" * 32,
        "transactionIndex": "0x1",
        "logIndex": "0x2",
        "removed": False,
    } | changes


def header_json(fields: int) -> Document:
    values: Document = {
        "parentHash": "0x" + "01" * 32,
        "sha3Uncles": "0x" + "02" * 32,
        "miner": "0x" + "03" * 20,
        "stateRoot": "0x" + "04" * 32,
        "transactionsRoot": "0x" + "05" * 32,
        "receiptsRoot": "0x" + "06" * 32,
        "logsBloom": "0x" + "00" * 256,
        "difficulty": "0x0",
        "number": "0x80",
        "gasLimit": "0x1c9c380",
        "gasUsed": "0x0",
        "timestamp": "0x6553f100",
        "extraData": "0x",
        "mixHash": "0x" + "07" * 32,
        "nonce": "0x" + "00" * 8,
        "baseFeePerGas": "0x7",
        "withdrawalsRoot": "0x" + "08" * 32,
        "blobGasUsed": "0x0",
        "excessBlobGas": "0x0",
        "parentBeaconBlockRoot": "0x" + "09" * 32,
        "requestsHash": "0x" + "0a" * 32,
    }
    return dict(list(values.items())[:fields])


def hashed(values: Document) -> Document:
    """With the hash of these very fields, encoded here without the library."""
    items = b""
    for name, value in values.items():
        text = str(value)[2:]
        integers = {"difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed"}
        if name in integers | {"excessBlobGas"}:
            text = "" if text == "0" else text if len(text) % 2 == 0 else "0" + text
        raw = bytes.fromhex(text)
        if len(raw) == 1 and raw[0] < 0x80:
            items += raw
        elif len(raw) < 56:
            items += bytes([0x80 + len(raw)]) + raw
        else:
            size = len(raw).to_bytes((len(raw).bit_length() + 7) // 8, "big")
            items += bytes([0xB7 + len(size)]) + size + raw
    size = len(items).to_bytes((len(items).bit_length() + 7) // 8, "big")
    return values | {"hash": "0x" + keccak256(bytes([0xF7 + len(size)]) + size + items).hex()}


def receipt_json(**changes: object) -> Document:
    return {
        "transactionHash": "0x" + "55" * 32,
        "transactionIndex": "0x1",
        "blockNumber": "0x10",
        "blockHash": "0x" + "44" * 32,
        "type": "0x2",
        "status": "0x1",
        "cumulativeGasUsed": "0x5208",
        "gasUsed": "0x5208",
        "effectiveGasPrice": "0x7",
        "logsBloom": "0x" + "00" * 256,
        "logs": [log_json(), log_json(logIndex="0x3")],
        "from": "0x" + "66" * 20,
        "to": "0x" + "11" * 20,
        "contractAddress": None,
    } | changes


def receipt_leaf() -> bytes:
    """The only node of a receipts trie with one receipt of type 2, without logs."""
    return bytes(rlp.encode([b"\x20\x80", b"\2" + bytes(rlp.encode([1, 21000, bytes(256), []]))]))
