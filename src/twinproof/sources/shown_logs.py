"""The two logs that date a version and its app: the one that allowed the hash, and the one of the factory at the KMS.

With proofs all endpoints are asked, for a log that one of them leaves out is shown by any other; without them they are
asked one after the other, until one gives a log that stands in its block.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twinproof.chain.events import Kind, topics
from twinproof.chain.evidence import PlacedLog
from twinproof.chain.log import Log
from twinproof.chain.questions import Attested
from twinproof.chain.receipt import parse_receipt
from twinproof.chain.values import hex_data
from twinproof.errors import Unavailable
from twinproof.sources.agreed_logs import ProvedPlace, judge_logs
from twinproof.sources.rpc import Endpoint, read_from
from twinproof.wire import Fields

if TYPE_CHECKING:
    from twinproof.sources.chain_state import ChainReader

__all__ = ["ShownLogs", "factory_log", "placed", "shown_logs"]


@dataclass(frozen=True, slots=True)
class ShownLogs:
    """Each None where none can be had; `unbroken` are the endpoints whose logs show no removal since `allowed_by`."""

    allowed_by: PlacedLog | None = None
    unbroken: tuple[str, ...] = ()
    created_by: PlacedLog | None = None


def shown_logs(reader: ChainReader, attested: Attested) -> ShownLogs:
    """Names in the dissent who made a log up or left one out."""
    try:
        return _proved(reader, attested) if reader.proof else _told(reader, attested)
    except Unavailable as error:
        reader.note(f"the log of app 0x{attested.app_id.hex()}: {error}")
        return ShownLogs()


def factory_log(beside: Iterable[Log], app_id: bytes, kms: bytes) -> Log | None:
    """The KMS's log that its factory made this app, among those of one receipt."""
    (made,) = topics(Kind.APP_DEPLOYED_VIA_FACTORY)
    app = app_id.rjust(32, b"\0")
    return next((log for log in beside if log.address == kms and log.topics[:2] == (made, app)), None)


def _proved(reader: ChainReader, attested: Attested) -> ShownLogs:
    told, places = reader.told(attested.app_id), dict[Log, ProvedPlace]()
    while told:
        first = min((logs[0].block_number for logs in told.values() if logs), default=0)
        matters = {
            name: [log for log in logs if log.block_number == first or _is_about(log, attested.compose_hash)]
            for name, logs in told.items()
        }
        places, liars = judge_logs(reader.quorum, matters)
        if not liars:
            break
        reader.forget(attested.app_id)
        told = {name: logs for name, logs in told.items() if name not in reader.quorum.dissent}
    since = _allowing_log(list(places), attested.compose_hash)
    made = ((factory_log(place.beside, attested.app_id, reader.kms), place) for place in places.values())
    created = next(((log, place) for log, place in made if log is not None), None)
    return ShownLogs(
        allowed_by=None if since is None else placed(reader, since, places[since]),
        unbroken=() if since is None else tuple(told),
        created_by=None if created is None else placed(reader, *created),
    )


def placed(reader: ChainReader, log: Log, place: ProvedPlace) -> PlacedLog:
    """A proved log as evidence."""
    transaction = None if place.transaction is None else place.transaction.proof
    return PlacedLog(reader.agreed_block(place.block), log, place.receipt, transaction)


def _told(reader: ChainReader, attested: Attested) -> ShownLogs:
    """Without proofs: of the first endpoint that gives a log which stands in its block."""
    without: list[str] = []
    created: PlacedLog | None = None
    for endpoint in reader.quorum.trusted:
        try:
            logs = reader.told_by(endpoint.name, attested.app_id)
            log = _allowing_log(logs, attested.compose_hash)
            found = None if log is None else _in_block(reader, log)
            created = created or _created(reader, endpoint, logs, attested.app_id)
        except Unavailable as error:
            reader.note(f"the log of app 0x{attested.app_id.hex()}: {error}")
            continue
        if found is not None:
            _name(reader, attested.app_id, dict.fromkeys(without, f"left out a log of block {found.log.block_number}"))
            return ShownLogs(found, (endpoint.name,), created)
        if log is None:
            without.append(endpoint.name)
        else:
            _name(reader, attested.app_id, {endpoint.name: f"made up a log in block {log.block_number}"})
    return ShownLogs(created_by=created)


def _name(reader: ChainReader, app_id: bytes, why: Mapping[str, str]) -> None:
    if why:
        reader.forget(app_id)
    reader.quorum.dissent.update(why)


def _created(reader: ChainReader, endpoint: Endpoint, logs: Sequence[Log], app_id: bytes) -> PlacedLog | None:
    """The factory's log beside the contract's first one, as this endpoint shows its receipt."""
    if not logs:
        return None
    answer = endpoint.call("eth_getTransactionReceipt", hex_data(logs[0].transaction_hash))
    if answer is None:
        return None
    with read_from(endpoint, "a receipt"):
        log = factory_log(parse_receipt(Fields(answer, "receipt")).logs, app_id, reader.kms)
    return None if log is None else _in_block(reader, log)


def _in_block(reader: ChainReader, log: Log) -> PlacedLog | None:
    """The log in its block, None when enough endpoints have another block there. Raises Unavailable."""
    agreement = reader.quorum.block(log.block_number)
    return PlacedLog(reader.agreed_block(agreement), log) if agreement.block.hash == log.block_hash else None


def _is_about(log: Log, compose_hash: bytes) -> bool:
    (added,), (removed,) = topics(Kind.COMPOSE_HASH_ADDED), topics(Kind.COMPOSE_HASH_REMOVED)
    return log.data == compose_hash and log.topics in ((added,), (removed,))


def _allowing_log(logs: Iterable[Log], compose_hash: bytes) -> Log | None:
    """The ComposeHashAdded since which this hash is allowed; None where the last word is that it was removed."""
    (added,) = topics(Kind.COMPOSE_HASH_ADDED)
    since: Log | None = None
    for log in logs:
        if _is_about(log, compose_hash):
            since = (since or log) if log.topics == (added,) else None
    return since
