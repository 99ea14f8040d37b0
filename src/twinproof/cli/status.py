"""`twinproof status`: every machine, asked just now, against the chain and against its record."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import replace

from twinproof.chain.app_change import allow_compose_hash
from twinproof.cli.collect import collect
from twinproof.cli.configuration import Configuration, read_configuration
from twinproof.cli.deploy_setup import chain_of, cloud_of, known_app_id, machines_of
from twinproof.cli.deployment import judged
from twinproof.cli.http_client import http_client
from twinproof.cli.output import style_of
from twinproof.cli.settings import Settings, read_settings
from twinproof.deployments.plan import existing_cvm, node_of
from twinproof.deployments.record import Record
from twinproof.deployments.standing import Standing, rows
from twinproof.deployments.status import MachineStatus
from twinproof.errors import TwinproofError, Unavailable, UsageError, worst_exit_code
from twinproof.policy import Machine, Pins
from twinproof.report.layout import bullet
from twinproof.report.verdict_text import simulated_line
from twinproof.sources.allowed_now import device_may_boot, is_done
from twinproof.sources.child_environment import API_KEY
from twinproof.sources.concurrent import fetch_all
from twinproof.sources.deployment_records import FOLDER, read_records
from twinproof.sources.git import find_repository
from twinproof.sources.http import HttpClient
from twinproof.sources.rpc_quorum import Quorum
from twinproof.verifier import Verdict
from twinproof.wire import shown

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    settings = read_settings(arguments)
    configuration = read_configuration(arguments.config)
    git = find_repository()
    records = read_records(git.top / FOLDER).whole()
    app_id = known_app_id(arguments, configuration, git)
    if app_id is None:
        raise UsageError("no app id", where="--app-id", hint="or app_id of [policy]; nothing is recorded here yet")
    active = {
        row.record.machine: row.record
        for row in rows(records)
        if row.standing is Standing.ACTIVE and _is(row.record, app_id)
    }
    machines = machines_of(arguments.machines or ",".join(active), configuration)
    http = http_client(arguments)
    settings = settings._replace(policy=replace(settings.policy, pins=Pins(app_id=app_id)))
    urls = _urls(machines, app_id, http)
    verdicts = _verdicts(machines, urls, settings, arguments)
    quorum = _quorum(arguments, configuration, http)
    found = [
        _status(machine, verdict, quorum, app_id, active.get(machine.name))
        for machine, verdict in zip(machines, verdicts, strict=True)
    ]
    code = worst_exit_code(item.exit_code for item in found)
    if arguments.json:
        document = {
            "schema": "twinproof/status/v1",
            "app_id": app_id.hex(),
            "exit_code": code,
            "simulated_hardware": settings.simulated,
            "machines": [item.to_json() for item in found],
        }
        print(json.dumps(document, indent=1))
    else:
        if settings.simulated:
            print("\n".join(simulated_line({root.name for root in settings.roots}, style_of())))
        print(f"app id  {app_id.hex()}")
        for item in found:
            print("\n".join(_lines(item)))
    return code


def _is(record: Record, app_id: bytes) -> bool:
    return record.attested is not None and record.attested.app_id == app_id


def _urls(machines: tuple[Machine, ...], app_id: bytes, http: HttpClient) -> list[str | TwinproofError]:
    """As configured, otherwise as the cloud says, where its key is given."""
    if all(machine.url for machine in machines):
        return [machine.url for machine in machines]
    if not os.environ.get(API_KEY):
        raise UsageError(
            "where does a machine answer?",
            where=", ".join(machine.name for machine in machines if not machine.url),
            hint=f"url = ... in twinproof.toml, or {API_KEY} to ask the cloud",
        )
    cloud = cloud_of(http)
    cvms, nodes = cloud.cvms_of(app_id), cloud.nodes()

    def url(_: int, name: str) -> str:
        machine = next(machine for machine in machines if machine.name == name)
        cvm = existing_cvm(machine, *node_of(machine, nodes), cvms)
        if machine.url or (cvm is not None and cvm.urls):
            return machine.url or (cvm.urls[0] if cvm else "")
        raise Unavailable("the cloud has no instance of the app on this machine", where=name)

    return fetch_all([machine.name for machine in machines], url)


def _verdicts(
    machines: tuple[Machine, ...], urls: list[str | TwinproofError], settings: Settings, arguments: argparse.Namespace
) -> list[Verdict | TwinproofError]:
    known = [url for url in urls if isinstance(url, str)]
    collected = dict(zip(known, collect(known, settings, arguments), strict=True)) if known else {}

    def judge(index: int, _: str) -> Verdict:
        url = urls[index]
        if isinstance(url, TwinproofError):
            raise url
        return judged(collected[url], settings)

    return fetch_all([machine.name for machine in machines], judge)


def _quorum(
    arguments: argparse.Namespace, configuration: Configuration, http: HttpClient
) -> Quorum | TwinproofError | None:
    settings = chain_of(arguments, configuration)
    if not settings.rpc:
        return None
    try:
        quorum = settings.opened(http)
        quorum.check_chain_id()
    except Unavailable as error:
        return error
    return quorum


def _status(
    machine: Machine,
    verdict: Verdict | TwinproofError,
    quorum: Quorum | TwinproofError | None,
    app_id: bytes,
    record: Record | None,
) -> MachineStatus:
    software = None if isinstance(verdict, TwinproofError) else verdict.claims.software
    device = (
        None
        if isinstance(verdict, TwinproofError) or verdict.claims.platform is None
        else verdict.claims.platform.device_id
    )

    def asked(question: Callable[[Quorum], bool]) -> bool | TwinproofError | None:
        if not isinstance(quorum, Quorum):
            return quorum
        try:
            return question(quorum)
        except TwinproofError as error:
            return error

    return MachineStatus(
        machine,
        verdict,
        asked(lambda it: is_done(it, allow_compose_hash(app_id, software.compose_hash))) if software else None,
        asked(lambda it: device_may_boot(it, app_id, device)) if device else None,
        record,
    )


def _lines(item: MachineStatus) -> list[str]:
    record = item.record
    lines = [
        f"{item.machine.name}: {'agrees' if not item.problems else 'DOES NOT AGREE'}",
        f"  attested  {item.attested_hash.hex() if item.attested_hash else '-'}",
        f"  recorded  {item.recorded_hash.hex() if item.recorded_hash else '-'}",
        f"  version   {f'v{record.version}, as recorded' if record else '-'}",
        f"  allowed   hash {_word(item.hash_allowed)}, device {_word(item.device_allowed)}",
    ]
    for text, _ in item.problems:
        lines += bullet("-", 1, shown(text, 300), style_of())
    return lines


def _word(value: bool | TwinproofError | None) -> str:
    return ("yes" if value else "NO") if isinstance(value, bool) else "not known"
