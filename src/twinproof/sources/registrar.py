"""The chain's side of a deployment: what the contracts say, and transactions that survive a crash at any moment.

However often a deployment is started over, there is one contract: `kept_transaction` says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from twinproof.chain.abi import AnswerKind
from twinproof.chain.app_change import Change, NewApp, allow_compose_hash, allow_device
from twinproof.chain.contracts import KMS_INFO, OWNER, REGISTERED_APPS
from twinproof.chain.receipt import Receipt
from twinproof.deployments.anchor import COMPOSE_HASH_ADDED, Mined
from twinproof.deployments.journal import SignedTransaction
from twinproof.errors import Refused, Unavailable
from twinproof.keccak import keccak256
from twinproof.sources.allowed_now import device_may_boot, is_done, is_undone
from twinproof.sources.app_deployment import deployed_app, plan_app
from twinproof.sources.chain_cache import ChainCache
from twinproof.sources.chain_calls import ask
from twinproof.sources.chain_logs import first_block_with_code
from twinproof.sources.chain_writer import ChainWriter
from twinproof.sources.deploy_journal import JournalFile
from twinproof.sources.earlier_apps import deployed_by
from twinproof.sources.kept_transaction import forget, found_mined, kept_receipt, transact
from twinproof.sources.log_scan import LogFilter, LogScan, finished
from twinproof.sources.mined import mined_transaction
from twinproof.sources.planned_transaction import PlannedTransaction
from twinproof.sources.rpc import Endpoint, header_at
from twinproof.sources.signing_key import Signer

__all__ = ["ALLOW", "CONTRACT", "Registrar"]

CONTRACT, ALLOW = "contract", "allow"


class Registrar:
    """One KMS contract, one signer. `show` is called with every plan before it is signed."""

    def __init__(
        self,
        writer: ChainWriter,
        signer: Signer,
        *,
        kms: bytes,
        from_block: int | None = None,
        show: Callable[[PlannedTransaction], None] = lambda _: None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._writer, self._signer, self.kms, self._show = writer, signer, kms, show
        self._pause, self._from_block = pause, from_block

    @property
    def chain_id(self) -> int:
        return self._writer.chain_id

    @property
    def address(self) -> bytes:
        return self._signer.address

    @property
    def endpoint(self) -> Endpoint:
        return self._writer.endpoint

    def kms_root(self) -> bytes:
        """kmsInfo().k256Pubkey. Raises Refused when there is no such contract, Unavailable."""
        answer = ask(self.endpoint, self.kms, KMS_INFO)
        if answer.kind is not AnswerKind.VALUE or not isinstance(answer.values[0], bytes):
            raise Refused(f"not a KMS of dstack: {answer.kind}", where=f"0x{self.kms.hex()}", got=answer.reason)
        return answer.values[0]

    def is_ours(self, app_id: bytes) -> bool:
        """Registered at the KMS, and owned by the signer. Raises Unavailable."""
        registered = ask(self.endpoint, self.kms, REGISTERED_APPS, app_id)
        owner = ask(self.endpoint, app_id, OWNER)
        return (
            registered.kind is AnswerKind.VALUE
            and registered.flag
            and owner.kind is AnswerKind.VALUE
            and owner.octets == self.address
        )

    def require_ours(self, app_id: bytes) -> None:
        """Raises Refused naming what is missing, Unavailable."""
        registered = ask(self.endpoint, self.kms, REGISTERED_APPS, app_id)
        where = f"app 0x{app_id.hex()}"
        if registered.kind is not AnswerKind.VALUE or not registered.flag:
            raise Refused("not registered at the KMS contract", where=where, expected=f"KMS 0x{self.kms.hex()}")
        owner = ask(self.endpoint, app_id, OWNER)
        if owner.kind is not AnswerKind.VALUE or owner.octets != self.address:
            raise Refused(
                "only the owner of the app can deploy it",
                where=where,
                got=f"0x{self.address.hex()}",
                expected=f"0x{owner.octets.hex()}" if owner.kind is AnswerKind.VALUE else str(owner.kind),
            )

    def hash_allowed(self, app_id: bytes, compose_hash: bytes) -> bool:
        return is_done(self._writer.quorum, allow_compose_hash(app_id, compose_hash))

    def device_allowed(self, app_id: bytes, device_id: bytes) -> bool:
        return device_may_boot(self._writer.quorum, app_id, device_id)

    def earlier_contract(self, compose_hash: bytes) -> bytes | None:
        """An app that this signer deployed lately through the factory, and that allows this very hash, if there is one.

        It is what is left of an attempt whose journal was lost. Raises Unavailable, Refused when there are several.
        """
        apps = deployed_by(self.endpoint, self.kms, self.address, self._from_block)
        found = [app_id for app_id in apps if self.is_ours(app_id) and self.hash_allowed(app_id, compose_hash)]
        if len(found) > 1:
            raise Refused(
                "several contracts of this signer allow this compose hash",
                got=", ".join(app_id.hex() for app_id in found),
                hint="--app-id says which one is meant",
            )
        return found[0] if found else None

    def deploy(self, journal: JournalFile, *, device_id: bytes, compose_hash: bytes) -> bytes:
        """The app id of the one contract of this journal. Raises Refused, Unavailable."""
        app = NewApp(kms=self.kms, owner=self.address, device_id=device_id, compose_hash=compose_hash)
        receipt = self._transact(journal, CONTRACT, lambda: plan_app(self._writer, app, self.address))
        app_id = deployed_app(self.chain_id, app, self.address, receipt).contract
        journal.change(lambda now: now.with_app(app_id))
        return app_id

    def allow(self, journal: JournalFile, app_id: bytes, *, compose_hash: bytes) -> None:
        """Done when the contract says so. Raises Refused, Unavailable."""
        self._make(journal, ALLOW, allow_compose_hash(app_id, compose_hash), "the compose hash")

    def add_device(self, journal: JournalFile, app_id: bytes, name: str, device_id: bytes) -> None:
        """Done when the contract says so. Raises Refused, Unavailable."""
        self._make(journal, f"device {name}", allow_device(app_id, device_id), f"the device of {name}")

    def _make(self, journal: JournalFile, label: str, change: Change, what: str) -> None:
        """What the journal has of this change is forgotten where it was mined and is undone: it does nothing more."""
        if is_done(self._writer.quorum, change):
            return
        receipt = kept_receipt(self.endpoint, journal, label)
        if receipt is not None and is_undone(self._writer.quorum, change, receipt):
            forget(journal, label)
        self._transact(journal, label, lambda: _needed(self._writer.plan(change, self.address)))
        if not is_done(self._writer.quorum, change):
            raise Unavailable(f"the transaction is mined, and the contract does not allow {what} yet", where="chain")

    def anchor(self, journal: JournalFile, app_id: bytes, compose_hash: bytes) -> Mined:
        """The transaction that allowed the hash: the journal's, otherwise the last one in the contract's own logs."""
        for label in (ALLOW, CONTRACT):
            receipt = kept_receipt(self.endpoint, journal, label)
            if receipt is not None:
                mined = mined_transaction(self.endpoint, receipt.transaction_hash)
                if any(log.address == app_id and log.data == compose_hash for log in mined.receipt.logs):
                    return mined
        head = header_at(self.endpoint, "latest").number
        first = first_block_with_code(
            self.endpoint, f"0x{app_id.hex()}", chain_id=self.chain_id, end=head, cache=ChainCache(None)
        )
        logs = finished(LogScan(self.endpoint, LogFilter((app_id,), ((COMPOSE_HASH_ADDED,),))).chunks(first, head))
        transactions = [log.transaction_hash for log in logs if log.data == compose_hash]
        if not transactions:
            raise Refused("the app's contract never logged this compose hash", got=compose_hash.hex())
        return mined_transaction(self.endpoint, transactions[-1])

    def last_sent_block(self, journal: JournalFile) -> int:
        """The last block that holds a transaction of this journal, 0 for none. Raises Unavailable."""
        kept = journal.now.transactions.values()
        receipts = [found_mined(self.endpoint, transaction) for transaction in kept]
        return max((receipt.block_number for receipt in receipts if receipt is not None), default=0)

    def transaction_of(self, kept: SignedTransaction) -> bytes:
        """The hash of the one that is mined, it or one that it replaced; otherwise its own. Raises Unavailable."""
        receipt = found_mined(self.endpoint, kept) if kept.replaced else None
        return keccak256(kept.raw) if receipt is None else receipt.transaction_hash

    def _transact(self, journal: JournalFile, label: str, plan: Callable[[], PlannedTransaction]) -> Receipt:
        return transact(
            self.endpoint,
            journal,
            label,
            plan,
            self._signer,
            limits=self._writer.limits,
            show=self._show,
            pause=self._pause,
        )


def _needed(planned: PlannedTransaction | None) -> PlannedTransaction:
    if planned is None:
        raise Unavailable("the chain changed its answer between two questions", where="chain", hint="run it again")
    return planned
