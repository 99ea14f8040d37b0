"""One deployment from plan to proof: changed by the deployer, then believed only when every instance attests it."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

from twinproof.cli.collect import Collected, collect
from twinproof.cli.deploy_setup import Setup
from twinproof.cli.settings import Settings, read_settings
from twinproof.deployments.anchor import Mined
from twinproof.deployments.cloud_answers import Cvm
from twinproof.deployments.journal import Journal
from twinproof.deployments.plan import Plan, plan_lines
from twinproof.errors import TwinproofError, Unavailable, worst_exit_code
from twinproof.evidence.evidence import Evidence
from twinproof.policy import Machine
from twinproof.sources.attested_wait import wait_attested
from twinproof.sources.concurrent import fetch_all
from twinproof.sources.deploy_journal import journal_file
from twinproof.verifier import Verdict, Verifier

__all__ = ["Deployed", "Instance", "deploy", "judged", "pinned_settings"]


@dataclass(frozen=True, slots=True)
class Instance:
    """What became of one machine: the verdict that was waited for, or the step that failed and why."""

    machine: Machine
    url: str = ""
    cvm: Cvm | None = None
    verdict: Verdict | None = None
    error: TwinproofError | None = None
    step: str = ""


@dataclass(frozen=True, slots=True)
class Deployed:
    """`instances` is empty after `--plan`. `mined` is the transaction that allowed the hash, or why it is not known.

    `sent_block` is the last block that holds something this deployment sent, 0 when it sent nothing.
    """

    plan: Plan
    app_id: bytes | None = None
    instances: tuple[Instance, ...] = ()
    mined: Mined | TwinproofError | None = None
    sent_block: int = 0

    @property
    def exit_code(self) -> int:
        errors = [instance.error for instance in self.instances]
        errors.append(self.mined if isinstance(self.mined, TwinproofError) else None)
        return worst_exit_code(error.exit_code for error in errors if error is not None)


def deploy(setup: Setup, arguments: argparse.Namespace) -> Deployed:
    """Raises UsageError, Refused or Unavailable when no machine was changed."""
    settings = read_settings(arguments)
    registrar = setup.registrar(lambda text: _say("", text))
    fresh = Journal(setup.brief.name, setup.brief.release.compose_hash, registrar.chain_id)
    with journal_file(setup.journal, fresh) as journal:
        deployer = setup.deployer(registrar, journal, _say)
        plan = deployer.plan(setup.app_id)
        _show(plan)
        if arguments.plan:
            _say("", "nothing was sent or changed (--plan)")
            return Deployed(plan, plan.app_id)
        app_id, changed = deployer.run(plan)
        settings = pinned_settings(settings, setup, app_id)
        instances = _attested(setup, settings, arguments, app_id, changed)
        sent_block = 0
        try:
            mined: Mined | TwinproofError = registrar.anchor(journal, app_id, setup.brief.release.compose_hash)
            sent_block = registrar.last_sent_block(journal)
        except TwinproofError as error:
            mined = error
    return Deployed(plan, app_id, instances, mined, sent_block)


def pinned_settings(settings: Settings, setup: Setup, app_id: bytes) -> Settings:
    """The policy with this release pinned instead of what it pins otherwise."""
    release = setup.brief.release
    pins = settings.policy.pins._replace(
        compose_hash=release.compose_hash,
        version=str(release.version),
        git_sha=release.git_sha,
        app_id=app_id,
    )
    policy = replace(settings.policy, pins=pins, chain=setup.chain.believed(settings.policy.chain))
    trusted = policy.trusted_chain
    return settings._replace(policy=policy, chain=setup.chain._replace(chain_id=trusted.chain_id, kms=trusted.kms))


def judged(item: Collected, settings: Settings) -> Verdict:
    """Raises the error that stands in place of the evidence."""
    if isinstance(item.result, TwinproofError):
        raise item.result
    evidence: Evidence = item.result
    verifier = Verifier(roots=settings.roots, policy=settings.policy)
    return verifier.verify(evidence, at=settings.time_for(evidence.fetched_at))


def _attested(
    setup: Setup,
    settings: Settings,
    arguments: argparse.Namespace,
    app_id: bytes,
    changed: Mapping[str, Cvm | TwinproofError],
) -> tuple[Instance, ...]:
    machines = setup.brief.machines
    quiet = argparse.Namespace(**{**vars(arguments), "save": None})  # only what counts in the end is kept

    def wait(index: int, name: str) -> Instance:
        machine, cvm = machines[index], changed[name]
        if isinstance(cvm, TwinproofError):
            return Instance(machine, error=cvm, step="cloud")

        def ask() -> Verdict:
            url = machine.url or _url(setup, app_id, cvm)
            return judged(collect([url], settings, quiet)[0], settings)

        _say(name, "waiting until it attests")
        try:
            verdict = wait_attested(
                ask,
                compose_hash=setup.brief.release.compose_hash,
                device_id=machine.device_id or b"",  # there is one, or the plan would not be
                seconds=arguments.wait,
                pause=arguments.poll,
            )
        except TwinproofError as error:
            return Instance(machine, cvm=cvm, error=error, step="attest")
        _say(name, f"attests {setup.brief.release.compose_hash.hex()[:16]}...")
        return Instance(machine, url=verdict.source, cvm=cvm, verdict=verdict)

    results = fetch_all([machine.name for machine in machines], wait)
    return tuple(
        Instance(machine, error=result, step="attest") if isinstance(result, TwinproofError) else result
        for machine, result in zip(machines, results, strict=True)
    )


def _url(setup: Setup, app_id: bytes, cvm: Cvm) -> str:
    """Where the service says that the instance answers; who answers there is told by the quote. Raises Unavailable."""
    found = next((item for item in setup.cloud.cvms_of(app_id) if item.uuid == cvm.uuid), cvm)
    if not found.urls:
        raise Unavailable("the service names no address of the instance yet", where=cvm.name)
    return found.urls[0]


def _show(plan: Plan) -> None:
    print("\n".join(plan_lines(plan)), file=sys.stderr)


_LINES = threading.Lock()


def _say(machine: str, text: str) -> None:
    """One line of progress; several threads never share one."""
    with _LINES:
        print(f"  {machine + ':' if machine else '':<8} {text}", file=sys.stderr, flush=True)
