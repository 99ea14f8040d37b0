"""The only way to a record of status `deployed`: a verdict that was accepted, an anchor that agrees, one release.

Nothing here comes from a status field, a log of a command or a label: the machine is the device id of the quote, the
hash is what the hardware measured, and the transaction is the one whose receipt holds the log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from twinproof.claims import Platform, Software
from twinproof.deployments.anchor import Mined, anchor_of
from twinproof.deployments.record import MAX_REASON, Anchor, Attested, Failure, Record
from twinproof.dstack.unmeasured import OPEN_CODE
from twinproof.errors import Refused, TwinproofError
from twinproof.evidence.statement import Statement
from twinproof.policy import Machine
from twinproof.release.versions import Version
from twinproof.verifier import Verdict

__all__ = ["Chain", "Release", "attested_of", "deployed", "failed"]

_KEY_LIKE = re.compile(r"(?<![0-9A-Za-z])(?:0x)?[0-9A-Fa-f]{65,}|phak_[0-9A-Za-z_-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Release:
    """What was meant to be deployed, and the run that did it."""

    version: Version
    git_sha: str
    compose_hash: bytes
    run: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Where the app's contract is; its address (20 bytes) is the app id."""

    chain_id: int
    app_id: bytes


def attested_of(verdict: Verdict, *, bundle: bytes, proof: bytes) -> tuple[Machine, Attested]:
    """What the verdict proved, and the machine it is about. Raises Refused unless all of it was proved, just now."""
    platform, software, _ = _claims(verdict)
    machine = _machine(verdict, platform)
    code = verdict.check("dstack.unmeasured_inputs")
    open_code = [text for name, text in code.detail if name in OPEN_CODE]
    if not code.passed or open_code:
        raise Refused(
            "the compose file does not name every image by its content",
            where=machine.name,
            got="; ".join(open_code) or code.reason,
            expected="image@sha256:...",
        )
    return machine, Attested(
        device_id=platform.device_id,
        compose_hash=software.compose_hash,
        app_id=software.app_id,
        instance_id=software.instance_id,
        at=verdict.at,
        bundle=bundle,
        proof=proof,
        simulated=verdict.simulated,
    )


def deployed(
    verdict: Verdict, mined: Mined, release: Release, *, chain: Chain, bundle: bytes, proof: bytes, at: int
) -> Record:
    """The record of a deployment that took place. Raises Refused, naming the first fact that is another one.

    `bundle` and `proof` are the digests of `deployments.proof`.
    """
    machine, attested = attested_of(verdict, bundle=bundle, proof=proof)
    statement = _claims(verdict)[2]
    for what, got, expected in (
        ("compose hash", attested.compose_hash.hex(), release.compose_hash.hex()),
        ("app id", attested.app_id.hex(), chain.app_id.hex()),
        ("version", statement.version, str(release.version)),
        ("git SHA", statement.git_sha, release.git_sha),
    ):
        if got != expected:
            raise Refused(f"another {what} is attested", where=machine.name, got=got, expected=expected)
    anchor = anchor_of(mined, chain_id=chain.chain_id, app_id=chain.app_id, compose_hash=attested.compose_hash)
    return Record(
        version=release.version,
        machine=machine.name,
        run=release.run,
        git_sha=release.git_sha,
        at=at,
        attested=attested,
        anchor=anchor,
    )


def failed(
    machine: str,
    release: Release,
    error: TwinproofError,
    *,
    step: str,
    at: int,
    attested: Attested | None = None,
    anchor: Anchor | None = None,
) -> Record:
    """The record of a deployment that did not take place. Long hex and API keys in the reason are cut out."""
    return Record(
        version=release.version,
        machine=machine,
        run=release.run,
        git_sha=release.git_sha,
        at=at,
        attested=attested,
        anchor=anchor,
        failure=Failure(step, printable_reason(str(error))),
    )


def printable_reason(text: str) -> str:
    """One line for people. What is longer than a hash may be a signed transaction or a key, and is not kept."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    line = _KEY_LIKE.sub("[cut]", line)
    return (line if len(line) <= MAX_REASON else f"{line[: MAX_REASON - 3]}...") or "no reason was given"


def _claims(verdict: Verdict) -> tuple[Platform, Software, Statement]:
    claims = verdict.claims
    if not verdict.accepted or claims.platform is None or claims.software is None or claims.statement is None:
        failures = ", ".join(check.id for check in verdict.failures) or "not everything was shown"
        hint = next((check.hint for check in verdict.failures if check.hint), "")
        raise Refused("what was not proved is not recorded", where=verdict.name, got=failures, hint=hint)
    if not verdict.fresh:
        raise Refused("not an answer to a fresh nonce", where=verdict.name, got=verdict.check("policy.fresh").reason)
    return claims.platform, claims.software, claims.statement


def _machine(verdict: Verdict, platform: Platform) -> Machine:
    """By device id, whatever the URL was called."""
    for machine in verdict.policy.machines:
        if machine.device_id == platform.device_id:
            return machine
    raise Refused(
        "the device id belongs to no machine of twinproof.toml",
        where=verdict.name,
        got=platform.device_id.hex(),
        hint="add device_id = ... to the machine's table, from a source other than this answer",
    )
