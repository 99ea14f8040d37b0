"""What an app's contract wrote in blocks that are not final: the KMS follows the head, so it may count already.

No proof is worth anything there: such a block may vanish. With `--proof` all endpoints are asked, and whatever one of
them tells is shown with its name: it can make an answer worse, and never better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from twinproof.chain.events import Event, Kind, decode_event
from twinproof.chain.log import Log
from twinproof.errors import Malformed, TwinproofError
from twinproof.sources.chain_logs import pending_logs
from twinproof.sources.chain_state import ChainReader
from twinproof.sources.concurrent import fetch_all
from twinproof.sources.log_scan import LogFilter

__all__ = ["Pending", "read_pending"]


@dataclass(frozen=True, slots=True)
class Pending:
    """`told_by` are names of endpoints by log; `head` is the newest block that one of them has."""

    contract: bytes
    logs: tuple[Log, ...]
    head: int
    told_by: Mapping[Log, tuple[str, ...]]
    not_told: tuple[str, ...] = ()
    """Who could not be asked, and why."""

    @property
    def compose_hashes(self) -> tuple[bytes, ...]:
        """Those that are allowed there."""
        events = [event for log in self.logs if (event := self._event(log)) is not None]
        return tuple(event.octets for event in events if event.kind is Kind.COMPOSE_HASH_ADDED)

    def code_changes(self, known: frozenset[bytes]) -> bool:
        """Whether the contract gets code there that is not known, or writes what no known code writes."""
        events = [self._event(log) for log in self.logs]
        return any(event is None or (event.kind is Kind.UPGRADED and event.octets not in known) for event in events)

    def _event(self, log: Log) -> Event | None:
        try:
            return decode_event(log, self.contract)
        except Malformed:
            return None


def read_pending(reader: ChainReader, contract: bytes) -> Pending:
    """Raises Unavailable when nobody can be asked."""
    above = reader.agreement.block.number
    asked = [endpoint.name for endpoint in (reader.quorum.trusted if reader.proof else (reader.first,))]
    by_name = {endpoint.name: endpoint for endpoint in reader.quorum.endpoints}
    results = fetch_all(asked, lambda _, name: pending_logs(by_name[name], LogFilter((contract,)), above))
    told: dict[Log, list[str]] = {}
    heads, failures = list[int](), dict[str, TwinproofError]()
    for name, result in zip(asked, results, strict=True):
        if isinstance(result, TwinproofError):
            failures[name] = result
            continue
        head, logs = result
        heads.append(head)
        for log in logs:
            told.setdefault(log, []).append(name)
    if not heads:
        raise next(iter(failures.values()))
    return Pending(
        contract,
        tuple(sorted(told, key=lambda log: log.position)),
        max(heads),
        {log: tuple(names) for log, names in told.items()},
        tuple(f"what is not final yet, at {name}: {error}" for name, error in failures.items()),
    )
