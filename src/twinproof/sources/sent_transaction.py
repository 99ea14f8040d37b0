"""One transaction on its way: sent, waited for, and found again.

The same signed bytes may be sent many times: they are one transaction, so a lost answer or a dropped transaction is
sent again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

from twinproof.chain.receipt import Receipt, parse_receipt
from twinproof.chain.values import hex_data
from twinproof.errors import Malformed, Refused, Unavailable
from twinproof.keccak import keccak256
from twinproof.sources.planned_transaction import PlannedTransaction
from twinproof.sources.rpc import Endpoint, quantity_of, read_from
from twinproof.sources.rpc_errors import RpcRefused
from twinproof.wire import Fields, shown

__all__ = ["nonce_used", "receipt_of", "send", "wait_for"]

_POLL_SECONDS = 1.0
_RESEND_SECONDS = 15.0
_KNOWN = "already known", "already imported", "already in", "known transaction", "alreadyknown", "same hash"


def send(endpoint: Endpoint, raw: bytes) -> bytes:
    """The transaction's hash, computed from what was sent. Raises Refused, Unavailable."""
    mine = keccak256(raw)
    try:
        answer = endpoint.call("eth_sendRawTransaction", hex_data(raw))
    except RpcRefused as error:
        said = error.message.lower()
        if any(words in said for words in _KNOWN):
            return mine
        raise Refused(
            f"the endpoint does not take the transaction: {error.message}",
            where=endpoint.name,
            got=hex_data(mine),
            hint="it says that it did not; run the command again: what was done is not done twice",
        ) from error
    if answer != hex_data(mine):
        raise Unavailable(
            "the endpoint gives the transaction another hash",
            where=endpoint.name,
            got=shown(answer, 80),
            expected=hex_data(mine),
            hint="it may have been sent all the same; run the command again: what was done is not done twice",
        )
    return mine


def receipt_of(endpoint: Endpoint, transaction: bytes) -> Receipt | None:
    """The receipt, None while it is not mined. Raises Unavailable."""
    answer = endpoint.call("eth_getTransactionReceipt", hex_data(transaction))
    if answer is None:
        return None
    with read_from(endpoint, "a receipt"):
        receipt = parse_receipt(Fields(answer, "receipt"))
        if receipt.transaction_hash != transaction:
            raise Malformed(
                "the receipt of another transaction", where="receipt", got=hex_data(receipt.transaction_hash)
            )
    return receipt


def wait_for(
    endpoint: Endpoint,
    planned: PlannedTransaction,
    raw: bytes,
    *,
    also: Sequence[bytes] = (),
    timeout: float,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Receipt:
    """Until it is mined, or one of `also`, hashes of itself at other fees.

    Raises Refused when it was replaced by something else or reverted, Unavailable when the time is up.
    """
    transaction = keccak256(raw)

    def mined() -> Receipt | None:
        receipts = (receipt_of(endpoint, each) for each in (transaction, *also))
        return next((receipt for receipt in receipts if receipt is not None), None)

    end = clock() + timeout
    resend = clock() + _RESEND_SECONDS
    while True:
        receipt = mined()
        if receipt is None and nonce_used(endpoint, planned.sender, planned.nonce):
            receipt = mined()  # it may have been mined between the two questions
            if receipt is None:
                raise Refused(
                    "the transaction was replaced: another one of this account has its nonce",
                    where=hex_data(transaction),
                    got=f"nonce {planned.nonce} is used",
                    hint="run the command again: what was done is not done twice",
                )
        if receipt is not None:
            return _succeeded(endpoint, receipt, planned)
        if clock() >= end:
            raise Unavailable(
                "the transaction is not mined yet",
                where=hex_data(transaction),
                got=f"waited {timeout:g} s",
                hint="it may still be; run the command again: it sends the same, at a higher fee where that is needed",
            )
        if clock() >= resend:
            resend = clock() + _RESEND_SECONDS
            if endpoint.call("eth_getTransactionByHash", hex_data(transaction)) is None:
                with contextlib.suppress(Refused):  # mined since, or waited for: the next round tells
                    send(endpoint, raw)  # dropped
        pause(_POLL_SECONDS)


def nonce_used(endpoint: Endpoint, sender: bytes, nonce: int) -> bool:
    """Whether a transaction of the sender with this nonce is mined. Raises Unavailable."""
    return quantity_of(endpoint, "eth_getTransactionCount", hex_data(sender), "latest") > nonce


def _succeeded(endpoint: Endpoint, receipt: Receipt, planned: PlannedTransaction) -> Receipt:
    if receipt.succeeded:
        return receipt
    out_of_gas = receipt.gas_used >= planned.gas
    raise Refused(
        "the transaction was mined and failed" + (": it ran out of gas" if out_of_gas else ""),
        where=f"{endpoint.name} {hex_data(receipt.transaction_hash)}",
        got=f"{receipt.gas_used} of {planned.gas} gas used, block {receipt.block_number}",
        hint="nothing was changed" + ("; leave --gas out" if out_of_gas else ""),
    )
