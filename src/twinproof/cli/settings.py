"""From flags and twinproof.toml to a policy, trust roots and machines. Every unknown key is an error."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from twinproof.cli.chain_settings import ChainSettings, with_flags
from twinproof.cli.configuration import policy_of, read_configuration
from twinproof.cli.http_client import check_timeout
from twinproof.dcap.attributes import AttributeRules
from twinproof.dcap.roots import INTEL_SGX_ROOT_CA, TrustRoot
from twinproof.dcap.tcb import TcbStatus
from twinproof.errors import Malformed, UsageError
from twinproof.policy import Pins, Policy
from twinproof.policy_file import ATTRIBUTE_RULES
from twinproof.sources import clock
from twinproof.sources.files import read_file
from twinproof.wire import LAST_SECOND, shown, unhex

__all__ = ["Settings", "read_settings", "roots_of", "time_of"]

_UTC_TIME = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})Z", re.ASCII)
_PINS = frozenset(Pins._fields)
_PIN_SIZES = {"image": 32, "compose_hash": 32, "app_id": 20, "kms_contract": 20}


class Settings(NamedTuple):
    """What a command needs to know before it reads any evidence."""

    policy: Policy
    roots: tuple[TrustRoot, ...]
    collateral_url: str | None
    at: int | None
    required_comparisons: frozenset[str]
    chain: ChainSettings = ChainSettings()
    """Where the chain is read; which chain and KMS contract are believed is the policy's."""

    @property
    def simulated(self) -> bool:
        return any(not root.is_intel for root in self.roots)

    def time_for(self, collected: int | None) -> int:
        """The time of judgement: `--at`, else the evidence's own, else now."""
        if self.at is not None:
            return self.at
        return clock.now() if collected is None else collected

    def url_of(self, target: str) -> str | None:
        """The URL of a machine named in twinproof.toml; None for any other name. Raises UsageError without a URL."""
        machine = next((machine for machine in self.policy.machines if machine.name == target), None)
        if machine is not None and not machine.url:
            raise UsageError(
                "this machine has no url",
                where=f"[machines.{target}]",
                hint="add url = ... to twinproof.toml, or give the URL itself",
            )
        return machine.url if machine is not None else None


def time_of(text: str) -> int:
    """Unix seconds of `--at`: an integer, or YYYY-MM-DDThh:mm:ssZ. Raises UsageError."""
    if text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= LAST_SECOND:
        return int(text)
    match = _UTC_TIME.fullmatch(text)
    if match:
        try:
            year, month, day, hour, minute, second = map(int, match.groups())
            return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())
        except ValueError:
            pass
    raise UsageError("not a time", where="--at", got=shown(text, 40), expected="unix seconds or YYYY-MM-DDThh:mm:ssZ")


def read_settings(arguments: argparse.Namespace) -> Settings:
    """Raises UsageError for anything that cannot be what the user meant."""
    check_timeout(arguments)
    if arguments.min_tcb_evaluation < 0:
        raise UsageError(
            "not a number of a TCB recovery",
            where="--min-tcb-evaluation",
            got=str(arguments.min_tcb_evaluation),
            expected="not negative",
        )
    configuration = read_configuration(arguments.config)
    base = policy_of(arguments, configuration)
    required = {name.strip() for names in arguments.require for name in names.split(",") if name.strip()}
    required |= base.required
    comparisons = frozenset(name for name in required if name.startswith("compare."))
    policy = replace(
        base,
        accepted_tcb_statuses=base.accepted_tcb_statuses | {_tcb_status(text) for text in arguments.accept_tcb},
        attributes=_attributes(arguments.allow, base.attributes),
        minimum_tcb_evaluation_data_number=max(base.minimum_tcb_evaluation_data_number, arguments.min_tcb_evaluation),
        pins=_merged(base.pins, _pins(arguments.expect)),
        required=frozenset(required - comparisons),
        machines=configuration.machines,
    )
    chain = with_flags(configuration.chain, arguments)
    policy = replace(policy, chain=chain.believed(policy.chain))
    return Settings(
        policy=policy,
        chain=chain._replace(chain_id=policy.trusted_chain.chain_id, kms=policy.trusted_chain.kms),
        roots=roots_of(arguments.trust_root),
        collateral_url=arguments.collateral_url or configuration.collateral_url,
        at=None if arguments.at is None else time_of(arguments.at),
        required_comparisons=comparisons,
    )


def _tcb_status(text: str) -> TcbStatus:
    if text not in set(TcbStatus) - {TcbStatus.REVOKED}:
        known = ", ".join(status for status in TcbStatus if status is not TcbStatus.REVOKED)
        raise UsageError("not a TCB status that can be accepted", where="--accept-tcb", got=shown(text), expected=known)
    return TcbStatus(text)


def _attributes(names: list[str], rules: AttributeRules) -> AttributeRules:
    for name in names:
        if name not in ATTRIBUTE_RULES:
            expected = ", ".join(sorted(ATTRIBUTE_RULES))
            raise UsageError("unknown rule", where="--allow", got=shown(name), expected=expected)
        rules = rules._replace(**{ATTRIBUTE_RULES[name]: True})
    return rules


def _merged(configured: Pins, given: Pins) -> Pins:
    """Both hold; a flag that says something else than the policy is a mistake in one of the two. Raises UsageError."""
    for name in _PINS:
        theirs, ours = getattr(configured, name), getattr(given, name)
        if theirs is not None and ours is not None and theirs != ours:
            raise UsageError(
                "the policy pins another value", where=f"--expect {name}", got=_text(ours), expected=_text(theirs)
            )
    return Pins(**{name: getattr(configured, name) or getattr(given, name) for name in _PINS})


def _text(value: bytes | str | int) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _pins(texts: list[str]) -> Pins:
    values: dict[str, bytes | str | int] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in _PINS or not value:
            expected = "NAME=VALUE with NAME one of " + ", ".join(sorted(_PINS))
            raise UsageError("cannot be pinned", where="--expect", got=shown(text), expected=expected)
        if name in values:
            raise UsageError("pinned twice", where="--expect", got=name)
        values[name] = _pin(name, value)
    return Pins(**values)  # type: ignore[arg-type]


def _pin(name: str, value: str) -> bytes | str | int:
    if name in {"version", "git_sha"}:
        return value
    if name == "chain_id":
        if not (value.isascii() and value.isdecimal() and 0 < len(value) < 17):
            raise UsageError("not a chain id", where="--expect chain_id", got=shown(value), expected="such as 8453")
        return int(value)
    return _hex(value, f"--expect {name}", _PIN_SIZES.get(name))


def _hex(text: str, where: str, size: int | None) -> bytes:
    try:
        return unhex(text.removeprefix("0x"), where, size=size)
    except Malformed as error:
        raise UsageError(error.what, where=where, got=error.got, expected=error.expected) from error


def roots_of(name: str | None) -> tuple[TrustRoot, ...]:
    """The root of `--trust-root`, or Intel's. Raises UsageError."""
    return (_trust_root(name),) if name else (INTEL_SGX_ROOT_CA,)


def _trust_root(name: str) -> TrustRoot:
    try:
        return TrustRoot.from_pem_or_der(read_file(name, "--trust-root", max_bytes=64 * 1024))
    except Malformed as error:
        raise UsageError(error.what, where=f"--trust-root {name}", got=error.got, expected=error.expected) from error
