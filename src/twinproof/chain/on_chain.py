"""What a verification may be quoted on about the chain: made only when every step behind it held."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["OnChain"]


@dataclass(frozen=True, slots=True)
class OnChain:
    """The compose hash was allowed at the end of a block. Addresses have 20 bytes, hashes 32, times are unix seconds.

    `settled` says that it is proved against a final, recent block on whose hash enough endpoints agree; without it, all
    of this is the word of those who were asked.
    """

    chain_id: int
    kms: bytes
    app_id: bytes
    block_number: int
    block_hash: bytes
    block_time: int
    endpoints: tuple[str, ...]
    settled: bool
    any_device: bool
    allowed_in_block: int | None = None
    """The block whose log added it; None when no log was shown. That it was not removed in between is `unbroken_by`."""
    allowed_by_transaction: bytes | None = None
    allowed_by_sender: bytes | None = None
    """Who signed that transaction, 20 bytes; None unless it is proved."""
    log_proved: bool = False
    transaction_proved: bool = False
    """Without it the transaction's hash is as the endpoints name it; the log's place in its block is proved."""
    unbroken_by: tuple[str, ...] = ()
    """The endpoints in whose logs the hash was not removed since that block: no proof shows it."""
