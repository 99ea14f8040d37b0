"""Does a record tell the truth? Every fact of it is found again, in the receipt and in the evidence, and compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from twinproof.deployments.anchor import Mined, anchor_of
from twinproof.deployments.facts import attested_of
from twinproof.deployments.record import Anchor, Attested, Record
from twinproof.errors import EvidenceError, Refused, TwinproofError, worst_exit_code
from twinproof.verifier import Verdict

__all__ = ["MAX_SKEW", "Assessment", "Finding", "assess", "clock_findings", "cross_check", "replays"]

MAX_SKEW = 600
"""Seconds by which the clocks of a chain, of an instance and of whoever records may differ."""

_FALSE = frozenset({EvidenceError.exit_code, Refused.exit_code})
"""Of an error that is an answer: the chain knows no such transaction, the bundle is none."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One false fact: what the record says, and what was found instead."""

    fact: str
    recorded: str
    found: str
    hint: str = ""

    def __str__(self) -> str:
        said = f"{self.fact}: the record says {self.recorded}, " if self.recorded else f"{self.fact}: "
        return said + self.found


@dataclass(frozen=True, slots=True)
class Assessment:
    """What became of one record; `unchecked` is why a part of it could not be looked at, and never a pass."""

    record: Record
    findings: tuple[Finding, ...] = ()
    unchecked: tuple[str, ...] = ()
    codes: frozenset[int] = frozenset()
    """Exit codes of the errors behind `unchecked` and `findings`."""

    @property
    def holds(self) -> bool:
        return not self.findings and not self.unchecked

    @property
    def exit_code(self) -> int:
        return worst_exit_code(self.codes | ({4} if self.findings else set()))


def assess(
    record: Record,
    *,
    mined: Mined | TwinproofError | None,
    verdict: Verdict | TwinproofError | None,
    bundle: bytes = b"",
    proof: bytes = b"",
) -> Assessment:
    """Hold a record against the receipt of its transaction and the verdict on its bundle, at the bundle's own time.

    `bundle` and `proof` are the digests as computed now. What could not be fetched is given as its error.
    """
    findings: list[Finding] = []
    unchecked: list[str] = []
    codes: set[int] = set()
    for part, given in (("onchain", mined), ("attested", verdict)):
        if isinstance(given, TwinproofError) and given.exit_code in _FALSE:
            findings.append(Finding(part, "", str(given), given.hint))
            codes.add(given.exit_code)
        elif isinstance(given, TwinproofError):
            unchecked.append(f"{part}: {given}" + (f" (hint: {given.hint})" if given.hint else ""))
            codes.add(given.exit_code)
        elif given is None and (record.anchor if part == "onchain" else record.attested) is not None:
            unchecked.append(f"{part}: nothing to hold it against")
            codes.add(5)
    if isinstance(mined, Mined):
        findings += _onchain(record, mined)
    if isinstance(verdict, Verdict):
        findings += _evidence(record, verdict, bundle, proof)
    return Assessment(record, tuple(findings), tuple(unchecked), frozenset(codes))


def _onchain(record: Record, mined: Mined) -> list[Finding]:
    anchor, attested = record.anchor, record.attested
    if anchor is None:
        return []
    if attested is None:
        return [Finding("onchain", f"0x{anchor.transaction.hex()}", "nothing was attested that it could have allowed")]
    try:
        found = anchor_of(mined, chain_id=anchor.chain_id, app_id=attested.app_id, compose_hash=attested.compose_hash)
    except TwinproofError as error:
        return [Finding("onchain.transaction", f"0x{anchor.transaction.hex()}", str(error))]
    return _differences("onchain", anchor, found)


def _evidence(record: Record, verdict: Verdict, bundle: bytes, proof: bytes) -> list[Finding]:
    if record.attested is None:
        return []
    if bundle != record.attested.bundle:
        return [Finding("attested.bundle", record.attested.bundle.hex(), f"the file has {bundle.hex()}")]
    try:
        machine, found = attested_of(verdict, bundle=bundle, proof=proof)
    except TwinproofError as error:
        return [Finding("attested", "", str(error), error.hint)]
    findings = _differences("attested", record.attested, found)
    statement = verdict.claims.statement
    for fact, said, shown in (
        ("machine", record.machine, machine.name),
        ("version", str(record.version), statement.version if statement else ""),
        ("git_sha", record.git_sha, statement.git_sha if statement else ""),
    ):
        if said != shown:
            findings.append(Finding(fact, said, f"attested is {shown or 'none'}"))
    return findings


def _differences(part: str, recorded: Anchor | Attested, found: Anchor | Attested) -> list[Finding]:
    findings = []
    for name in recorded.__slots__:
        said, shown = getattr(recorded, name), getattr(found, name)
        if said != shown:
            findings.append(Finding(f"{part}.{name}", _text(said), f"found was {_text(shown)}"))
    return findings


def _text(value: object) -> str:
    return (value.hex() or "nothing") if isinstance(value, bytes) else str(value)


def cross_check(records: Sequence[Record]) -> dict[str, tuple[Finding, ...]]:
    """What records say about each other, by record name: one version is one commit, one compose hash and one app id."""
    found: dict[str, tuple[Finding, ...]] = {}
    first: dict[str, Record] = {}
    for record in sorted(_deployed(records), key=lambda item: item.name):
        reference = first.setdefault(str(record.version), record)
        facts = zip(_one_version(record), _one_version(reference), strict=True)
        findings = tuple(
            Finding(name, said, f"{reference.name} says {other}") for (name, said), (_, other) in facts if said != other
        )
        if findings:
            found[record.name] = findings
    return found


def clock_findings(record: Record, now: int) -> tuple[Finding, ...]:
    """What its times say about each other: the log, then the answer, then the record, and none of it in the future."""
    found = []
    attested, anchor = record.attested, record.anchor
    if record.at > now + MAX_SKEW:
        found.append(Finding("at", str(record.at), f"it is only {now}"))
    if attested is not None and attested.at > record.at + MAX_SKEW:
        found.append(Finding("attested.at", str(attested.at), f"the record was made at {record.at}"))
    if attested is not None and anchor is not None and anchor.block_time > attested.at + MAX_SKEW:
        found.append(Finding("attested.at", str(attested.at), f"its hash was allowed at {anchor.block_time} only"))
    return tuple(found)


def replays(nonces: Mapping[str, bytes], records: Sequence[Record]) -> dict[str, tuple[Finding, ...]]:
    """Records behind which another record's answer stands, by name: each question had a nonce of its own."""
    first: dict[bytes, str] = {}
    found: dict[str, tuple[Finding, ...]] = {}
    for record in sorted(records, key=lambda item: (item.at, item.name)):
        owner = first.setdefault(nonces[record.name], record.name) if record.name in nonces else record.name
        if owner != record.name:
            found[record.name] = (Finding("attested.bundle", "", f"the same answer stands behind {owner}"),)
    return found


def _deployed(records: Iterable[Record]) -> Iterable[Record]:
    return (record for record in records if record.failure is None and record.attested is not None)


def _one_version(record: Record) -> tuple[tuple[str, str], ...]:
    attested = record.attested
    return (
        ("git_sha", record.git_sha),
        ("attested.compose_hash", attested.compose_hash.hex() if attested else ""),
        ("attested.app_id", attested.app_id.hex() if attested else ""),
    )
