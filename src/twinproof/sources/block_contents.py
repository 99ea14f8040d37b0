"""All receipts and transactions of one block, from the first endpoint whose answer comes out at the block's roots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from twinproof.chain.block import Header
from twinproof.chain.indexed_proof import make_indexed_proof
from twinproof.chain.receipt import Receipt, parse_receipt
from twinproof.chain.receipt_proof import make_receipt_proof, proved_logs
from twinproof.chain.transaction import consensus_form
from twinproof.chain.values import hex_data
from twinproof.errors import EvidenceError, Forged, Malformed, TwinproofError, Unavailable
from twinproof.sources.rpc import Endpoint, read_from
from twinproof.sources.rpc_errors import NoSuchBlock, RpcRefused, RpcUntrue
from twinproof.sources.rpc_quorum import Quorum
from twinproof.wire import Fields

__all__ = ["nobody_left", "true_receipts", "true_transactions"]

_METHOD_NOT_FOUND = -32601
_MAX_TRANSACTIONS = 100_000
_Found = TypeVar("_Found")


def true_receipts(quorum: Quorum, header: Header) -> tuple[Receipt, ...]:
    """Who gives others than the block has is named. Raises Unavailable when nobody gives these."""

    def receipts_of(endpoint: Endpoint) -> tuple[Receipt, ...]:
        receipts = _receipts(endpoint, header)
        with read_from(endpoint, "receipts"):
            proof = make_receipt_proof(receipts, 0, header.receipts_root)
            proved_logs(proof, header.receipts_root, f"block {header.number}")
            _check_places(receipts)
        return receipts

    return _first(quorum, receipts_of, "receipts")


def true_transactions(quorum: Quorum, header: Header) -> tuple[bytes, ...]:
    """In their consensus form. Raises Unavailable when nobody gives these, or this version does not know their types.

    Who gives others than the block has is named; who gives a type or a form that is not known here need not lie.
    """

    def transactions_of(endpoint: Endpoint) -> tuple[bytes, ...]:
        try:
            forms = _transactions(endpoint, header)
        except EvidenceError as error:
            raise Unavailable(f"transactions that cannot be read here: {error}", where=endpoint.name) from error
        try:
            make_indexed_proof(forms, 0, header.transactions_root, "transaction", f"block {header.number}")
        except Forged as error:
            raise RpcUntrue(f"transactions that cannot be: {error}", where=endpoint.name) from error
        return forms

    return _first(quorum, transactions_of, "transactions")


def nobody_left(quorum: Quorum) -> Unavailable:
    """Every endpoint failed or was caught at a lie; why, for each."""
    return Unavailable(
        "no endpoint is left to ask",
        where="--chain",
        got="; ".join(f"{name} {why}" for name, why in sorted(quorum.dissent.items())),
    )


def _first(quorum: Quorum, question: Callable[[Endpoint], _Found], what: str) -> _Found:
    failure: TwinproofError | None = None
    for endpoint in quorum.trusted:
        try:
            return question(endpoint)
        except (Unavailable, EvidenceError) as error:
            failure = failure or error
            if isinstance(error, RpcUntrue):
                quorum.dissent[endpoint.name] = f"gives {what} that the block does not have: {error}"
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
            if (receipt.block_number, receipt.block_hash) != (header.number, header.hash):
                at = f"{receipt.block_number}, {hex_data(receipt.block_hash)}"
                raise Malformed("a receipt of another block", where="blockNumber, blockHash", got=at)
        return receipts


def _one_by_one(endpoint: Endpoint, header: Header) -> list[object]:
    block = endpoint.call("eth_getBlockByNumber", hex(header.number), False)
    with read_from(endpoint, "a block"):
        hashes = Fields(block, "block").texts("transactions", max_items=_MAX_TRANSACTIONS, max_chars=66)
    return [endpoint.call("eth_getTransactionReceipt", item) for item in hashes]


def _transactions(endpoint: Endpoint, header: Header) -> tuple[bytes, ...]:
    answer = endpoint.call("eth_getBlockByNumber", hex(header.number), True)
    if answer is None:
        raise NoSuchBlock("has no such block", where=endpoint.name, got=hex(header.number))
    block = Fields(answer, f"block {header.number}")
    return tuple(map(consensus_form, block.objects("transactions", max_items=_MAX_TRANSACTIONS)))
