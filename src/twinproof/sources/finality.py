"""Wait until a block is final for a quorum: before that, what stands in it may still be taken back."""

from __future__ import annotations

import time
from collections.abc import Callable

from twinproof.errors import TwinproofError, Unavailable
from twinproof.sources.rpc_quorum import Quorum

__all__ = ["wait_final"]

POLL_SECONDS = 5.0


def wait_final(
    quorum: Quorum,
    block: int,
    *,
    seconds: float,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> TwinproofError | None:
    """None once the block of this number is final; after `seconds`, why it is not."""
    end = clock() + seconds
    while True:
        try:
            final = quorum.finalized().block.number
        except Unavailable as error:
            reason: TwinproofError = error
        else:
            if final >= block:
                return None
            reason = Unavailable(
                "what was sent is not final", where=f"block {block}", got=f"{final} is, after {seconds:g} s"
            )
        if clock() >= end:
            return reason
        pause(min(POLL_SECONDS, max(0.0, end - clock())))
