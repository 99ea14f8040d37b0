"""From a transaction's receipt to the one log that allowed a compose hash: found in the chain, never in a text.

The receipt has to have status 1 and hold `ComposeHashAdded(h)` of the app's own contract. Its argument is not indexed:
the hash is the log's data, 32 bytes. A receipt of the KMS factory holds the same log for an app's first hash.
"""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.chain.events import Kind, topics
from twinproof.chain.receipt import Receipt
from twinproof.deployments.record import Anchor
from twinproof.errors import Refused

__all__ = ["COMPOSE_HASH_ADDED", "Mined", "anchor_of"]

(COMPOSE_HASH_ADDED,) = topics(Kind.COMPOSE_HASH_ADDED)
"""Topic 0 of the log."""


@dataclass(frozen=True, slots=True)
class Mined:
    """A receipt whose block is in the chain, and that block's time (unix seconds)."""

    receipt: Receipt
    block_time: int


def anchor_of(mined: Mined, *, chain_id: int, app_id: bytes, compose_hash: bytes) -> Anchor:
    """The log in this receipt by which the app's contract allowed the hash. Raises Refused when there is none."""
    receipt = mined.receipt
    where = f"transaction 0x{receipt.transaction_hash.hex()}"
    if not receipt.succeeded:
        raise Refused("the transaction was reverted", where=where, got="status 0", expected="status 1")
    added = [log for log in receipt.logs if log.topics == (COMPOSE_HASH_ADDED,)]
    for log in added:
        if log.address == app_id and log.data == compose_hash:
            return Anchor(
                chain_id=chain_id,
                transaction=receipt.transaction_hash,
                block=receipt.block_number,
                block_hash=receipt.block_hash,
                log_index=log.log_index,
                block_time=mined.block_time,
            )
    others = [f"{log.data.hex()} at 0x{log.address.hex()}" for log in added]
    raise Refused(
        "the transaction did not allow this compose hash",
        where=where,
        got=f"ComposeHashAdded of {', '.join(others)[:300]}" if others else "no ComposeHashAdded log",
        expected=f"{compose_hash.hex()} at 0x{app_id.hex()}",
    )
