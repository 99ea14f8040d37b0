"""From a transaction's receipt to the one log that allowed a compose hash: found in the chain, never in a text.

The receipt has to have status 1 and hold `ComposeHashAdded(h)` of the app's own contract. Its argument is not indexed:
the hash is the log's data, 32 bytes. A receipt of the KMS factory holds the same log for an app's first hash.
"""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.deployments.record import Anchor
from twinproof.errors import Refused

__all__ = ["COMPOSE_HASH_ADDED", "Receipt", "ReceiptLog", "anchor_of"]

COMPOSE_HASH_ADDED = bytes.fromhex("fecb34306dd9d8b785b54d65489d06afc8822a0893ddacedff40c50a4942d0af")
"""keccak256("ComposeHashAdded(bytes32)")."""


@dataclass(frozen=True, slots=True)
class ReceiptLog:
    """`address` 20 bytes, `topics` 32 bytes each, `index` counted within the block."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    index: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a node answered for a transaction hash; `block_time` is that of its block (unix seconds)."""

    transaction: bytes
    succeeded: bool
    block: int
    block_hash: bytes
    block_time: int
    logs: tuple[ReceiptLog, ...]


def anchor_of(receipt: Receipt, *, chain_id: int, app_id: bytes, compose_hash: bytes) -> Anchor:
    """The log in this receipt by which the app's contract allowed the hash. Raises Refused when there is none."""
    where = f"transaction 0x{receipt.transaction.hex()}"
    if not receipt.succeeded:
        raise Refused("the transaction was reverted", where=where, got="status 0", expected="status 1")
    added = [log for log in receipt.logs if log.topics == (COMPOSE_HASH_ADDED,)]
    for log in added:
        if log.address == app_id and log.data == compose_hash:
            return Anchor(
                chain_id=chain_id,
                transaction=receipt.transaction,
                block=receipt.block,
                block_hash=receipt.block_hash,
                log_index=log.index,
                block_time=receipt.block_time,
            )
    others = [f"{log.data.hex()} at 0x{log.address.hex()}" for log in added]
    raise Refused(
        "the transaction did not allow this compose hash",
        where=where,
        got=f"ComposeHashAdded of {', '.join(others)[:300]}" if others else "no ComposeHashAdded log",
        expected=f"{compose_hash.hex()} at 0x{app_id.hex()}",
    )
