"""One receipt of a block, proved against the block's receipts root: the log in it was written, in this very block.

No endpoint gives such proofs, so they are made of all receipts of the block, which must come out at its root. Sources:
Ethereum yellow paper, 4.4.1 and appendix D; EIP-2718; OP Stack specification, deposit receipts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinproof.chain.receipt import DEPOSIT_TYPE, Receipt
from twinproof.chain.rlp_items import Item, byte_strings, decode, encode, integer
from twinproof.chain.trie import MAX_NODE_BYTES, MAX_NODES, lookup
from twinproof.chain.trie_builder import root_and_proof
from twinproof.chain.values import data_text, hex_data, hex_quantity, quantity
from twinproof.errors import Forged, Malformed
from twinproof.wire import Fields

__all__ = ["ProvedLog", "ReceiptProof", "make_receipt_proof", "parse_receipt_proof", "proved_logs"]

_KNOWN_TYPES = frozenset({1, 2, 3, 4, DEPOSIT_TYPE})


@dataclass(frozen=True, slots=True)
class ReceiptProof:
    """The place of a transaction in its block, and the trie nodes down to its receipt."""

    transaction_index: int
    nodes: tuple[bytes, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "transactionIndex": hex_quantity(self.transaction_index),
            "nodes": [hex_data(node) for node in self.nodes],
        }


@dataclass(frozen=True, slots=True)
class ProvedLog:
    """A log as the receipt holds it: the contract's address (20 bytes), the topics (32 each), the data."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


def make_receipt_proof(receipts: Sequence[Receipt], index: int, receipts_root: bytes) -> ReceiptProof:
    """The proof for the transaction at `index`, from all receipts of its block, in their order.

    Raises Forged when they do not come out at the block's root: one of them is missing, surplus or changed.
    """
    places = [receipt.transaction_index for receipt in receipts]
    if places != list(range(len(receipts))) or index not in range(len(receipts)):
        raise Malformed("not all receipts of a block, in order", where="block receipts", got=str(places[:20]))
    root, nodes = root_and_proof({_key(r.transaction_index): _encoded(r) for r in receipts}, _key(index))
    if root != receipts_root:
        raise Forged(
            "the receipts do not come out at the block's receipts root",
            where=f"block {receipts[index].block_number}",
            got=root.hex(),
            expected=receipts_root.hex(),
        )
    return ReceiptProof(index, nodes)


def parse_receipt_proof(fields: Fields) -> ReceiptProof:
    """Read a proof of a bundle strictly. Raises Malformed."""
    texts = fields.texts("nodes", max_items=MAX_NODES, max_chars=2 * MAX_NODE_BYTES + 2)
    nodes = tuple(data_text(text, f"{fields.where}.nodes[{index}]") for index, text in enumerate(texts))
    return ReceiptProof(quantity(fields, "transactionIndex", high=1 << 32), nodes)


def proved_logs(proof: ReceiptProof, receipts_root: bytes, where: str) -> tuple[ProvedLog, ...]:
    """The logs of the receipt at this place of the block. Raises Forged, Malformed."""
    raw = lookup(receipts_root, _key(proof.transaction_index), proof.nodes, where)
    if raw is None:
        raise Forged("the block has no transaction at this place", where=where, got=str(proof.transaction_index))
    kind = 0
    if raw[:1] and raw[0] < 0x80:
        kind, raw = raw[0], raw[1:]
        if kind not in _KNOWN_TYPES:
            raise Malformed("a receipt of an unknown type", where=where, got=hex(kind))
    parts = decode(raw, where)
    deposit = kind == DEPOSIT_TYPE
    if isinstance(parts, bytes) or len(parts) not in ({4, 5, 6} if deposit else {4}):
        raise Malformed("not a receipt", where=where, expected="status, gas, bloom and logs")
    status, gas, bloom = byte_strings(parts[:3], where)
    for extra in byte_strings(parts[4:], where):
        integer(extra, where)
    integer(gas, where)
    if status not in (b"", b"\1") or len(bloom) != 256 or isinstance(parts[3], bytes):
        raise Malformed("not a receipt", where=where, expected="a status of 0 or 1, a bloom of 256 bytes, logs")
    logs = tuple(_log(entry, f"{where} log {index}") for index, entry in enumerate(parts[3]))
    if not status and logs:
        raise Malformed("a reverted transaction with logs", where=where)
    return logs


def _log(entry: Item, where: str) -> ProvedLog:
    if isinstance(entry, bytes) or len(entry) != 3:
        raise Malformed("not a log", where=where)
    address, log_data = byte_strings((entry[0], entry[2]), where)
    topics = byte_strings(entry[1], where)
    if len(address) != 20 or len(topics) > 4 or any(len(topic) != 32 for topic in topics):
        raise Malformed("not a log", where=where)
    return ProvedLog(address, topics, log_data)


def _key(index: int) -> bytes:
    return encode(_integer(index))


def _integer(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _encoded(receipt: Receipt) -> bytes:
    """The receipt's consensus form: what the trie holds."""
    items: list[Item] = [
        b"\1" if receipt.succeeded else b"",
        _integer(receipt.cumulative_gas_used),
        receipt.bloom,
        [[log.address, list(log.topics), log.data] for log in receipt.logs],
    ]
    if receipt.deposit_nonce is not None:
        items.append(_integer(receipt.deposit_nonce))
        if receipt.deposit_receipt_version is not None:
            items.append(_integer(receipt.deposit_receipt_version))
    return (bytes([receipt.type]) if receipt.type else b"") + encode(items)
