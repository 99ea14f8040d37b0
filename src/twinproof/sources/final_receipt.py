"""Wait until what was written is final: its block for a quorum, and its receipt as enough endpoints show it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace

from twinproof.chain.app_change import Written
from twinproof.chain.expected_log import expected_log
from twinproof.chain.receipt import Receipt
from twinproof.chain.values import hex_data
from twinproof.errors import Unavailable
from twinproof.sources.rpc_errors import NoSuchBlock, RpcUntrue
from twinproof.sources.rpc_quorum import Quorum
from twinproof.sources.sent_transaction import receipt_of

__all__ = ["wait_finalized"]

_POLL_SECONDS = 4.0


def wait_finalized(
    quorum: Quorum,
    written: Written,
    *,
    timeout: float,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Written:
    """Until the block is finalized for the quorum, and for as many endpoints the log stands in it.

    `timeout` is in seconds. Raises Unavailable, and Refused when the log is in the receipt no more.
    """
    if written.log is None:
        return written
    end = clock() + timeout
    while True:
        agreed = quorum.finalized().block.number
        receipt = receipt_of(quorum.trusted[0], written.log.transaction_hash)
        if receipt is not None and receipt.block_number <= agreed:
            log = expected_log(receipt, written.log.address, written.log.topics, written.log.data)
            _require_agreed(quorum, receipt)
            return replace(written, receipt=receipt, log=log, finalized=True)
        if clock() >= end:
            raise Unavailable(
                "the transaction is mined, and its block not finalized yet",
                where=hex_data(written.log.transaction_hash),
                got=f"finalized {agreed}, mined in {written.log.block_number}"
                if receipt is not None
                else "a reorganisation took it out of its block",
                hint="run the command again: what was done is not done twice",
            )
        pause(_POLL_SECONDS)


def _require_agreed(quorum: Quorum, receipt: Receipt) -> None:
    """The block is the one that the quorum has, and as many endpoints show this receipt. Raises Unavailable."""
    if quorum.block(receipt.block_number).block.hash != receipt.block_hash:
        raise NoSuchBlock("the receipt is of a block that the chain does not have", where=quorum.trusted[0].name)
    same = 0
    for endpoint in quorum.trusted:
        with contextlib.suppress(Unavailable):
            other = receipt_of(endpoint, receipt.transaction_hash)
            same += other is not None and _told(other) == _told(receipt)
    if same < quorum.needed:
        raise RpcUntrue(
            "the endpoints do not agree on the receipt",
            where=hex_data(receipt.transaction_hash),
            got=f"{same} of {len(quorum.endpoints)} show it",
            expected=f"at least {quorum.needed}",
            hint="one of them lies or lags; ask more endpoints",
        )


def _told(receipt: Receipt) -> tuple[object, ...]:
    """What is relied on; endpoints may differ in the rest."""
    return receipt.succeeded, receipt.block_number, receipt.block_hash, receipt.logs
