"""twinproof.toml and policy files: machines, the collateral service, the policy. Every unknown key is an error."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from twinproof.cli.chain_settings import ChainSettings, read_chain_settings
from twinproof.errors import Malformed, UsageError
from twinproof.policy import PROFILES, Machine, Policy
from twinproof.policy_file import read_policy
from twinproof.sources.files import read_file
from twinproof.urls import split_url
from twinproof.wire import Fields, shown

if TYPE_CHECKING:  # loaded for the tables of a release, which a verification does not have
    from twinproof.release.build_settings import BuildSettings
    from twinproof.release.compose_settings import ComposeSettings

__all__ = ["DEFAULT_CONFIG", "Configuration", "parse_configuration", "policy_of", "read_configuration"]

DEFAULT_CONFIG = "twinproof.toml"
MAX_BYTES = 1 << 20
_LONGEST_NAME = 64
Parsed = TypeVar("Parsed")


class Configuration(NamedTuple):
    """What twinproof.toml says; a table that is not there is None."""

    machines: tuple[Machine, ...] = ()
    collateral_url: str | None = None
    policy: Policy | None = None
    release_branch: str | None = None
    compose: ComposeSettings | None = None
    build: BuildSettings | None = None
    chain: ChainSettings | None = None

    @property
    def machine_words(self) -> tuple[str, ...]:
        """Names, hosts and device ids of the machines: what belongs to one of them cannot be in a text for all."""
        words = [word for machine in self.machines for word in (machine.name, _host(machine.url))]
        return (*filter(None, words), *(machine.device_id.hex() for machine in self.machines if machine.device_id))


def _host(url: str) -> str:
    return (split_url(url).hostname or "") if url else ""


def read_configuration(name: str | None) -> Configuration:
    """The named file, or ./twinproof.toml; one that was not named and does not exist configures nothing."""
    if name is None:
        if not Path(DEFAULT_CONFIG).is_file():
            return Configuration()
        name = DEFAULT_CONFIG
    return parse_configuration(read_file(name, "--config", max_bytes=MAX_BYTES), name)


def parse_configuration(raw: bytes, where: str) -> Configuration:
    """The configuration in these bytes, of a file or of a commit. Raises UsageError."""
    return _parsed(raw, where, _configuration)


def policy_of(arguments: argparse.Namespace, configuration: Configuration) -> Policy:
    """`--policy FILE`, else `[policy]` of twinproof.toml, else the profile. Raises UsageError."""
    policy = configuration.policy
    if arguments.policy:
        policy = _parsed(read_file(arguments.policy, "--policy", max_bytes=MAX_BYTES), arguments.policy, _policy)
    if arguments.profile is None:
        return policy or Policy()
    if policy is None:
        return PROFILES[arguments.profile]
    if policy.profile != arguments.profile:
        raise UsageError(
            "the policy is made on another profile", where="--profile", got=arguments.profile, expected=policy.profile
        )
    return policy


def _parsed(raw: bytes, name: str, parse: Callable[[Fields], Parsed]) -> Parsed:
    import tomllib

    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # a number of 5000 digits is a plain ValueError
        raise UsageError(f"not a TOML file: {error}", where=name) from error
    try:
        return parse(Fields(document, name))
    except Malformed as error:
        raise UsageError(
            error.what, where=error.where, got=error.got, expected=error.expected, hint=error.hint
        ) from error


def _policy(top: Fields) -> Policy:
    _known(top, {"policy"})
    if "policy" not in top:
        raise Malformed("an empty policy file", where=top.where, expected="a [policy] table")
    return read_policy(top.child("policy"))


def _configuration(top: Fields) -> Configuration:
    _known(top, {"machines", "collateral", "policy", "release_branch", "compose", "build", "chain"})
    machines = []
    table = top.child("machines") if "machines" in top else Fields({}, top.where)
    for name in table.raw:
        if shown(name, _LONGEST_NAME) != name or not name.strip():
            raise Malformed("not the name of a machine", where=table.where, got=shown(name, _LONGEST_NAME))
        entry = table.child(name)
        _known(entry, {"region", "url", "device_id"})
        machines.append(
            Machine(
                name=name,
                region=entry.optional_text("region", max_chars=40) or "",
                url=(entry.optional_text("url", max_chars=2048) or "").rstrip("/"),
                device_id=entry.hex("device_id", size=32) if "device_id" in entry else None,
            )
        )
    _require_apart(machines, table.where)
    collateral = top.child("collateral") if "collateral" in top else Fields({}, top.where)
    _known(collateral, {"url"})
    return Configuration(
        machines=tuple(machines),
        collateral_url=collateral.optional_text("url", max_chars=2048),
        policy=read_policy(top.child("policy")) if "policy" in top else None,
        release_branch=top.optional_text("release_branch", max_chars=200),
        compose=_compose(top.child("compose")) if "compose" in top else None,
        build=_build(top.child("build")) if "build" in top else None,
        chain=read_chain_settings(top.child("chain")) if "chain" in top else None,
    )


def _require_apart(machines: list[Machine], where: str) -> None:
    """Two names of one device would let one machine stand for two. Raises Malformed."""
    first: dict[bytes, str] = {}
    for machine in machines:
        if machine.device_id is not None and first.setdefault(machine.device_id, machine.name) != machine.name:
            raise Malformed(
                "two machines with one device id", where=where, got=f"{first[machine.device_id]} and {machine.name}"
            )


def _compose(table: Fields) -> ComposeSettings:
    from twinproof.release.compose_settings import read_compose_settings

    return read_compose_settings(table)


def _build(table: Fields) -> BuildSettings:
    from twinproof.release.build_settings import read_build_settings

    return read_build_settings(table)


def _known(entry: Fields, known: set[str]) -> None:
    for name in entry.raw:
        if name not in known:
            raise Malformed("unknown key", where=entry.where, got=shown(name, 40), expected=", ".join(sorted(known)))
