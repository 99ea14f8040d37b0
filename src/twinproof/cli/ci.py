"""`twinproof ci deploy`: deploy a tag, compare its instances as a gate, record what is proved, push the record.

The record of a machine that failed is written too, and says so. A push that fails loses nothing: the records are then
left in the work tree, for a later push or as an artifact of the run.
"""

from __future__ import annotations

import argparse
import base64
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from twinproof.cli.collect import collect
from twinproof.cli.deploy_setup import Setup, read_setup
from twinproof.cli.deployment import Deployed, Instance, deploy, judged, pinned_settings
from twinproof.cli.release import facts_of
from twinproof.cli.settings import read_settings
from twinproof.comparison import Proof, compare
from twinproof.deployments.anchor import Mined
from twinproof.deployments.documents import NAMES, documents
from twinproof.deployments.facts import Chain, deployed, failed
from twinproof.deployments.proof import bundle_digest, proof_digest
from twinproof.deployments.record import MAX_REASON, Record
from twinproof.deployments.summary import summary
from twinproof.errors import Refused, TwinproofError, Unavailable, UsageError, worst_exit_code
from twinproof.evidence.bundle import bundle_to_json
from twinproof.report.proof_text import proof_text
from twinproof.report.style import Style
from twinproof.sources import clock
from twinproof.sources.deployment_records import FOLDER, Recorded, write_records
from twinproof.sources.finality import wait_final
from twinproof.sources.git import Git, find_repository
from twinproof.sources.record_push import Change, branch_records, push_records
from twinproof.verifier import Verdict
from twinproof.wire import shown

__all__ = ["run"]

SUMMARY = "GITHUB_STEP_SUMMARY"


@dataclass(frozen=True, slots=True)
class _Proved:
    """All instances asked once more, in one run: the verdicts by machine, their bundles, and the comparison."""

    verdicts: dict[str, tuple[Verdict, bytes]]
    errors: dict[str, TwinproofError]
    proof: Proof | None

    @property
    def digest(self) -> bytes:
        return proof_digest(bundle_digest(bundle) for _, bundle in self.verdicts.values())


def run(arguments: argparse.Namespace) -> int:
    facts = facts_of(find_repository(), arguments.tag)
    setup = read_setup(arguments, tag=arguments.tag)
    git = _committing(setup.git)
    setup = _after(branch_records(git, remote=arguments.remote, branch=facts.branch), setup, arguments)
    try:
        result = deploy(setup, arguments)
    except (TwinproofError, KeyboardInterrupt) as error:
        told = error if isinstance(error, TwinproofError) else Unavailable("interrupted")
        records = [
            Recorded(failed(machine.name, setup.brief.release, told, step="plan", at=clock.now()))
            for machine in setup.brief.machines
        ]
        try:
            _record(git, arguments, facts.branch, records, "")
        except TwinproofError as second:  # what stopped the deployment is what has to be told last
            print(f"twinproof: warning: {shown(str(second), 500)}", file=sys.stderr)
        raise
    final = _final(setup, result, arguments.finality)
    proved = _prove(setup, result, arguments, chain=final is None and arguments.finality > 0)
    records = [_recorded(setup, result, proved, instance, final) for instance in result.instances]
    text = "" if proved.proof is None else proof_text(proved.proof, proved.proof.verdicts, (), Style(), now=clock.now())
    print(text, end="")
    _record(git, arguments, facts.branch, records, text)
    for item in records:
        failure = item.record.failure
        reason = f" ({shown(failure.reason, MAX_REASON)})" if failure else ""
        print(f"{item.record.name}: {item.record.outcome.value}{reason}")
    codes = [result.exit_code, *(error.exit_code for error in proved.errors.values())]
    codes += [proved.proof.exit_code] if proved.proof is not None else []
    codes += [4] if any(item.record.failure is not None for item in records) else []
    return worst_exit_code(codes)


def _after(records: Sequence[Record], setup: Setup, arguments: argparse.Namespace) -> Setup:
    """With the app id that was recorded last. Raises Refused when a newer version was deployed already.

    A tag's own checkout knows only the records that were there when it was made.
    """
    done = [record for record in records if record.failure is None and record.attested is not None]
    newer = max((record.version for record in done), default=None)
    if newer is not None and newer > setup.brief.release.version and not arguments.older:
        raise Refused(
            "a newer version was deployed already",
            where=f"v{setup.brief.release.version}",
            got=f"v{newer}",
            hint="--older deploys an older one after it, on purpose",
        )
    last = max(done, key=lambda record: record.at, default=None)
    if setup.app_id is not None or last is None or last.attested is None:
        return setup
    return replace(setup, app_id=last.attested.app_id)


def _final(setup: Setup, result: Deployed, seconds: float) -> TwinproofError | None:
    """Wait until all that was sent is final: the log, and a device that was allowed after it.

    Why it is not; None when it is, or nobody asked.
    """
    if not isinstance(result.mined, Mined) or seconds <= 0:
        return None
    block = max(result.mined.receipt.block_number, result.sent_block)
    print(f"twinproof: waiting until block {block} is final", file=sys.stderr)
    return wait_final(setup.quorum, block, seconds=seconds)


def _prove(setup: Setup, result: Deployed, arguments: argparse.Namespace, *, chain: bool) -> _Proved:
    """Compare what attested, in one session. An instance that no longer answers costs the others nothing."""
    if result.app_id is None:
        raise Refused("there is no app", where=setup.brief.name)
    settings = pinned_settings(read_settings(arguments), setup, result.app_id)
    asked = [instance for instance in result.instances if instance.error is None]
    collected = collect([instance.url for instance in asked], settings, arguments, chain=chain) if asked else []
    verdicts: dict[str, tuple[Verdict, bytes]] = {}
    errors: dict[str, TwinproofError] = {}
    for instance, item in zip(asked, collected, strict=True):
        try:
            verdict = judged(item, settings)
            verdicts[instance.machine.name] = verdict, bundle_to_json(verdict.evidence).encode()
        except TwinproofError as error:
            errors[instance.machine.name] = error
    judged_now = [verdict for verdict, _ in verdicts.values()]
    return _Proved(verdicts, errors, compare(judged_now) if len(judged_now) > 1 else None)


def _recorded(
    setup: Setup, result: Deployed, proved: _Proved, instance: Instance, final: TwinproofError | None
) -> Recorded:
    """Deployed only when the machine attests, all of them are the same, and the chain's log is found."""
    release, at, name = setup.brief.release, clock.now(), instance.machine.name
    error = instance.error or proved.errors.get(name)
    if error is not None:
        return Recorded(failed(name, release, error, step=instance.step or "compare", at=at))
    if final is not None:
        return Recorded(failed(name, release, final, step="finality", at=at))
    verdict, bundle = proved.verdicts[name]
    try:
        if proved.proof is not None and not proved.proof.complete:
            raise Refused("the comparison did not prove sameness", got=proved.proof.outcome.value)
        if not isinstance(result.mined, Mined):
            raise result.mined or Unavailable("no transaction")
        if result.app_id is None:
            raise Unavailable("no chain")
        record = deployed(
            verdict,
            result.mined,
            release,
            chain=Chain(result.plan.chain_id, result.app_id),
            bundle=bundle_digest(bundle),
            proof=proved.digest,
            at=at,
        )
        if record.machine != name:
            raise Refused("another machine answered", where=name, got=record.machine)
    except TwinproofError as refusal:
        return Recorded(failed(name, release, refusal, step="compare", at=at))
    return Recorded(record, bundle)


def _record(git: Git, arguments: argparse.Namespace, branch: str, records: list[Recorded], text: str) -> None:
    """On the branch; in the work tree when it cannot be pushed, which is then raised as Unavailable."""
    _summarise(records, text)
    version = records[0].record.version
    message = f"chore(deploy): record v{version} on {', '.join(item.record.machine for item in records)}"
    try:
        commit = push_records(
            git, Change(tuple(records), NAMES, documents, message), remote=arguments.remote, branch=branch
        )
    except BaseException:
        kept = write_records(git.top / FOLDER, records)
        print(f"twinproof: the records were not pushed; they are in {', '.join(map(str, kept))}", file=sys.stderr)
        raise
    print(f"twinproof: recorded in {commit[:12]} on {branch}", file=sys.stderr)


def _summarise(records: list[Recorded], text: str) -> None:
    """The job's summary page, where there is one."""
    name = os.environ.get(SUMMARY)
    if not name:
        return
    try:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(summary([item.record for item in records], text))
    except OSError as error:
        print(f"twinproof: warning: no summary: {shown(str(error), 200)}", file=sys.stderr)


def _committing(git: Git) -> Git:
    """With somebody who commits, and with CI's token for the remote where there is one; in no argument and no file."""
    environment = dict(git.environment)
    if git.run("var", "GIT_COMMITTER_IDENT", check=False).returncode != 0:
        if os.environ.get("GITHUB_ACTIONS") != "true":
            raise UsageError(
                "git does not know who commits", hint="git config user.name NAME; git config user.email ADDRESS"
            )
        for role in ("AUTHOR", "COMMITTER"):
            environment[f"GIT_{role}_NAME"] = "github-actions[bot]"
            environment[f"GIT_{role}_EMAIL"] = "41898282+github-actions[bot]@users.noreply.github.com"
    token = os.environ.get("GITHUB_TOKEN", "")
    if token and os.environ.get("GITHUB_ACTIONS") == "true":
        server = os.environ.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")
        credentials = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        environment |= {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"http.{server}/.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {credentials}",
        }
    return replace(git, environment=environment)
