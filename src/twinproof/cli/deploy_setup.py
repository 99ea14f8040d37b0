"""What a deployment is made of: flags, twinproof.toml, git and the environment. Wrong input is told before sending.

Secrets come from the environment or a file, never from the command line: PHALA_CLOUD_API_KEY, DEPLOYER_PRIVATE_KEY, and
one variable for each name of allowed_envs.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from twinproof.chain.ether import wei_of
from twinproof.cli.chain_settings import ChainSettings, address_of, with_flags
from twinproof.cli.compose import refuse_findings
from twinproof.cli.configuration import DEFAULT_CONFIG, Configuration, read_configuration
from twinproof.cli.http_client import http_client
from twinproof.cli.signer import key_of
from twinproof.deployments.brief import Brief
from twinproof.deployments.facts import Release
from twinproof.deployments.record import Failure, Record
from twinproof.deployments.sealed_env import check_secrets, parse_env_file, refuse_own_keys
from twinproof.errors import Malformed, UsageError
from twinproof.policy import Machine
from twinproof.release.app_compose import render
from twinproof.release.compose_check import check_app_compose
from twinproof.release.version_files import CONFIG, agreed_version, read_version_files
from twinproof.release.versions import Version, release_of_tag
from twinproof.sources.child_environment import API_KEY, SIGNING_KEY
from twinproof.sources.cvm_changes import Note
from twinproof.sources.deploy_journal import JournalFile
from twinproof.sources.deployer import Deployer
from twinproof.sources.deployment_records import FOLDER, read_records
from twinproof.sources.files import read_file
from twinproof.sources.git import Git, find_repository
from twinproof.sources.http import HttpClient
from twinproof.sources.phala_cloud import DEFAULT_URL, ApiKey, PhalaCloud
from twinproof.sources.planned_transaction import Limits, PlannedTransaction
from twinproof.sources.registrar import Registrar
from twinproof.sources.rpc_quorum import Quorum
from twinproof.sources.signing_key import Signer, key_from_environment
from twinproof.wire import Fields, parse_object, shown

__all__ = ["Setup", "chain_of", "cloud_of", "known_app_id", "machines_of", "read_setup"]

API_PREFIX, CHAIN_RPC = "PHALA_CLOUD_API_PREFIX", "CHAIN_RPC"
MAX_APP_COMPOSE = 1 << 20
_OWN = re.compile(rf"{API_KEY}|{SIGNING_KEY}|{CHAIN_RPC}|GITHUB_TOKEN|GH_TOKEN|ACTIONS_[A-Z_]+", re.ASCII)
"""Variables by which a deployment and its CI prove who they are."""
_APP_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything but what the cloud and the chain answer."""

    brief: Brief
    git: Git
    configuration: Configuration
    cloud: PhalaCloud
    quorum: Quorum
    chain: ChainSettings
    signer: Signer
    kms: bytes
    app_id: bytes | None
    journal: Path
    limits: Limits

    def registrar(self, show: Callable[[str], None]) -> Registrar:
        """Raises Unavailable when the chain does not answer, UsageError when it is another one."""
        from twinproof.sources.chain_writer import ChainWriter

        def told(planned: PlannedTransaction) -> None:
            show(f"signing: nonce {planned.nonce}, {len(planned.data)} bytes, at most {planned.max_cost} wei")
            show(f"         to 0x{planned.to.hex()}")

        return Registrar(
            ChainWriter(self.quorum, limits=self.limits),
            self.signer,
            kms=self.kms,
            from_block=self.chain.from_block,
            show=told,
        )

    def deployer(self, registrar: Registrar, journal: JournalFile, note: Note) -> Deployer:
        return Deployer(self.cloud, registrar, journal, self.brief, note)


def read_setup(arguments: argparse.Namespace, *, tag: str | None = None) -> Setup:
    """Raises UsageError, and Refused for a compose text that may not be deployed. Nothing has been asked or sent."""
    configuration = read_configuration(arguments.config)
    machines = machines_of(arguments.machines, configuration)
    git = find_repository()
    version, commit = _version(git, tag)
    text = _app_compose(arguments, configuration, git, commit)
    refuse_findings(check_app_compose(text, configuration.machine_words))
    document = parse_object(text, "app-compose", max_bytes=MAX_APP_COMPOSE)
    chain = chain_of(arguments, configuration)
    if chain.kms is None:
        raise UsageError("no KMS contract", where="--kms", hint="or kms of [chain] in twinproof.toml")
    release = Release(version, commit, _hash(text), arguments.run or _run_name())
    _require_recordable(release, machines)
    name = _name(document)
    http = http_client(arguments)
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "twinproof"
    return Setup(
        brief=Brief(
            release=release,
            name=name,
            document=document.raw,
            machines=machines,
            secrets=_secrets(arguments, document.texts("allowed_envs", max_items=256)),
            instance_type=arguments.instance_type,
            os_image=arguments.os_image,
        ),
        git=git,
        configuration=configuration,
        cloud=cloud_of(http),
        quorum=chain.opened(http),
        chain=chain,
        signer=_signer(arguments),
        kms=chain.kms,
        app_id=known_app_id(arguments, configuration, git),
        journal=Path(arguments.journal)
        if arguments.journal
        else state / f"deploy-{name}-{release.compose_hash.hex()[:16]}-{chain.kms.hex()[:8]}.json",
        limits=Limits(max_cost=wei_of(arguments.max_cost, "--max-cost"), timeout=arguments.chain_timeout),
    )


def _require_recordable(release: Release, machines: tuple[Machine, ...]) -> None:
    """What could not be recorded afterwards is not begun. Raises UsageError."""
    for machine in machines:
        try:
            Record(release.version, machine.name, release.run, release.git_sha, at=0, failure=Failure("plan", "-"))
        except Malformed as error:
            where = {"record.machine": f"[machines.{shown(machine.name, 40)}]", "record.run": "--run"}
            raise UsageError(
                f"{error.what} of a record",
                where=where.get(error.where, error.where),
                got=error.got,
                expected=error.expected,
                hint="nothing was sent",
            ) from error


def _name(document: Fields) -> str:
    name = document.text("name", max_chars=63)
    if not _APP_NAME.fullmatch(name):
        raise UsageError(
            "not the name of an app", where="app-compose.name", got=shown(name, 63), expected="letters, digits, hyphens"
        )
    return name


def machines_of(names: str | None, configuration: Configuration) -> tuple[Machine, ...]:
    """In the order in which they are named: the first is where a new app starts."""
    known = {machine.name: machine for machine in configuration.machines}
    wanted = [name.strip() for name in names.split(",") if name.strip()] if names else list(known)
    if not wanted or len(set(wanted)) != len(wanted):
        raise UsageError("machines: at least one, each once", where="--machines", got=shown(names or "", 80))
    for name in wanted:
        if name not in known:
            raise UsageError(
                "no such machine in twinproof.toml", where="--machines", got=shown(name, 40), expected=", ".join(known)
            )
        if known[name].device_id is None:
            raise UsageError(
                "a machine is told by its device id, and this one has none",
                where=f"[machines.{name}]",
                hint="add device_id = ... to twinproof.toml",
            )
    return tuple(known[name] for name in wanted)


def _version(git: Git, tag: str | None) -> tuple[Version, str]:
    """Of the tag, or of the version files at HEAD, and the commit."""
    if tag is not None:
        version = release_of_tag(tag)
        if version is None:
            raise UsageError("not a version's tag", where="--tag", got=shown(tag, 80), expected="vX.Y.Z")
        return version, git.commit_of(f"refs/tags/{tag}")
    commit = git.commit_of("HEAD")
    try:
        files = read_version_files(git.text_at(commit, CONFIG))
        found = [(file.path, file.version_in(git.text_at(commit, file.path), pre_release=True)) for file in files]
        return agreed_version(found), commit
    except Malformed as error:
        raise UsageError(error.what, where=error.where, got=error.got, expected=error.expected) from error


def _app_compose(arguments: argparse.Namespace, configuration: Configuration, git: Git, commit: str) -> str:
    """The artefact, or the committed template with the image's digest. The text that is meant, to the byte."""
    if (arguments.artefact is None) == (arguments.image_digest is None):
        raise UsageError(
            "what is deployed?", where="twinproof deploy", expected="--app-compose FILE or --image-digest DIGEST"
        )
    if arguments.artefact is not None:
        try:
            return read_file(arguments.artefact, "--app-compose", max_bytes=MAX_APP_COMPOSE).decode("utf-8")
        except UnicodeDecodeError as error:
            raise UsageError("not UTF-8 text", where=f"--app-compose {shown(arguments.artefact)}") from error
    settings = configuration.compose
    if settings is None:
        raise UsageError("there is no [compose] table", where=arguments.config or DEFAULT_CONFIG)
    template = git.text_at(commit, settings.file)
    return render(template, settings, image_digest=arguments.image_digest, environment=arguments.environment).text


def _hash(text: str) -> bytes:
    from twinproof.dstack.app_compose import compose_hash

    return compose_hash(text)


def chain_of(arguments: argparse.Namespace, configuration: Configuration) -> ChainSettings:
    """As flags and file say, and CHAIN_RPC where they name no endpoint. Raises UsageError."""
    settings = with_flags(configuration.chain, arguments)
    if not settings.rpc and os.environ.get(CHAIN_RPC):
        settings = settings._replace(rpc=(f"env:{CHAIN_RPC}",))
    return settings


def cloud_of(http: HttpClient) -> PhalaCloud:
    """The account that the environment names. Raises UsageError."""
    text = os.environ.get(API_KEY, "")
    if not text:
        raise UsageError("no API key", where=API_KEY, expected="the environment variable", hint="nothing was sent")
    return PhalaCloud(os.environ.get(API_PREFIX) or DEFAULT_URL, ApiKey(text), http)


def _signer(arguments: argparse.Namespace) -> Signer:
    given = any(getattr(arguments, name) is not None for name in ("key_file", "key_env", "keystore"))
    if given:
        return key_of(arguments)
    if not os.environ.get(SIGNING_KEY):
        raise UsageError(
            "no key signs",
            where=SIGNING_KEY,
            expected="the environment variable, or one of --key-file, --key-env, --keystore",
            hint="nothing was sent; --plan needs it too, to see whether it owns the app",
        )
    return key_from_environment(SIGNING_KEY)


def _secrets(arguments: argparse.Namespace, allowed: tuple[str, ...]) -> dict[str, str]:
    given: dict[str, str] = {}
    if arguments.env_file is not None:
        try:
            text = read_file(arguments.env_file, "--env-file", max_bytes=1 << 20).decode("utf-8")
        except UnicodeDecodeError:
            raise UsageError("not UTF-8 text", where=f"--env-file {shown(arguments.env_file)}") from None
        given = parse_env_file(text, f"--env-file {shown(arguments.env_file)}")
    own = {name: value for name, value in os.environ.items() if _OWN.fullmatch(name) or name == arguments.key_env}
    others = {name: value for name, value in os.environ.items() if name not in own}
    refuse_own_keys(allowed, others | given, own)
    return check_secrets(allowed, others | given)


def known_app_id(arguments: argparse.Namespace, configuration: Configuration, git: Git) -> bytes | None:
    """As given, as pinned, or as recorded last; None when nothing here says it. Raises UsageError, Malformed."""
    if arguments.app_id is not None:
        return address_of(arguments.app_id, "--app-id")
    pinned = configuration.policy.pins.app_id if configuration.policy else None
    if pinned is not None:
        return pinned
    records = [item for item in read_records(git.top / FOLDER).whole() if item.failure is None and item.attested]
    newest = max(records, key=lambda item: item.at, default=None)
    return newest.attested.app_id if newest is not None and newest.attested is not None else None


def _run_name() -> str:
    """The run of CI and its attempt; by hand, the time."""
    from twinproof.sources import clock

    run, attempt = os.environ.get("GITHUB_RUN_ID", ""), os.environ.get("GITHUB_RUN_ATTEMPT", "1")
    return (
        f"{run}-{attempt}"
        if all(word.isascii() and word.isdigit() for word in (run, attempt))
        else f"manual-{clock.now()}"
    )
