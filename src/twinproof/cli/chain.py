"""`twinproof chain`: allow a compose hash, allow a device, deploy an app; the plan first, then the transaction."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from twinproof.chain.ether import wei_of
from twinproof.cli.chain_rows import planned_rows, row, written_rows
from twinproof.cli.chain_settings import ChainSettings, address_of, hash_of, with_flags
from twinproof.cli.configuration import Configuration, read_configuration
from twinproof.cli.http_client import check_timeout
from twinproof.cli.signer import key_of
from twinproof.errors import Refused, UsageError
from twinproof.sources.files import read_file
from twinproof.wire import shown

if TYPE_CHECKING:
    from twinproof.chain.app_change import Change, Written
    from twinproof.sources.chain_writer import ChainWriter
    from twinproof.sources.deploy_journal import JournalFile
    from twinproof.sources.planned_transaction import PlannedTransaction
    from twinproof.sources.signing_key import Signer

__all__ = ["run"]

MAX_APP_COMPOSE = 64 << 20


def run(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments.config)
    settings = with_flags(configuration.chain, arguments)
    signer = None if arguments.plan else key_of(arguments)
    if arguments.action == "deploy-app":
        return _deploy(arguments, configuration, settings, signer)
    from twinproof.chain.app_change import allow_compose_hash, allow_device

    app_id = address_of(arguments.app_id, "APP_ID")
    if arguments.action == "allow":
        change = allow_compose_hash(app_id, _compose_hash(arguments))
    else:
        change = allow_device(app_id, _device(arguments.device, "DEVICE", configuration))
    writer = _writer(arguments, settings, [(change.subject, change.value), ("app id", app_id)])
    if signer is None:
        return _plan(writer, change, arguments)
    with _journal(writer, signer, change.title.encode() + app_id + change.value) as journal:
        return _finished(writer, writer.write(change, signer, journal), arguments)


def _deploy(
    arguments: argparse.Namespace, configuration: Configuration, settings: ChainSettings, signer: Signer | None
) -> int:
    from twinproof.chain.app_change import NewApp
    from twinproof.sources.app_deployment import deploy_app, plan_app

    if settings.kms is None:
        raise UsageError("no KMS contract", where="--kms", hint="or kms of [chain] in twinproof.toml")
    owner = None if arguments.owner is None else address_of(arguments.owner, "--owner")
    sender = owner if signer is None else signer.address
    if sender is None:
        raise UsageError("who would deploy?", where="--plan", expected="--owner ADDRESS")
    app = NewApp(
        kms=settings.kms,
        owner=owner or sender,
        device_id=_device(arguments.device, "--device", configuration),
        compose_hash=_compose_hash(arguments),
        disable_upgrades=arguments.disable_upgrades,
        require_tcb_up_to_date=arguments.require_tcb,
        allow_any_device=arguments.allow_any_device,
    )
    writer = _writer(
        arguments,
        settings,
        [("KMS", app.kms), ("owner", app.owner), ("device", app.device_id), ("compose hash", app.compose_hash)],
    )
    if signer is None:
        planned = plan_app(writer, app, sender)
        _print_plan(planned, arguments)
        return 0
    with _journal(writer, signer, repr(app).encode()) as journal:
        written = deploy_app(writer, app, signer, journal, another=arguments.another, from_block=settings.from_block)
        return _finished(writer, written, arguments)


def _journal(writer: ChainWriter, signer: Signer, what: bytes) -> AbstractContextManager[JournalFile]:
    """What an earlier run of the same command has sent, so that this one goes on from there. Raises UsageError."""
    from twinproof.deployments.journal import Journal
    from twinproof.sources.deploy_journal import journal_file

    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "twinproof"
    digest = hashlib.sha256(what).digest()
    name = f"{writer.chain_id}-{signer.address.hex()}-{digest.hex()[:16]}.json"
    return journal_file(state / "chain" / name, Journal("twinproof chain", digest, writer.chain_id))


def _writer(arguments: argparse.Namespace, settings: ChainSettings, what: list[tuple[str, bytes]]) -> ChainWriter:
    from twinproof.sources.chain_writer import ChainWriter
    from twinproof.sources.http import HttpClient
    from twinproof.sources.limits import Limits as HttpLimits
    from twinproof.sources.planned_transaction import Limits

    check_timeout(arguments)
    quorum = settings.opened(HttpClient(HttpLimits(), ca_file=arguments.ca_file))

    def show(planned: PlannedTransaction) -> None:
        for name, value in what:
            _say(*row(name, value))
        _say(*planned_rows(planned))

    limits = Limits(gas=arguments.gas, max_cost=wei_of(arguments.max_cost, "--max-cost"), timeout=arguments.timeout)
    return ChainWriter(quorum, limits=limits, show=show)


def _plan(writer: ChainWriter, change: Change, arguments: argparse.Namespace) -> int:
    planned = writer.plan(change)
    _say(*row(change.subject, change.value), *row("app id", change.contract))
    if planned is None:
        _say("it is allowed already: there is nothing to send")
        if arguments.json:
            print(json.dumps({"schema": "twinproof/chain-plan/v1", "already": True}, indent=1))
        return 0
    _print_plan(planned, arguments)
    return 0


def _print_plan(planned: PlannedTransaction, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps({"schema": "twinproof/chain-plan/v1", "already": False, **planned.to_json()}, indent=1))
    else:
        print("\n".join(planned_rows(planned)))
    _say("nothing was sent (--plan)")


def _finished(writer: ChainWriter, written: Written, arguments: argparse.Namespace) -> int:
    from twinproof.sources.final_receipt import wait_finalized

    if arguments.wait == "finalized" and written.log is not None:
        _say(f"mined in block {written.log.block_number}; waiting until it is finalized")
        written = wait_finalized(writer.quorum, written, timeout=max(arguments.timeout, 3600))
    if arguments.json:
        print(json.dumps(written.to_json(), indent=1))
    else:
        done = "deployed" if arguments.action == "deploy-app" else "allowed"
        print(f"already {done}; nothing was sent" if written.already else done)
        print("\n".join(written_rows(written)))
    return 0


def _compose_hash(arguments: argparse.Namespace) -> bytes:
    """Of the exact bytes; a hash alone is taken as it is, and said to be no more than that."""
    given = None if arguments.compose_hash is None else hash_of(arguments.compose_hash, "--compose-hash")
    if arguments.app_compose is None:
        if given is None:
            raise UsageError("no compose hash", where="--app-compose", hint="--app-compose FILE, or --compose-hash HEX")
        _say("the compose hash was given, not computed: --app-compose FILE computes it from the bytes")
        return given
    data = read_file(arguments.app_compose, "--app-compose", max_bytes=MAX_APP_COMPOSE)
    computed = hashlib.sha256(data).digest()
    if given is not None and given != computed:
        raise Refused(
            "the app-compose bytes have another hash",
            where=f"--app-compose {shown(arguments.app_compose)}",
            got=computed.hex(),
            expected=given.hex(),
            hint="the hash is of the exact bytes of app-compose.json, not of docker-compose.yml",
        )
    _say(*row("recomputed", f"0x{computed.hex()}, SHA-256 of {len(data)} bytes of {shown(arguments.app_compose)}"))
    return computed


def _device(text: str, where: str, configuration: Configuration) -> bytes:
    """A device id, or the name of a machine of twinproof.toml that has one."""
    machine = next((machine for machine in configuration.machines if machine.name == text), None)
    if machine is None:
        return hash_of(text, where)
    if machine.device_id is None:
        raise UsageError("this machine has no device_id", where=f"[machines.{text}]", hint="`verify` shows it")
    return machine.device_id


def _say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr)
