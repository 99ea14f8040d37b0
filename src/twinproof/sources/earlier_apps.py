"""Apps that an account deployed through a KMS's factory, from the factory's own log."""

from __future__ import annotations

from twinproof.chain.events import Kind, topics
from twinproof.sources.log_scan import LogFilter, LogScan, finished
from twinproof.sources.rpc import Endpoint, header_at

__all__ = ["RECENT_BLOCKS", "deployed_by"]

RECENT_BLOCKS = 9_000
"""How far back it is looked where nobody says how far: five hours on Base."""


def deployed_by(endpoint: Endpoint, kms: bytes, sender: bytes, from_block: int | None) -> list[bytes]:
    """App ids, sorted. Raises Unavailable."""
    head = header_at(endpoint, "latest").number
    first = max(0, head - RECENT_BLOCKS) if from_block is None else min(from_block, head)
    wanted = LogFilter((kms,), (topics(Kind.APP_DEPLOYED_VIA_FACTORY), (), (sender.rjust(32, b"\0"),)))
    logs = finished(LogScan(endpoint, wanted).chunks(first, head))
    return sorted({log.topics[1][12:] for log in logs if len(log.topics) == 3})
