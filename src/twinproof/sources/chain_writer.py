"""Make a change of an app's contract: planned, shown, signed, sent, and waited for.

It is done when the contract's own log of it stands in a mined block. What is allowed already is success without a
transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from twinproof.chain.app_change import Change, Written
from twinproof.chain.contracts import OWNER
from twinproof.chain.expected_log import expected_log
from twinproof.chain.receipt import Receipt
from twinproof.chain.values import hex_data
from twinproof.errors import Refused, Unavailable, UsageError
from twinproof.sources.allowed_now import is_done, is_undone
from twinproof.sources.chain_calls import ask, has_code
from twinproof.sources.deploy_journal import JournalFile
from twinproof.sources.kept_transaction import forget, kept_receipt, transact
from twinproof.sources.planned_transaction import Limits, PlannedTransaction, plan_transaction
from twinproof.sources.rpc import Endpoint
from twinproof.sources.rpc_quorum import Quorum
from twinproof.sources.sent_transaction import send, wait_for
from twinproof.sources.signing_key import Signer

__all__ = ["SENT", "ChainWriter", "require_value"]

SENT = "sent"
"""The label of a transaction in a journal of its own."""
_APART_SECONDS = 30.0
_ZERO = bytes(32)


class ChainWriter:
    """Writes through the first endpoint of a quorum. `show` is called with every plan before anything is signed."""

    def __init__(
        self,
        quorum: Quorum,
        *,
        limits: Limits | None = None,
        show: Callable[[PlannedTransaction], None] = lambda _: None,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.quorum, self.limits, self._show = quorum, limits or Limits(), show
        self._pause, self._clock = pause, clock
        self.chain_id = quorum.check_chain_id()

    @property
    def endpoint(self) -> Endpoint:
        return self.quorum.trusted[0]

    def plan(self, change: Change, sender: bytes | None = None) -> PlannedTransaction | None:
        """The transaction that would be sent, by the owner or by `sender`; None when there is nothing to do."""
        require_value(change.value, change.title)
        if is_done(self.quorum, change):
            return None
        owner = ask(self.endpoint, change.contract, OWNER).octets
        if sender is not None and sender != owner:
            contract = has_code(self.endpoint, owner)
            raise Refused(
                "only the owner of the app can do this",
                where=hex_data(change.contract),
                got=hex_data(sender),
                expected=hex_data(owner),
                hint="the owner is a contract, such as a Safe or a timelock: propose the call of --plan there"
                if contract
                else "another key is needed",
            )
        return self.plan_call(change.contract, change.function.call(change.value), sender or owner)

    def write(self, change: Change, signer: Signer, journal: JournalFile | None = None) -> Written:
        """Make the change, or find that it is made. Raises Refused, Unavailable, UsageError.

        What the journal has of an earlier attempt is found again or paid better, and forgotten once it is done.
        """
        planned = self.plan(change, signer.address)
        mined = kept_receipt(self.endpoint, journal, SENT)
        if planned is None or (mined is not None and is_undone(self.quorum, change, mined)):
            forget(journal, SENT)
        if planned is None:
            return Written(
                self.chain_id, change.contract, change.title, change.subject, change.value, None, None, already=True
            )
        receipt = self.send_call(lambda: planned, signer, journal)
        log = expected_log(receipt, change.contract, (change.topic,), change.value)
        self._require_done(change)
        forget(journal, SENT)
        return Written(self.chain_id, change.contract, change.title, change.subject, change.value, receipt, log)

    def _require_done(self, change: Change) -> None:
        """Endpoints may be some blocks apart."""
        end = self._clock() + _APART_SECONDS
        while not is_done(self.quorum, change):
            if self._clock() >= end:
                raise Unavailable("the contract does not have what its log says", where=hex_data(change.contract))
            self._pause(1.0)

    def plan_call(self, to: bytes, data: bytes, sender: bytes) -> PlannedTransaction:
        """The transaction that calls `to` with `data`. Raises Refused, Unavailable, UsageError."""
        return plan_transaction(
            self.quorum.trusted,
            self.quorum.needed,
            chain_id=self.chain_id,
            sender=sender,
            to=to,
            data=data,
            limits=self.limits,
        )

    def send_call(self, plan: Callable[[], PlannedTransaction], signer: Signer, journal: JournalFile | None) -> Receipt:
        """The receipt of what is planned, or of what the journal has already. Raises Refused, Unavailable, UsageError.

        Without a journal, nothing is found again after a crash.
        """
        if journal is not None:
            return transact(
                self.endpoint,
                journal,
                SENT,
                plan,
                signer,
                limits=self.limits,
                show=self._show,
                pause=self._pause,
                clock=self._clock,
            )
        planned = plan()
        self._show(planned)
        raw = planned.signed(signer)
        send(self.endpoint, raw)
        return wait_for(self.endpoint, planned, raw, timeout=self.limits.timeout, pause=self._pause, clock=self._clock)


def require_value(value: bytes, what: str) -> None:
    """Zero is what a missing value looks like; the contracts take it in silence and allow nothing.

    Raises UsageError.
    """
    if len(value) != len(_ZERO) or value == _ZERO:
        raise UsageError(f"not a {what}", got=hex_data(value), expected="32 bytes that are not all zero")
