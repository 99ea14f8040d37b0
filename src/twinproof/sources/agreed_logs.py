"""Logs on which endpoints are held against each other, and each log against the block it is said to stand in.

Nobody can prove that no log was left out; but whoever left one out is caught by any other endpoint that did not, since
a log that exists can be proved: its receipt is in a trie whose root is in a block that enough endpoints agree on. So is
its transaction, with its hash and its sender, where an endpoint gives all transactions of the block.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from twinproof.chain.block import Header
from twinproof.chain.indexed_proof import IndexedProof, make_indexed_proof
from twinproof.chain.log import Log
from twinproof.chain.receipt_proof import make_receipt_proof
from twinproof.chain.transaction import Transaction, read_transaction
from twinproof.chain.values import hex_data
from twinproof.errors import EvidenceError, TwinproofError, Unavailable
from twinproof.sources.block_contents import nobody_left, true_receipts, true_transactions
from twinproof.sources.chain_cache import ChainCache, ScanKey
from twinproof.sources.chain_logs import read_logs
from twinproof.sources.concurrent import fetch_all
from twinproof.sources.log_scan import LogFilter
from twinproof.sources.rpc_errors import RpcUntrue
from twinproof.sources.rpc_quorum import Agreement, Quorum

__all__ = ["ProvedPlace", "ProvedTransaction", "agreed_logs", "judge_logs", "logs_of_one", "unnamed"]

MAX_PROVED_BLOCKS = 2000
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ProvedTransaction:
    """What stands at a place of a block, and the proof of it."""

    transaction: Transaction
    proof: IndexedProof


@dataclass(frozen=True, slots=True)
class ProvedPlace:
    """The block a log stands in, as enough endpoints have it, and the proofs of the log's receipt and transaction."""

    block: Agreement
    receipt: IndexedProof
    beside: tuple[Log, ...]
    """All logs of the receipt, proved with it."""
    transaction: ProvedTransaction | None
    unproved: str = ""
    """Why the transaction is not proved."""


def logs_of_one(
    quorum: Quorum, wanted: LogFilter, *, start: int, end: Header, cache: ChainCache, progress: Progress | None = None
) -> tuple[Log, ...]:
    """The logs of the first endpoint that gives them: its word alone. Raises Unavailable when none does."""
    failure: TwinproofError | None = None
    for endpoint in quorum.trusted:
        try:
            return read_logs(
                endpoint, wanted, chain_id=quorum.check_chain_id(), start=start, end=end, cache=cache, progress=progress
            )
        except Unavailable as error:
            failure = failure or error
            quorum.dissent[endpoint.name] = f"gives no logs: {error}"
    raise failure or nobody_left(quorum)


def agreed_logs(
    quorum: Quorum, wanted: LogFilter, *, start: int, end: Header, cache: ChainCache, progress: Progress | None = None
) -> tuple[tuple[Log, ...], Mapping[Log, ProvedPlace]]:
    """Every log that any endpoint gives and that is proved; who made one up, or left one out, is in the dissent.

    Raises Unavailable.
    """
    by_name = {endpoint.name: endpoint for endpoint in quorum.trusted}
    chain_id = quorum.check_chain_id()
    results = fetch_all(
        list(by_name),
        lambda index, name: read_logs(
            by_name[name],
            wanted,
            chain_id=chain_id,
            start=start,
            end=end,
            cache=cache,
            progress=progress if index == 0 else None,
        ),
    )
    given: dict[str, tuple[Log, ...]] = {}
    for name, result in zip(by_name, results, strict=True):
        if isinstance(result, TwinproofError):
            quorum.dissent[name] = f"gives no logs: {result}"
        else:
            given[name] = result
    if not given:
        raise next((result for result in results if isinstance(result, TwinproofError)), nobody_left(quorum))
    placed, liars = judge_logs(quorum, given)
    for name in liars:
        cache.drop(ScanKey(chain_id, name, wanted))  # it is read again: what was untrue need not stay so
    if len(quorum.trusted) < quorum.needed and len(quorum.endpoints) > 1:
        raise RpcUntrue(
            "too few endpoints are left that told no lie about the logs",
            where="--chain",
            got="; ".join(f"{name} {why}" for name, why in sorted(quorum.dissent.items())),
            expected=f"at least {quorum.needed}",
        )
    if len(quorum.endpoints) == 1 and quorum.dissent:
        name, why = next(iter(quorum.dissent.items()))
        raise RpcUntrue(f"its only endpoint {why}", where=name)
    return tuple(placed), placed


def judge_logs(quorum: Quorum, given: Mapping[str, Sequence[Log]]) -> tuple[dict[Log, ProvedPlace], tuple[str, ...]]:
    """Those of all logs that stand in their blocks, in the order of the chain, each with its true transaction's hash.

    `given` are all logs of one kind by the endpoint that gave them. Who made one up, left one out or names another
    transaction is in the dissent, and among the names that come back. Raises Unavailable.
    """
    union = sorted({unnamed(log) for logs in given.values() for log in logs}, key=lambda log: log.position)
    places = _prove_logs(quorum, union)
    hashes = _transactions(quorum, given, places)
    liars: list[str] = []
    for name, logs in given.items():
        mine = {unnamed(log): log.transaction_hash for log in logs}
        made_up = next((log for log in mine if log not in places), None)
        missing = next((log for log in union if log in places and log not in mine), None)
        renamed = next((log for log, hash_ in mine.items() if log in places and hash_ != hashes[log]), None)
        if made_up is not None:
            quorum.dissent[name] = f"made up a log in block {made_up.block_number}"
        elif missing is not None:
            quorum.dissent[name] = f"left out a log of block {missing.block_number}"
        elif renamed is not None:
            quorum.dissent[name] = f"names another transaction for a log of block {renamed.block_number}"
        else:
            continue
        liars.append(name)
    return {replace(log, transaction_hash=hashes[log]): places[log] for log in union if log in places}, tuple(liars)


def unnamed(log: Log) -> Log:
    """Without the transaction's hash, which no receipt holds."""
    return replace(log, transaction_hash=b"")


def _transactions(
    quorum: Quorum, given: Mapping[str, Sequence[Log]], places: Mapping[Log, ProvedPlace]
) -> dict[Log, bytes]:
    """The hash of each log's transaction: the proved one, or else the one that enough endpoints name."""
    votes: dict[Log, Counter[bytes]] = {}
    for logs in given.values():
        for log in logs:
            votes.setdefault(unnamed(log), Counter())[log.transaction_hash] += 1
    hashes: dict[Log, bytes] = {}
    for log, place in places.items():
        if place.transaction is not None:
            hashes[log] = place.transaction.transaction.hash
            continue
        (hashes[log], most), *others = votes[log].most_common()
        if others and most < quorum.needed:
            raise RpcUntrue(
                "the endpoints do not agree on the transaction of a log",
                where=f"block {log.block_number} log {log.log_index}",
                got=", ".join(hex_data(value) for value in votes[log]),
            )
    return hashes


def _prove_logs(quorum: Quorum, logs: Iterable[Log]) -> dict[Log, ProvedPlace]:
    """Those of the logs, given `unnamed`, that stand in their blocks. Raises Unavailable when that cannot be told."""
    by_block: dict[int, list[Log]] = {}
    for log in logs:
        by_block.setdefault(log.block_number, []).append(log)
    if len(by_block) > MAX_PROVED_BLOCKS:
        raise Unavailable(
            "too many blocks to prove", got=str(len(by_block)), expected=f"at most {MAX_PROVED_BLOCKS} with logs"
        )
    numbers = list(by_block)
    results = fetch_all(
        [str(number) for number in numbers],
        lambda index, _: _prove_block(quorum, numbers[index], by_block[numbers[index]]),
    )
    places: dict[Log, ProvedPlace] = {}
    for result in results:
        if isinstance(result, TwinproofError):
            raise result
        places.update(result)
    return places


def _prove_block(quorum: Quorum, number: int, logs: Sequence[Log]) -> dict[Log, ProvedPlace]:
    agreement = quorum.block(number)
    mine = [log for log in logs if log.block_hash == agreement.block.hash]
    if not mine:
        return {}
    header = agreement.block
    receipts = true_receipts(quorum, header)
    there = {unnamed(log) for receipt in receipts for log in receipt.logs}
    found = [log for log in mine if log in there]
    try:
        forms: Sequence[bytes] | Unavailable = true_transactions(quorum, header) if found else ()
    except Unavailable as error:
        forms = error
    made: dict[int, ProvedPlace] = {}
    for index in {log.transaction_index for log in found}:
        transaction, unproved = _prove_transaction(forms, index, header)
        receipt = make_receipt_proof(receipts, index, header.receipts_root)
        made[index] = ProvedPlace(agreement, receipt, receipts[index].logs, transaction, unproved)
    return {log: made[log.transaction_index] for log in found}


def _prove_transaction(
    forms: Sequence[bytes] | Unavailable, index: int, header: Header
) -> tuple[ProvedTransaction | None, str]:
    """What stands at this place of the block, or why that is not proved."""
    if isinstance(forms, Unavailable):
        return None, str(forms)
    where = f"transaction {index} of block {header.number}"
    try:
        proof = make_indexed_proof(forms, index, header.transactions_root, "transaction", where)
        return ProvedTransaction(read_transaction(proof.item(header.transactions_root, where), where), proof), ""
    except EvidenceError as error:  # of a form, or with a signature, that is not known here
        return None, str(error)
