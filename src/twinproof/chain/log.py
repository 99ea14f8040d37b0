"""One log entry as `eth_getLogs` and receipts give it. Source: ethereum/execution-apis, schema Log."""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.chain.values import data, data_text, quantity
from twinproof.errors import Malformed
from twinproof.wire import Fields

__all__ = ["MAX_LOG_DATA", "Log", "parse_log"]

MAX_LOG_DATA = 1 << 20
"""Bytes; the events read here have at most a few hundred, other contracts' in one receipt may have more."""
_MOST_TOPICS = 4


@dataclass(frozen=True, slots=True)
class Log:
    """A log of a mined transaction. `address` has 20 bytes, topics and hashes 32.

    `log_index` counts within the block, not within the transaction.
    """

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    transaction_index: int
    log_index: int

    @property
    def position(self) -> tuple[int, int]:
        """The order of a chain: block, then place in the block."""
        return self.block_number, self.log_index

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"block {self.block_number}, transaction 0x{self.transaction_hash.hex()}, log {self.log_index}"


def parse_log(fields: Fields) -> Log:
    """Read one log strictly. Raises Malformed, also for logs of a block that was dropped or is not mined yet."""
    if "removed" in fields and fields.boolean("removed"):
        raise Malformed("a log that was removed by a reorganisation", where=f"{fields.where}.removed", got="true")
    topics = fields.texts("topics", max_items=_MOST_TOPICS, max_chars=100)
    return Log(
        address=data(fields, "address", size=20),
        topics=tuple(data_text(topic, f"{fields.where}.topics[{i}]", size=32) for i, topic in enumerate(topics)),
        data=data(fields, "data", max_size=MAX_LOG_DATA),
        block_number=quantity(fields, "blockNumber"),
        block_hash=data(fields, "blockHash", size=32),
        transaction_hash=data(fields, "transactionHash", size=32),
        transaction_index=quantity(fields, "transactionIndex"),
        log_index=quantity(fields, "logIndex"),
    )
