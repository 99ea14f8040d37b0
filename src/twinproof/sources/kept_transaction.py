"""A transaction that the journal remembers: found mined, sent again, or paid better. Never signed a second time for
another purpose, and never a second one beside it.

What was signed stands in the journal before it is sent. One that waits because its fee is too low by now is replaced by
itself at a higher fee: the same nonce, so at most one of them is ever mined, and both do the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from twinproof.chain.receipt import Receipt
from twinproof.deployments.journal import SignedTransaction
from twinproof.errors import Refused
from twinproof.keccak import keccak256
from twinproof.sources.deploy_journal import JournalFile
from twinproof.sources.planned_transaction import (
    Limits,
    PlannedTransaction,
    fees_now,
    read_signed,
    require_affordable,
)
from twinproof.sources.rpc import Endpoint
from twinproof.sources.sent_transaction import nonce_used, receipt_of, send, wait_for
from twinproof.sources.signing_key import Signer

__all__ = ["forget", "found_mined", "hashes_of", "kept_receipt", "transact"]


def hashes_of(kept: SignedTransaction) -> tuple[bytes, ...]:
    """Of what was signed last, and of what it replaced: any of them may be the one that is mined."""
    return keccak256(kept.raw), *kept.replaced


def found_mined(endpoint: Endpoint, kept: SignedTransaction) -> Receipt | None:
    """The receipt of whichever was mined; None while none is. Raises Unavailable."""
    receipts = (receipt_of(endpoint, transaction) for transaction in hashes_of(kept))
    return next((receipt for receipt in receipts if receipt is not None), None)


def kept_receipt(endpoint: Endpoint, journal: JournalFile | None, label: str) -> Receipt | None:
    """Of the transaction of this label, where the journal has one and it is mined. Raises Unavailable."""
    kept = None if journal is None else journal.now.transactions.get(label)
    return None if kept is None else found_mined(endpoint, kept)


def forget(journal: JournalFile | None, label: str) -> None:
    """What the journal has of this label, if anything."""
    if journal is not None and label in journal.now.transactions:
        journal.change(lambda now: now.with_transaction(label, None))


def transact(
    endpoint: Endpoint,
    journal: JournalFile,
    label: str,
    plan: Callable[[], PlannedTransaction],
    signer: Signer,
    *,
    limits: Limits,
    show: Callable[[PlannedTransaction], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Receipt:
    """The receipt of the one transaction of this label. Raises Refused, Unavailable, UsageError.

    What was replaced by another transaction, or failed, can never succeed any more: it is forgotten and planned anew.
    """
    kept = journal.now.transactions.get(label)
    if kept is not None and _is_over(endpoint, kept):
        forget(journal, label)
        kept = None
    if kept is None:
        planned = plan()
        show(planned)
        kept = SignedTransaction(planned.signed(signer), planned.sender, planned.nonce, planned.gas)
        journal.change(lambda now: now.with_transaction(label, kept))
    elif found_mined(endpoint, kept) is None:
        better = _paid_better(endpoint, kept, signer, limits)
        if better is not None:
            show(better)
            hashes = hashes_of(kept)
            kept = replace(kept, raw=better.signed(signer), replaced=hashes)
            journal.change(lambda now: now.with_transaction(label, kept))
    try:
        if found_mined(endpoint, kept) is None:
            send(endpoint, kept.raw)
    except Refused:
        if found_mined(endpoint, kept) is None:  # else it was mined between the two questions
            raise
    waited = read_signed(kept.raw, kept.sender)
    timeout = limits.timeout
    return wait_for(endpoint, waited, kept.raw, also=kept.replaced, timeout=timeout, pause=pause, clock=clock)


def _is_over(endpoint: Endpoint, kept: SignedTransaction) -> bool:
    """It failed, or another transaction has its nonce."""
    mined = found_mined(endpoint, kept)
    if mined is None and nonce_used(endpoint, kept.sender, kept.nonce):
        mined = found_mined(endpoint, kept)  # it may have been mined between the two questions
        return mined is None or not mined.succeeded
    return mined is not None and not mined.succeeded


def _paid_better(
    endpoint: Endpoint, kept: SignedTransaction, signer: Signer, limits: Limits
) -> PlannedTransaction | None:
    """The same at a higher fee; None where what it pays is what is asked now. Raises Refused when it may cost too much.

    Nodes take a replacement only when both its fees are a tenth higher, some an eighth.
    """
    if kept.sender != signer.address:
        return None
    old = read_signed(kept.raw, kept.sender)
    base_fee, tip = fees_now(endpoint)
    if min(old.max_priority_fee, old.max_fee - base_fee) >= tip:
        return None
    better = replace(
        old,
        max_fee=max(2 * base_fee + tip, old.max_fee + old.max_fee // 8 + 1),
        max_priority_fee=max(tip, old.max_priority_fee + old.max_priority_fee // 8 + 1),
    )
    require_affordable(better, limits, endpoint.name)
    return better
