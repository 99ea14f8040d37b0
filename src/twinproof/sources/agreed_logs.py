"""Logs on which endpoints are held against each other, and each log against the block it is said to stand in.

Nobody can prove that no log was left out; but whoever left one out is caught by any other endpoint that did not, since
a log that exists can be proved: its receipt is in a trie whose root is in a block that enough endpoints agree on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from twinproof.chain.block import Header
from twinproof.chain.log import Log
from twinproof.chain.receipt import Receipt, parse_receipt
from twinproof.chain.receipt_proof import ReceiptProof, make_receipt_proof, proved_logs
from twinproof.chain.values import hex_data
from twinproof.errors import EvidenceError, Malformed, TwinproofError, Unavailable
from twinproof.sources.chain_cache import ChainCache, ScanKey
from twinproof.sources.chain_logs import read_logs
from twinproof.sources.concurrent import fetch_all
from twinproof.sources.log_scan import LogFilter
from twinproof.sources.rpc import Endpoint, read_from
from twinproof.sources.rpc_errors import RpcRefused, RpcUntrue
from twinproof.sources.rpc_quorum import Agreement, Quorum
from twinproof.wire import Fields

__all__ = ["ProvedPlace", "agreed_logs", "logs_of_one", "nobody_left", "prove_logs"]

MAX_PROVED_BLOCKS = 2000
_METHOD_NOT_FOUND = -32601
_MAX_TRANSACTIONS = 100_000
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ProvedPlace:
    """The block a log stands in, as enough endpoints have it, and the proof of the log's receipt."""

    block: Agreement
    receipt: ReceiptProof


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
    given = _with_agreed_transactions(quorum, given)
    union = sorted({log for logs in given.values() for log in logs}, key=lambda log: log.position)
    places = prove_logs(quorum, union)
    for name, logs in given.items():
        made_up = next((log for log in logs if log not in places), None)
        missing = next((log for log in union if log in places and log not in set(logs)), None)
        if made_up is not None:
            quorum.dissent[name] = f"made up a log in block {made_up.block_number}"
        elif missing is not None:
            quorum.dissent[name] = f"left out a log of block {missing.block_number}"
        if made_up is not None or missing is not None:
            cache.drop(ScanKey(chain_id, name, wanted))  # it is read again: what was untrue need not stay so
    proved = tuple(log for log in union if log in places)
    if len(quorum.trusted) < quorum.needed and len(quorum.endpoints) > 1:
        raise RpcUntrue(
            "too few endpoints are left that told no lie about the logs",
            where="--chain",
            got="; ".join(f"{name} {why}" for name, why in sorted(quorum.dissent.items())),
            expected=f"at least {quorum.needed}",
        )
    if len(proved) < len(union) and len(quorum.endpoints) == 1:
        raise RpcUntrue("a log that its block does not have", where=quorum.endpoints[0].name)
    return proved, places


def _with_agreed_transactions(quorum: Quorum, given: Mapping[str, tuple[Log, ...]]) -> dict[str, tuple[Log, ...]]:
    """A receipt's proof holds no transaction hash, so endpoints vote on it: all logs then have the hash that won."""
    votes: dict[Log, Counter[bytes]] = {}
    for logs in given.values():
        for log in logs:
            votes.setdefault(_unnamed(log), Counter())[log.transaction_hash] += 1
    won = {log: counter.most_common(1)[0][0] for log, counter in votes.items()}
    named: dict[str, tuple[Log, ...]] = {}
    for name, logs in given.items():
        other = next((log for log in logs if won[_unnamed(log)] != log.transaction_hash), None)
        if other is not None:
            counter = votes[_unnamed(other)]
            if counter[won[_unnamed(other)]] < quorum.needed:
                raise RpcUntrue(
                    "the endpoints do not agree on the transaction of a log",
                    where=f"block {other.block_number} log {other.log_index}",
                    got=", ".join(hex_data(value) for value in counter),
                )
            quorum.dissent[name] = f"names another transaction for a log of block {other.block_number}"
        named[name] = tuple(replace(log, transaction_hash=won[_unnamed(log)]) for log in logs)
    return named


def _unnamed(log: Log) -> Log:
    return replace(log, transaction_hash=b"")


def prove_logs(quorum: Quorum, logs: Iterable[Log]) -> dict[Log, ProvedPlace]:
    """Those of the logs that stand in their blocks, with the proof. Raises Unavailable when it cannot be found out."""
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
    receipts = _true_receipts(quorum, agreement.block)
    found = {_unnamed(log) for receipt in receipts for log in receipt.logs}
    places: dict[Log, ProvedPlace] = {}
    for log in mine:
        if _unnamed(log) in found:
            proof = make_receipt_proof(receipts, log.transaction_index, agreement.block.receipts_root)
            places[log] = ProvedPlace(agreement, proof)
    return places


def _true_receipts(quorum: Quorum, header: Header) -> tuple[Receipt, ...]:
    """All receipts of the block, from the first endpoint whose receipts come out at the block's root."""
    failure: TwinproofError | None = None
    for endpoint in quorum.trusted:
        try:
            receipts = _receipts(endpoint, header)
            with read_from(endpoint, "receipts"):
                proof = make_receipt_proof(receipts, 0, header.receipts_root)
                proved_logs(proof, header.receipts_root, f"block {header.number}")
                _check_places(receipts)
        except (Unavailable, EvidenceError) as error:
            failure = failure or error
            if isinstance(error, RpcUntrue):
                quorum.dissent[endpoint.name] = f"gives receipts that the block does not have: {error}"
        else:
            return receipts
    raise failure or nobody_left(quorum)


def _check_places(receipts: Sequence[Receipt]) -> None:
    """The trie proves contents and their order; a log's index in the block is its place in that order."""
    place = 0
    for receipt in receipts:
        for log in receipt.logs:
            if log.log_index != place:
                raise Malformed("a log at another place of its block", where="logIndex", got=str(log.log_index))
            place += 1


def _receipts(endpoint: Endpoint, header: Header) -> tuple[Receipt, ...]:
    try:
        answer = endpoint.call("eth_getBlockReceipts", hex(header.number))
    except RpcRefused as error:
        if error.code != _METHOD_NOT_FOUND:
            raise
        answer = _one_by_one(endpoint, header)
    with read_from(endpoint, f"receipts of block {header.number}"):
        if not isinstance(answer, list) or len(answer) > _MAX_TRANSACTIONS:
            raise Malformed("not a list of receipts", where="eth_getBlockReceipts")
        receipts = tuple(parse_receipt(Fields(item, f"receipts[{index}]")) for index, item in enumerate(answer))
        for receipt in receipts:
            if receipt.block_hash != header.hash:
                raise Malformed("a receipt of another block", where="blockHash", got=hex_data(receipt.block_hash))
        return receipts


def _one_by_one(endpoint: Endpoint, header: Header) -> list[object]:
    block = endpoint.call("eth_getBlockByNumber", hex(header.number), False)
    with read_from(endpoint, "a block"):
        hashes = Fields(block, "block").texts("transactions", max_items=_MAX_TRANSACTIONS, max_chars=66)
    return [endpoint.call("eth_getTransactionReceipt", item) for item in hashes]


def nobody_left(quorum: Quorum) -> Unavailable:
    """Every endpoint failed or was caught at a lie; why, for each."""
    return Unavailable(
        "no endpoint is left to ask",
        where="--chain",
        got="; ".join(f"{name} {why}" for name, why in sorted(quorum.dissent.items())),
    )
