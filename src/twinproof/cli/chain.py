"""`twinproof chain`: allow a compose hash, allow a device, deploy an app; the plan first, then the transaction."""

from __future__ import annotations

import argparse
import getpass
import hashlib
import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from twinproof.cli.chain_settings import ChainSettings, address_of, hash_of, with_flags
from twinproof.cli.configuration import Configuration, read_configuration
from twinproof.cli.http_client import check_timeout
from twinproof.errors import Refused, UsageError
from twinproof.sources.files import read_file
from twinproof.wire import shown

if TYPE_CHECKING:
    from twinproof.chain.app_change import Change, Written
    from twinproof.sources.chain_writer import ChainWriter
    from twinproof.sources.deploy_journal import JournalFile
    from twinproof.sources.planned_transaction import PlannedTransaction
    from twinproof.sources.signing_key import Signer

__all__ = ["key_of", "run"]

MAX_APP_COMPOSE = 64 << 20
_WEI = Decimal(10**18)


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
    writer = _writer(arguments, settings, [(change.title, change.value), ("app", app_id)])
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
            _say(f"{name:<20} 0x{value.hex()}")
        _say(*_lines(planned))

    limits = Limits(gas=arguments.gas, max_cost=_wei(arguments.max_cost), timeout=arguments.timeout)
    return ChainWriter(quorum, limits=limits, show=show)


def _plan(writer: ChainWriter, change: Change, arguments: argparse.Namespace) -> int:
    planned = writer.plan(change)
    _say(f"{change.title:<20} 0x{change.value.hex()}", f"{'app':<20} 0x{change.contract.hex()}")
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
        print("\n".join(_lines(planned)))
    _say("nothing was sent (--plan)")


def _lines(planned: PlannedTransaction) -> list[str]:
    rows = [
        ("chain id", str(planned.chain_id)),
        ("from", f"0x{planned.sender.hex()}"),
        ("to", f"0x{planned.to.hex()}"),
        ("data", shown(f"0x{planned.data.hex()}", 500)),
        ("nonce", str(planned.nonce)),
        ("gas", f"{planned.gas} at up to {planned.max_fee} wei"),
        ("at most", f"{_ether(planned.max_cost)} ETH of {_ether(planned.balance)} ETH"),
    ]
    if planned.waiting:
        rows.append(("waits for", f"{planned.waiting} transactions of this account that are not mined yet"))
    return [f"{name:<20} {value}" for name, value in rows]


def _finished(writer: ChainWriter, written: Written, arguments: argparse.Namespace) -> int:
    from twinproof.sources.final_receipt import wait_finalized

    if arguments.wait == "finalized" and written.log is not None:
        _say(f"mined in block {written.log.block_number}; waiting until it is finalized")
        written = wait_finalized(writer.quorum, written, timeout=max(arguments.timeout, 3600))
    if arguments.json:
        print(json.dumps(written.to_json(), indent=1))
    elif written.already or written.log is None:
        done = "deployed" if arguments.action == "deploy-app" else "allowed"
        print(f"already {done}: 0x{written.value.hex()} at 0x{written.contract.hex()}; nothing was sent")
        if written.log is not None:
            print(f"transaction  0x{written.log.transaction_hash.hex()}, block {written.log.block_number}")
    else:
        state = "finalized" if written.finalized else "mined, not final yet"
        print(f"{written.title}: 0x{written.value.hex()}")
        print(f"app id       0x{written.contract.hex()}  (chain {written.chain_id})")
        print(f"transaction  0x{written.log.transaction_hash.hex()}")
        print(f"block        {written.log.block_number}, log {written.log.log_index}  ({state})")
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
    _say(f"{'recomputed':<20} 0x{computed.hex()}, SHA-256 of {len(data)} bytes of {shown(arguments.app_compose)}")
    return computed


def _device(text: str, where: str, configuration: Configuration) -> bytes:
    """A device id, or the name of a machine of twinproof.toml that has one."""
    machine = next((machine for machine in configuration.machines if machine.name == text), None)
    if machine is None:
        return hash_of(text, where)
    if machine.device_id is None:
        raise UsageError("this machine has no device_id", where=f"[machines.{text}]", hint="`verify` shows it")
    return machine.device_id


def key_of(arguments: argparse.Namespace) -> Signer:
    """The key that one of the flags names. Raises UsageError."""
    from twinproof.sources.signing_key import key_from_environment, key_from_file, key_from_keystore

    given = [name for name in ("key_file", "key_env", "keystore") if getattr(arguments, name) is not None]
    if len(given) != 1:
        raise UsageError(
            "one key signs",
            where="twinproof chain",
            got=", ".join(f"--{name.replace('_', '-')}" for name in given) or "none",
            expected="one of --key-file, --key-env, --keystore",
            hint="--plan needs none",
        )
    if arguments.key_file is not None:
        return key_from_file(arguments.key_file)
    if arguments.key_env is not None:
        return key_from_environment(arguments.key_env)
    return key_from_keystore(arguments.keystore, _password(arguments))


def _password(arguments: argparse.Namespace) -> Callable[[], str]:
    from twinproof.sources.signing_key import read_password

    if arguments.password_file is not None:
        return lambda: read_password(arguments.password_file)
    if arguments.password_env is not None:
        if arguments.password_env not in os.environ:
            raise UsageError("no such environment variable", where="--password-env")
        return lambda: os.environ[arguments.password_env]
    if not sys.stdin.isatty():
        raise UsageError("no password", where="--keystore", hint="--password-file or --password-env")
    return lambda: getpass.getpass("keystore password: ", stream=sys.stderr)


def _wei(text: str) -> int:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or not 0 < value < 1000:
        raise UsageError("not an amount of ETH", where="--max-cost", got=shown(text, 40), expected="such as 0.01")
    return int(value * _WEI)


def _ether(wei: int) -> str:
    return f"{Decimal(wei) / _WEI:.9f}".rstrip("0").rstrip(".")


def _say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr)
