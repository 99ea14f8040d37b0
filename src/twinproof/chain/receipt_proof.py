"""One receipt of a block, proved against the block's receipts root: the log in it was written, in this very block.

Sources: Ethereum yellow paper, 4.4.1; EIP-2718; OP Stack specification, deposit receipts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinproof.chain.indexed_proof import IndexedProof, make_indexed_proof
from twinproof.chain.receipt import DEPOSIT_TYPE, Receipt
from twinproof.chain.rlp_items import Item, byte_strings, decode, encode, integer, integer_bytes
from twinproof.errors import Malformed

__all__ = ["ProvedLog", "make_receipt_proof", "proved_logs"]

_KNOWN_TYPES = frozenset({1, 2, 3, 4, DEPOSIT_TYPE})


@dataclass(frozen=True, slots=True)
class ProvedLog:
    """A log as the receipt holds it: the contract's address (20 bytes), the topics (32 each), the data."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


def make_receipt_proof(receipts: Sequence[Receipt], index: int, receipts_root: bytes) -> IndexedProof:
    """The proof for the transaction at `index`, from all receipts of its block, in their order.

    Raises Forged when they do not come out at the block's root, Malformed when they are not in order.
    """
    places = [receipt.transaction_index for receipt in receipts]
    if places != list(range(len(receipts))) or not receipts:
        raise Malformed("not all receipts of a block, in order", where="block receipts", got=str(places[:20]))
    forms = [_encoded(receipt) for receipt in receipts]
    return make_indexed_proof(forms, index, receipts_root, "receipt", f"block {receipts[0].block_number}")


def proved_logs(proof: IndexedProof, receipts_root: bytes, where: str) -> tuple[ProvedLog, ...]:
    """The logs of the receipt at this place of the block. Raises Forged, Malformed."""
    raw = proof.item(receipts_root, where)
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


def _encoded(receipt: Receipt) -> bytes:
    """The receipt's consensus form: what the trie holds."""
    items: list[Item] = [
        b"\1" if receipt.succeeded else b"",
        integer_bytes(receipt.cumulative_gas_used),
        receipt.bloom,
        [[log.address, list(log.topics), log.data] for log in receipt.logs],
    ]
    if receipt.deposit_nonce is not None:
        items.append(integer_bytes(receipt.deposit_nonce))
        if receipt.deposit_receipt_version is not None:
            items.append(integer_bytes(receipt.deposit_receipt_version))
    return (bytes([receipt.type]) if receipt.type else b"") + encode(items)
