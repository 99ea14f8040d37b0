"""The next nonce of an account, as enough endpoints say it.

A nonce that is too high makes a transaction that cannot be mined now, and that whoever has it may send much later, when
the account got there: what was allowed and removed would be allowed again. So it is not the word of one endpoint where
there are several, and never far ahead of what is mined.
"""

from __future__ import annotations

from collections.abc import Sequence

from twinproof.chain.values import hex_data
from twinproof.errors import Unavailable
from twinproof.sources.rpc import Endpoint, quantity_of
from twinproof.sources.rpc_errors import RpcUntrue

__all__ = ["MOST_WAITING", "next_nonce"]

MOST_WAITING = 64
"""Transactions of one account that may wait: more than any node keeps ready by default."""
_MAX_NONCE = (1 << 64) - 2  # EIP-2681


def next_nonce(endpoints: Sequence[Endpoint], needed: int, sender: bytes) -> tuple[int, int]:
    """The nonce, and how many transactions wait before it. Raises Unavailable.

    Each number is the highest that `needed` endpoints have reached.
    """
    mined, pending, failures = [], [], []
    for endpoint in endpoints:
        try:
            latest = quantity_of(endpoint, "eth_getTransactionCount", hex_data(sender), "latest")
            waiting = quantity_of(endpoint, "eth_getTransactionCount", hex_data(sender), "pending")
        except Unavailable as error:
            failures.append(error)
            continue
        mined.append(latest)
        pending.append(max(latest, waiting))
    if len(mined) < needed:
        raise failures[0] if failures else Unavailable("no endpoint to ask for the nonce", where=hex_data(sender))
    first, last = (sorted(numbers, reverse=True)[needed - 1] for numbers in (mined, pending))
    if last > _MAX_NONCE or last - first > MOST_WAITING:
        raise RpcUntrue(
            "a nonce that cannot be",
            where=endpoints[0].name,
            got=f"{first} are mined, {min(last, _MAX_NONCE + 1)} is next",
            expected=f"at most {MOST_WAITING} transactions that wait",
            hint="ask another endpoint; what is signed with it could be sent much later",
        )
    return last, last - first
