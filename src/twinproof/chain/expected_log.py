"""The log that a transaction has to leave: the receipt's status alone says that something happened, not what."""

from __future__ import annotations

from twinproof.chain.log import Log
from twinproof.chain.receipt import Receipt
from twinproof.chain.values import hex_data
from twinproof.errors import Refused

__all__ = ["expected_log", "missing_log"]


def expected_log(receipt: Receipt, contract: bytes, topics: tuple[bytes, ...], data: bytes) -> Log:
    """The one log of this contract with these topics and this data. Raises Refused."""
    found = [log for log in receipt.logs if (log.address, log.topics, log.data) == (contract, topics, data)]
    if len(found) != 1:
        raise missing_log(receipt, f"log {hex_data(topics[0])[:10]} of {hex_data(contract)}")
    return found[0]


def missing_log(receipt: Receipt, what: str) -> Refused:
    """To raise where `what` is not in the receipt, or more than once."""
    return Refused(
        f"the transaction succeeded without the log it should leave: {what}",
        where=hex_data(receipt.transaction_hash),
        got=f"{len(receipt.logs)} logs",
        hint="is this contract a DstackApp or DstackKms?",
    )
