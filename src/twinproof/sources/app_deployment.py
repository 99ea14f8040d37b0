"""A new app, deployed once through a KMS's factory, and found again however often it is asked for."""

from __future__ import annotations

from dataclasses import replace

from twinproof.chain.abi import AnswerKind
from twinproof.chain.app_change import NewApp, Written
from twinproof.chain.contracts import (
    ALLOWED_COMPOSE_HASHES,
    ALLOWED_DEVICE_IDS,
    DEPLOY_AND_REGISTER_APP,
    DEPLOY_AND_REGISTER_APP_WITH_TCB,
    OWNER,
    REGISTERED_APPS,
)
from twinproof.chain.events import Kind, topics
from twinproof.chain.expected_log import expected_log, missing_log
from twinproof.chain.receipt import Receipt
from twinproof.chain.values import hex_data
from twinproof.errors import Refused, UsageError
from twinproof.sources.chain_calls import ask
from twinproof.sources.chain_writer import SENT, ChainWriter, require_value
from twinproof.sources.deploy_journal import JournalFile
from twinproof.sources.earlier_apps import deployed_by
from twinproof.sources.kept_transaction import forget, kept_receipt
from twinproof.sources.planned_transaction import PlannedTransaction
from twinproof.sources.rpc import Endpoint
from twinproof.sources.signing_key import Signer

__all__ = ["deploy_app", "deployed_app", "plan_app"]


def plan_app(writer: ChainWriter, app: NewApp, sender: bytes) -> PlannedTransaction:
    """The transaction that deploys and registers a new app. Raises Refused, Unavailable, UsageError."""
    require_value(app.device_id, "device")
    require_value(app.compose_hash, "compose hash")
    if not any(app.owner):
        raise UsageError("no owner", where="--owner", got=hex_data(app.owner))
    registry = ask(writer.endpoint, app.kms, REGISTERED_APPS, app.kms)
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
        return writer.plan_call(app.kms, with_tcb, sender)
    without = DEPLOY_AND_REGISTER_APP.call(
        app.owner, app.disable_upgrades, app.allow_any_device, app.device_id, app.compose_hash
    )
    try:
        return writer.plan_call(app.kms, without, sender)
    except Refused as error:
        if "refuse" not in error.what:
            raise
        return writer.plan_call(app.kms, with_tcb, sender)  # a generation of the factory without the shorter form


def deploy_app(
    writer: ChainWriter,
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
    Raises Refused, Unavailable, UsageError.
    """
    if another:
        forget(journal, SENT)
    receipt = kept_receipt(writer.endpoint, journal, SENT)
    if receipt is not None and receipt.succeeded:
        return replace(deployed_app(writer.chain_id, app, signer.address, receipt), already=True)
    if not another and (journal is None or SENT not in journal.now.transactions):
        found = _same_app(writer.endpoint, app, signer.address, from_block)
        if found is not None:
            return Written(
                writer.chain_id, found, "deploy app", "compose hash", app.compose_hash, None, None, already=True
            )
    receipt = writer.send_call(lambda: _plan_alone(writer, app, signer.address, another=another), signer, journal)
    return deployed_app(writer.chain_id, app, signer.address, receipt)


def _plan_alone(writer: ChainWriter, app: NewApp, sender: bytes, *, another: bool) -> PlannedTransaction:
    """Not behind something that waits and is in no journal of ours: it may be this very deployment."""
    planned = plan_app(writer, app, sender)
    if planned.waiting and not another:
        raise Refused(
            "transactions of this account wait, and one of them may be this deployment",
            where=hex_data(sender),
            got=f"{planned.waiting} that are not mined",
            hint="wait until they are mined and run it again; --another deploys all the same",
        )
    return planned


def _same_app(endpoint: Endpoint, app: NewApp, sender: bytes, from_block: int | None) -> bytes | None:
    """The app id. Raises Refused when there are several, Unavailable."""
    wanted = ((ALLOWED_COMPOSE_HASHES, app.compose_hash), (ALLOWED_DEVICE_IDS, app.device_id))
    found = []
    for app_id in deployed_by(endpoint, app.kms, sender, from_block):
        answers = [ask(endpoint, app_id, view, value) for view, value in wanted]
        owner = ask(endpoint, app_id, OWNER)
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


def deployed_app(chain_id: int, app: NewApp, sender: bytes, receipt: Receipt) -> Written:
    """What the factory's receipt says of the new app. Raises Refused when one of its logs is missing."""
    made = topics(Kind.APP_DEPLOYED_VIA_FACTORY)
    created = [
        log
        for log in receipt.logs
        if log.address == app.kms and log.topics[:1] == made and log.topics[2:] == (_word(sender),)
    ]
    if len(created) != 1 or len(created[0].topics) != 3:
        raise missing_log(receipt, "AppDeployedViaFactory")
    app_id = created[0].topics[1][12:]
    expected_log(receipt, app.kms, topics(Kind.APP_REGISTERED), _word(app_id))
    expected_log(receipt, app_id, topics(Kind.DEVICE_ADDED), app.device_id)
    log = expected_log(receipt, app_id, topics(Kind.COMPOSE_HASH_ADDED), app.compose_hash)
    return Written(chain_id, app_id, "deploy app", "compose hash", app.compose_hash, receipt, log)


def _word(address: bytes) -> bytes:
    return address.rjust(32, b"\0")
