"""What twinproof writes to a chain: allow a compose hash, allow a device, deploy an app.

A change is done when the contract's own log of it stands in a mined block: the receipt's status alone says that
something happened, not what. What is allowed already is success without a transaction.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from twinproof.chain.abi import AnswerKind, Function
from twinproof.chain.contracts import (
    ADD_COMPOSE_HASH,
    ADD_DEVICE,
    ALLOWED_COMPOSE_HASHES,
    ALLOWED_DEVICE_IDS,
    DEPLOY_AND_REGISTER_APP,
    DEPLOY_AND_REGISTER_APP_WITH_TCB,
    OWNER,
    REGISTERED_APPS,
)
from twinproof.chain.log import Log
from twinproof.chain.receipt import Receipt
from twinproof.chain.values import hex_data
from twinproof.errors import Refused, Unavailable, UsageError
from twinproof.keccak import keccak256
from twinproof.sources.chain_calls import ask, has_code
from twinproof.sources.deploy_journal import JournalFile
from twinproof.sources.earlier_apps import DEPLOYED, deployed_by
from twinproof.sources.kept_transaction import found_mined, transact
from twinproof.sources.rpc import Endpoint, header_at
from twinproof.sources.rpc_errors import NoSuchBlock, RpcUntrue
from twinproof.sources.rpc_quorum import Quorum
from twinproof.sources.signing_key import Signer
from twinproof.sources.transactions import Limits, PlannedTransaction, plan_transaction, receipt_of, send, wait_for

__all__ = ["SENT", "ChainWriter", "Change", "NewApp", "Written", "allow_compose_hash", "allow_device"]

COMPOSE_HASH_ADDED = keccak256(b"ComposeHashAdded(bytes32)")
DEVICE_ADDED = keccak256(b"DeviceAdded(bytes32)")
REGISTERED = keccak256(b"AppRegistered(address)")
SENT = "sent"
"""The label of a transaction in a journal of its own."""
_POLL_SECONDS, _APART_SECONDS = 4.0, 30.0
_ZERO = bytes(32)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of an app's contract: function and argument, the view that tells it is done, the log it leaves."""

    contract: bytes
    title: str
    value: bytes
    function: Function
    view: Function
    topic: bytes


@dataclass(frozen=True, slots=True)
class NewApp:
    """An app to deploy through the KMS's factory. Device and compose hash have 32 bytes and are not zero."""

    kms: bytes
    owner: bytes
    device_id: bytes
    compose_hash: bytes
    disable_upgrades: bool = False
    require_tcb_up_to_date: bool = False
    allow_any_device: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What was done. `already`: before this run; receipt and log are None where they are not known then."""

    chain_id: int
    contract: bytes
    title: str
    value: bytes
    receipt: Receipt | None
    log: Log | None
    finalized: bool = False
    already: bool = False

    def to_json(self) -> dict[str, object]:
        document: dict[str, object] = {
            "schema": "twinproof/chain-write/v1",
            "chain_id": self.chain_id,
            "contract": hex_data(self.contract),
            "change": self.title,
            "value": hex_data(self.value),
            "already": self.already,
            "finalized": self.finalized,
        }
        if self.log is not None:
            document |= {
                "transaction": hex_data(self.log.transaction_hash),
                "block": self.log.block_number,
                "block_hash": hex_data(self.log.block_hash),
                "log_index": self.log.log_index,
                "topic0": hex_data(self.log.topics[0]),
            }
        if self.receipt is not None:
            document |= {"gas_used": self.receipt.gas_used, "effective_gas_price": self.receipt.effective_gas_price}
        return document


def allow_compose_hash(app_id: bytes, compose_hash: bytes) -> Change:
    """`addComposeHash`: instances with these exact app-compose bytes may get the app's keys."""
    return Change(
        app_id, "allow compose hash", compose_hash, ADD_COMPOSE_HASH, ALLOWED_COMPOSE_HASHES, COMPOSE_HASH_ADDED
    )


def allow_device(app_id: bytes, device_id: bytes) -> Change:
    """`addDevice`: instances on this machine may get the app's keys."""
    return Change(app_id, "allow device", device_id, ADD_DEVICE, ALLOWED_DEVICE_IDS, DEVICE_ADDED)


def _says(endpoint: Endpoint, change: Change, chain_id: int) -> bool:
    answer = ask(endpoint, change.contract, change.view, change.value)
    if answer.kind is AnswerKind.VALUE:
        return answer.flag
    raise Refused(
        f"not an app of dstack: {answer.kind}",
        where=hex_data(change.contract),
        got=answer.reason,
        hint=f"the app id is the address of its contract; is it of chain {chain_id}?",
    )


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
        self._quorum, self._limits, self._show = quorum, limits or Limits(), show
        self._pause, self._clock = pause, clock
        self.chain_id = quorum.check_chain_id()

    @property
    def endpoint(self) -> Endpoint:
        return self._quorum.trusted[0]

    def is_done(self, change: Change) -> bool:
        """Whether the contract says so now, to as many endpoints as have to agree.

        Raises Refused for what is no app contract, Unavailable.
        """
        said: list[bool] = []
        failures: list[Unavailable] = []
        for endpoint in self._quorum.trusted:
            try:
                said.append(_says(endpoint, change, self.chain_id))
            except Unavailable as error:
                failures.append(error)
            if said.count(True) >= self._quorum.needed:
                return True
        if len(said) < self._quorum.needed and failures:
            raise failures[0]
        return False

    def is_undone(self, change: Change, receipt: Receipt) -> bool:
        """Whether what this mined transaction did holds no more: so say enough endpoints that have its block.

        Those that are behind it do not know of it yet, and are no reason to send it a second time. Raises Unavailable.
        """
        there = 0
        for endpoint in self._quorum.trusted:
            with contextlib.suppress(Unavailable):
                there += header_at(endpoint, "latest").number >= receipt.block_number
        return there >= self._quorum.needed and not self.is_done(change)

    def plan(self, change: Change, sender: bytes | None = None) -> PlannedTransaction | None:
        """The transaction that would be sent, by the owner or by `sender`; None when there is nothing to do."""
        _check_value(change.value, change.title)
        if self.is_done(change):
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
        return self._planned(change.contract, change.function.call(change.value), sender or owner)

    def write(self, change: Change, signer: Signer, journal: JournalFile | None = None) -> Written:
        """Make the change, or find that it is made. Raises Refused, Unavailable, UsageError.

        What the journal has of an earlier attempt is found again or paid better, and forgotten once it is done.
        """
        planned = self.plan(change, signer.address)
        mined = _mined(self.endpoint, journal)
        if planned is None or (mined is not None and self.is_undone(change, mined)):
            _forget(journal)
        if planned is None:
            return Written(self.chain_id, change.contract, change.title, change.value, None, None, already=True)
        receipt = self._sent(lambda: planned, signer, journal)
        log = _the_log(receipt, change.contract, (change.topic,), change.value)
        self._require_done(change)
        _forget(journal)
        return Written(self.chain_id, change.contract, change.title, change.value, receipt, log)

    def _require_done(self, change: Change) -> None:
        """Endpoints may be some blocks apart."""
        end = self._clock() + _APART_SECONDS
        while not self.is_done(change):
            if self._clock() >= end:
                raise Unavailable("the contract does not have what its log says", where=hex_data(change.contract))
            self._pause(1.0)

    def plan_app(self, app: NewApp, sender: bytes) -> PlannedTransaction:
        """The transaction that deploys and registers a new app. Raises Refused, Unavailable, UsageError."""
        _check_value(app.device_id, "device")
        _check_value(app.compose_hash, "compose hash")
        if not any(app.owner):
            raise UsageError("no owner", where="--owner", got=hex_data(app.owner))
        registry = ask(self.endpoint, app.kms, REGISTERED_APPS, app.kms)
        if registry.kind is not AnswerKind.VALUE:
            raise Refused(f"not a KMS of dstack: {registry.kind}", where=hex_data(app.kms), got=registry.reason)
        with_tcb = DEPLOY_AND_REGISTER_APP_WITH_TCB.call(
            app.owner,
            app.disable_upgrades,
            app.require_tcb_up_to_date,
            app.allow_any_device,
            app.device_id,
            app.compose_hash,
        )
        if app.require_tcb_up_to_date:
            return self._planned(app.kms, with_tcb, sender)
        without = DEPLOY_AND_REGISTER_APP.call(
            app.owner, app.disable_upgrades, app.allow_any_device, app.device_id, app.compose_hash
        )
        try:
            return self._planned(app.kms, without, sender)
        except Refused as error:
            if "refuse" not in error.what:
                raise
            return self._planned(app.kms, with_tcb, sender)  # a generation of the factory without the shorter form

    def deploy(
        self,
        app: NewApp,
        signer: Signer,
        journal: JournalFile | None = None,
        *,
        another: bool = False,
        from_block: int | None = None,
    ) -> Written:
        """Deploy, or find what was deployed; `contract` of what is written is the app id.

        The same app is one that this account deployed through the factory for the same owner, and that allows this
        device and this compose hash. Unless `another` is wanted, it is not deployed a second time: what the journal has
        is found again, and without a journal the factory's log is looked at, from `from_block` on.
        """
        if another:
            _forget(journal)
        receipt = _mined(self.endpoint, journal)
        if receipt is not None and receipt.succeeded:
            return replace(self.deployed(app, signer.address, receipt), already=True)
        if not another and (journal is None or SENT not in journal.now.transactions):
            found = self.same_app(app, signer.address, from_block)
            if found is not None:
                return Written(self.chain_id, found, "deploy app", app.compose_hash, None, None, already=True)
        receipt = self._sent(lambda: self._plan_alone(app, signer.address, another=another), signer, journal)
        return self.deployed(app, signer.address, receipt)

    def _plan_alone(self, app: NewApp, sender: bytes, *, another: bool) -> PlannedTransaction:
        """Not behind something that waits and is in no journal of ours: it may be this very deployment."""
        planned = self.plan_app(app, sender)
        if planned.waiting and not another:
            raise Refused(
                "transactions of this account wait, and one of them may be this deployment",
                where=hex_data(sender),
                got=f"{planned.waiting} that are not mined",
                hint="wait until they are mined and run it again; --another deploys all the same",
            )
        return planned

    def same_app(self, app: NewApp, sender: bytes, from_block: int | None) -> bytes | None:
        """The app id. Raises Refused when there are several, Unavailable."""
        wanted = ((ALLOWED_COMPOSE_HASHES, app.compose_hash), (ALLOWED_DEVICE_IDS, app.device_id))
        found = []
        for app_id in deployed_by(self.endpoint, app.kms, sender, from_block):
            answers = [ask(self.endpoint, app_id, view, value) for view, value in wanted]
            owner = ask(self.endpoint, app_id, OWNER)
            if all(answer.kind is AnswerKind.VALUE and answer.flag for answer in answers) and (
                owner.kind is AnswerKind.VALUE and owner.octets == app.owner
            ):
                found.append(app_id)
        if len(found) > 1:
            raise Refused(
                "several apps of this account allow this compose hash and this device",
                where=hex_data(app.kms),
                got=", ".join(map(hex_data, found)),
                hint="use one of them; --another deploys one more",
            )
        return found[0] if found else None

    def deployed(self, app: NewApp, sender: bytes, receipt: Receipt) -> Written:
        """What the factory's receipt says of the new app. Raises Refused when one of its logs is missing."""
        created = [
            log
            for log in receipt.logs
            if log.address == app.kms and log.topics[:1] == (DEPLOYED,) and log.topics[2:] == (_word(sender),)
        ]
        if len(created) != 1 or len(created[0].topics) != 3:
            raise _missing(receipt, "AppDeployedViaFactory")
        app_id = created[0].topics[1][12:]
        _the_log(receipt, app.kms, (REGISTERED,), _word(app_id))
        _the_log(receipt, app_id, (DEVICE_ADDED,), app.device_id)
        log = _the_log(receipt, app_id, (COMPOSE_HASH_ADDED,), app.compose_hash)
        return Written(self.chain_id, app_id, "deploy app", app.compose_hash, receipt, log)

    def wait_finalized(self, written: Written, *, timeout: float) -> Written:
        """Until the block is finalized for the quorum, and for as many endpoints the log stands in it.

        Raises Unavailable.
        """
        if written.log is None:
            return written
        end = self._clock() + timeout
        while True:
            agreed = self._quorum.finalized().block.number
            receipt = receipt_of(self.endpoint, written.log.transaction_hash)
            if receipt is not None and receipt.block_number <= agreed:
                log = _the_log(receipt, written.log.address, written.log.topics, written.log.data)
                self._require_agreed(receipt)
                return replace(written, receipt=receipt, log=log, finalized=True)
            if self._clock() >= end:
                raise Unavailable(
                    "the transaction is mined, and its block not finalized yet",
                    where=hex_data(written.log.transaction_hash),
                    got=f"finalized {agreed}, mined in {written.log.block_number}"
                    if receipt is not None
                    else "a reorganisation took it out of its block",
                    hint="run the command again: what was done is not done twice",
                )
            self._pause(_POLL_SECONDS)

    def _require_agreed(self, receipt: Receipt) -> None:
        """The block is the one that the quorum has, and as many endpoints show this receipt. Raises Unavailable."""
        if self._quorum.block(receipt.block_number).block.hash != receipt.block_hash:
            raise NoSuchBlock("the receipt is of a block that the chain does not have", where=self.endpoint.name)
        same = 0
        for endpoint in self._quorum.trusted:
            with contextlib.suppress(Unavailable):
                other = receipt_of(endpoint, receipt.transaction_hash)
                same += other is not None and _told(other) == _told(receipt)
        if same < self._quorum.needed:
            raise RpcUntrue(
                "the endpoints do not agree on the receipt",
                where=hex_data(receipt.transaction_hash),
                got=f"{same} of {len(self._quorum.endpoints)} show it",
                expected=f"at least {self._quorum.needed}",
                hint="one of them lies or lags; ask more endpoints",
            )

    def _planned(self, to: bytes, data: bytes, sender: bytes) -> PlannedTransaction:
        return plan_transaction(
            self._quorum.trusted,
            self._quorum.needed,
            chain_id=self.chain_id,
            sender=sender,
            to=to,
            data=data,
            limits=self._limits,
        )

    def _sent(self, plan: Callable[[], PlannedTransaction], signer: Signer, journal: JournalFile | None) -> Receipt:
        if journal is not None:
            return transact(
                self.endpoint,
                journal,
                SENT,
                plan,
                signer,
                limits=self._limits,
                show=self._show,
                pause=self._pause,
                clock=self._clock,
            )
        planned = plan()
        self._show(planned)
        raw = planned.signed(signer)
        send(self.endpoint, raw)
        return wait_for(self.endpoint, planned, raw, timeout=self._limits.timeout, pause=self._pause, clock=self._clock)


def _told(receipt: Receipt) -> tuple[object, ...]:
    """What is relied on; endpoints may differ in the rest."""
    return receipt.succeeded, receipt.block_number, receipt.block_hash, receipt.logs


def _mined(endpoint: Endpoint, journal: JournalFile | None) -> Receipt | None:
    kept = None if journal is None else journal.now.transactions.get(SENT)
    return None if kept is None else found_mined(endpoint, kept)


def _forget(journal: JournalFile | None) -> None:
    if journal is not None and SENT in journal.now.transactions:
        journal.change(lambda now: now.with_transaction(SENT, None))


def _check_value(value: bytes, what: str) -> None:
    """Zero is what a missing value looks like; the contracts take it in silence and allow nothing."""
    if len(value) != len(_ZERO) or value == _ZERO:
        raise UsageError(f"not a {what}", got=hex_data(value), expected="32 bytes that are not all zero")


def _the_log(receipt: Receipt, contract: bytes, topics: tuple[bytes, ...], data: bytes) -> Log:
    """The one log of this contract with these topics and this data. Raises Refused."""
    found = [log for log in receipt.logs if (log.address, log.topics, log.data) == (contract, topics, data)]
    if len(found) != 1:
        raise _missing(receipt, f"log {hex_data(topics[0])[:10]} of {hex_data(contract)}")
    return found[0]


def _missing(receipt: Receipt, what: str) -> Refused:
    return Refused(
        f"the transaction succeeded without the log it should leave: {what}",
        where=hex_data(receipt.transaction_hash),
        got=f"{len(receipt.logs)} logs",
        hint="is this contract a DstackApp or DstackKms?",
    )


def _word(address: bytes) -> bytes:
    return address.rjust(32, b"\0")
