"""eth_getLogs over any number of blocks, in as few requests as the endpoint's limits allow.

The first request asks for everything. A refusal that names its limit is obeyed at once; after any other the range is
halved, and grows again where the limit was on results. What a provider once said is kept, so that the next scan begins
with it. Logs that are out of order, repeated, of other contracts or blocks, or removed are refused, all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from twinproof.chain.log import Log, parse_log
from twinproof.chain.values import hex_data
from twinproof.errors import Malformed, Unavailable
from twinproof.sources.rpc import Endpoint, read_from
from twinproof.sources.rpc_errors import RpcRefused, range_hint
from twinproof.wire import Fields

__all__ = ["Chunk", "LogFilter", "LogScan", "check_logs", "finished"]

USUAL_RANGE = 10_000
"""Blocks: what most providers allow, so it is tried next when more was refused without a reason."""
MAX_LOGS = 100_000
_GROW_AFTER = 8
"""Requests that went well before as many blocks are tried as once had too many logs."""


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which logs: of these contracts, with one of `topics[i]` at place i; an empty tuple stands for any."""

    addresses: tuple[bytes, ...]
    topics: tuple[tuple[bytes, ...], ...] = ()

    @property
    def key(self) -> str:
        """The same text for the same logs."""
        addresses = "+".join(sorted(address.hex() for address in self.addresses))
        return "/".join([addresses, *("+".join(sorted(topic.hex() for topic in place)) for place in self.topics)])

    def params(self, first: int, last: int) -> dict[str, object]:
        """The argument of eth_getLogs. A single value is no list: not every provider takes one."""
        question: dict[str, object] = {"fromBlock": hex(first), "toBlock": hex(last)}
        question["address"] = _one_or_many(self.addresses)
        if self.topics:
            question["topics"] = [_one_or_many(place) if place else None for place in self.topics]
        return question

    def check(self, log: Log) -> None:
        """Raises Malformed for a log that this filter does not let through."""
        if log.address not in self.addresses:
            raise Malformed(
                "a log of another contract", where=_place(log), got=hex_data(log.address), expected=str(self)
            )
        for index, place in enumerate(self.topics):
            if place and (index >= len(log.topics) or log.topics[index] not in place):
                raise Malformed("a log of another event", where=_place(log), expected="a topic that was asked for")

    def __str__(self) -> str:
        return ", ".join(map(hex_data, self.addresses))


@dataclass(frozen=True, slots=True)
class Chunk:
    """The logs of the blocks `first` to `last`, both included, in the order of the chain."""

    first: int
    last: int
    logs: tuple[Log, ...]


@dataclass(slots=True)
class LogScan:
    """One endpoint's logs. `limit` is the range in force, in blocks, None until one was met; it may be given."""

    endpoint: Endpoint
    filter: LogFilter
    limit: int | None = None
    progress: Callable[[int, int], None] | None = None
    """Called after each chunk with the number of blocks read and of all."""
    _too_much: int | None = field(default=None, init=False)
    _went_well: int = field(default=0, init=False)

    def chunks(self, first: int, last: int) -> Iterator[Chunk]:
        """Chunk after chunk, so that what was read is kept when the next one fails. Raises Unavailable."""
        total, start, size = last - first + 1, first, self.limit or max(1, last - first + 1)
        while start <= last:
            end = min(last, start + size - 1)
            try:
                logs = self._logs(start, end)
            except RpcRefused as error:
                size = self._smaller(end - start + 1, error)
                continue
            yield Chunk(start, end, logs)
            start = end + 1
            size = self._next_size(size)
            if self.progress is not None:
                self.progress(start - first, total)

    def _smaller(self, refused: int, error: RpcRefused) -> int:
        if refused == 1 or not error.asked_too_much:
            raise error
        said = range_hint(error.message)
        self._went_well = 0
        if said is not None and said < refused:
            size = said
        else:
            size = USUAL_RANGE if refused > 2 * USUAL_RANGE else refused // 2
        if error.about_results:
            self._too_much = refused
        else:
            self.limit = size
        return size

    def _next_size(self, size: int) -> int:
        """Twice as much, but neither more than the limit nor what was too much lately."""
        self._went_well += 1
        if self._went_well % _GROW_AFTER == 0:
            self._too_much = None
        if self._too_much is not None and 2 * size >= self._too_much:
            return size
        return 2 * size if self.limit is None else min(2 * size, self.limit)

    def _logs(self, first: int, last: int) -> tuple[Log, ...]:
        answer = self.endpoint.call("eth_getLogs", self.filter.params(first, last))
        with read_from(self.endpoint, f"logs of the blocks {first} to {last}"):
            if not isinstance(answer, list):
                raise Malformed("not a list", where="eth_getLogs", got=type(answer).__name__)
            if len(answer) > MAX_LOGS:
                raise Malformed("too many logs", where="eth_getLogs", got=str(len(answer)), expected=str(MAX_LOGS))
            logs = tuple(parse_log(Fields(item, f"logs[{index}]")) for index, item in enumerate(answer))
            check_logs(logs, self.filter, first, last)
        return logs


def check_logs(logs: Sequence[Log], wanted: LogFilter, first: int, last: int) -> None:
    """Logs are of the filter and of these blocks, each once, in the order of the chain. Raises Malformed."""
    before: Log | None = None
    for log in logs:
        wanted.check(log)
        if not first <= log.block_number <= last:
            raise Malformed("a log of another block", where=_place(log), expected=f"blocks {first} to {last}")
        if before is not None:
            _check_order(before, log)
        before = log


def _check_order(before: Log, log: Log) -> None:
    if log.position == before.position:
        raise Malformed("a log twice", where=_place(log))
    if log.position < before.position:
        raise Malformed("logs out of order", where=_place(log), expected=f"after {_place(before)}")
    if log.block_number != before.block_number:
        return
    if log.block_hash != before.block_hash:
        raise Malformed("two hashes of one block", where=_place(log), got=hex_data(log.block_hash))
    if log.transaction_index < before.transaction_index or (
        (log.transaction_index == before.transaction_index) != (log.transaction_hash == before.transaction_hash)
    ):
        raise Malformed("logs of a transaction apart from each other", where=_place(log))


def _place(log: Log) -> str:
    return f"block {log.block_number} log {log.log_index}"


def _one_or_many(values: Sequence[bytes]) -> object:
    texts = [hex_data(value) for value in values]
    return texts[0] if len(texts) == 1 else texts


def finished(chunks: Iterator[Chunk]) -> tuple[Log, ...]:
    """All logs of a scan. Raises Unavailable when one chunk could not be had."""
    logs: list[Log] = []
    for chunk in chunks:
        logs.extend(chunk.logs)
        if len(logs) > MAX_LOGS:
            raise Unavailable("too many logs to hold", got=str(len(logs)), expected=f"at most {MAX_LOGS}")
    return tuple(logs)
