"""Logs up to an agreed block, from the cache as far as the chain still is the cached one, and from an endpoint above.

Only blocks at or below the agreed one become records. What is newer may still be reorganised away: it is read apart,
each time, and never kept.
"""

from __future__ import annotations

from collections.abc import Callable

from twinproof.chain.block import Header
from twinproof.chain.log import Log
from twinproof.errors import Malformed
from twinproof.sources.chain_cache import ChainCache, Kept, ScanKey, last_common
from twinproof.sources.log_scan import LogFilter, LogScan, finished
from twinproof.sources.rpc import Endpoint, header_at, read_from
from twinproof.sources.rpc_errors import NoSuchBlock, RpcRefused

__all__ = ["first_block_with_code", "pending_logs", "read_logs"]

_LIMIT = "range limit"
_CREATED = "created"


def read_logs(
    endpoint: Endpoint,
    wanted: LogFilter,
    *,
    chain_id: int,
    start: int,
    end: Header,
    cache: ChainCache,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Log, ...]:
    """The logs of the blocks `start` to `end`, in the order of the chain. Raises Unavailable.

    Every chunk is kept as soon as it is there, so that an interrupted run goes on where it stopped.
    """
    key = ScanKey(chain_id, endpoint.name, wanted)
    kept = _still_true(endpoint, key, start, end, cache)
    logs = [] if kept is None else [log for log in kept.logs if log.block_number <= end.number]
    limit = cache.fact(_LIMIT, chain_id, endpoint.name)
    scan = LogScan(endpoint, wanted, limit, progress)
    for chunk in scan.chunks(start if kept is None else kept.last + 1, end.number):
        cache.add(key, chunk, anchor=end.number, anchor_hash=end.hash)
        logs += chunk.logs
    if scan.limit is not None and scan.limit != limit:
        cache.keep_fact(scan.limit, _LIMIT, chain_id, endpoint.name)
    with read_from(endpoint, "logs"):
        for log in logs:
            if log.block_number == end.number and log.block_hash != end.hash:
                raise Malformed("a log of another block than the agreed one", where=f"block {end.number}")
    return tuple(logs)


def pending_logs(endpoint: Endpoint, wanted: LogFilter, above: int) -> tuple[int, tuple[Log, ...]]:
    """The newest block, and the logs of those that are not final yet, which may vanish again. Raises Unavailable."""
    head = header_at(endpoint, "latest")
    if head.number <= above:
        return head.number, ()
    return head.number, finished(LogScan(endpoint, wanted).chunks(above + 1, head.number))


def first_block_with_code(endpoint: Endpoint, address: str, *, chain_id: int, end: int, cache: ChainCache) -> int:
    """The block in which a contract was created, by bisection; 0 where the endpoint keeps no old state.

    A contract of dstack never loses its code, so what has code at a block has it at every later one. Raises
    Unavailable.
    """
    known = cache.fact(_CREATED, chain_id, endpoint.name, address)
    if known is not None and known <= end:
        return known
    low, high = 0, end
    while low < high:
        middle = (low + high) // 2
        try:
            code = endpoint.call("eth_getCode", address, hex(middle))
        except RpcRefused:  # pruned: the state of old blocks is gone
            return 0
        low, high = (low, middle) if isinstance(code, str) and len(code) > len("0x") else (middle + 1, high)
    cache.keep_fact(low, _CREATED, chain_id, endpoint.name, address)
    return low


def _still_true(endpoint: Endpoint, key: ScanKey, start: int, end: Header, cache: ChainCache) -> Kept | None:
    """What is kept and still of this chain; the rest is dropped."""
    kept = cache.get(key)
    if kept is None:
        return None
    if kept.first != start:
        cache.drop(key)
        return None

    def hash_of(number: int) -> bytes:
        if number == end.number:
            return end.hash
        try:
            return header_at(endpoint, hex(number)).hash
        except NoSuchBlock:
            return b""

    last = last_common(kept, hash_of)
    if last == kept.last:
        return kept
    cache.cut(key, last)
    if last < kept.first:
        return None
    logs = tuple(log for log in kept.logs if log.block_number <= last)
    return Kept(kept.first, last, kept.anchor, kept.anchor_hash, logs)
