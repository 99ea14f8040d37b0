"""One deployment record: one machine, one version, one run, as a JSON file that is written once and never changed.

Schema `twinproof/deployment/v1`. What the hardware attested and what the chain logged are whole or not there: a record
of status `deployed` has both, and a `failed` one has the step that failed, and why. Whether a deployment is still the
running one is not in it: `standing` derives that from all records. Binary members are lower-case hex, times are unix
seconds (UTC).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum

from twinproof.errors import Malformed
from twinproof.release.versions import Version
from twinproof.wire import LAST_SECOND, Fields, parse_object, shown

__all__ = ["MAX_RECORD_BYTES", "SCHEMA", "Anchor", "Attested", "Failure", "Outcome", "Record", "parse_record"]

SCHEMA = "twinproof/deployment/v1"
MAX_RECORD_BYTES = 16 * 1024
MAX_REASON = 600
_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,62}[A-Za-z0-9])?", re.ASCII)
_GIT_SHA = re.compile(r"[0-9a-f]{40}", re.ASCII)
_STEP = re.compile(r"[a-z]+(?:[._-][a-z0-9]+)*", re.ASCII)


class Outcome(StrEnum):
    """How this one deployment ended; it is never said again later."""

    DEPLOYED = "deployed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Attested:
    """What one instance's quote proved at `at`, after every check on it had passed."""

    device_id: bytes
    """SHA-256 of the PPID, 32 bytes: which machine it was."""
    compose_hash: bytes
    app_id: bytes
    """20 bytes, the address of the app's contract."""
    instance_id: bytes
    """20 bytes, or empty for apps that ask for none."""
    at: int
    bundle: bytes
    """SHA-256 of the evidence bundle's file."""
    proof: bytes
    """SHA-256 over the bundles that were compared in one run: see `proof.proof_digest`."""
    simulated: bool
    """Judged under a root other than Intel's."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """The log by which the app's contract allowed this compose hash. The contract is the app id."""

    chain_id: int
    transaction: bytes
    """Transaction hash, 32 bytes, of a receipt with status 1 that holds this very log."""
    block: int
    block_hash: bytes
    log_index: int
    """Counted within the block."""
    block_time: int


@dataclass(frozen=True, slots=True)
class Failure:
    """The step that failed (`attest`, `cloud.confirm`, ...) and the reason, for people."""

    step: str
    reason: str


@dataclass(frozen=True, slots=True)
class Record:
    """`machine` is the label that twinproof.toml gives to the device id; `run` tells two runs of one version apart."""

    version: Version
    machine: str
    run: str
    git_sha: str
    at: int
    """When the record was made."""
    attested: Attested | None = None
    anchor: Anchor | None = None
    failure: Failure | None = None

    def __post_init__(self) -> None:
        for name, value in (("machine", self.machine), ("run", self.run)):
            if not _WORD.fullmatch(value):
                raise Malformed(
                    "cannot be part of a file name",
                    where=f"record.{name}",
                    got=shown(value, 40),
                    expected="letters, digits, dots and hyphens",
                )
        if not _GIT_SHA.fullmatch(self.git_sha):
            raise Malformed(
                "not a commit", where="record.git_sha", got=shown(self.git_sha, 60), expected="40 hex digits"
            )
        if self.failure is None and (self.attested is None or self.anchor is None):
            raise Malformed(
                "a deployment without its proof",
                where="record",
                got="no attestation" if self.attested is None else "no transaction",
                expected="both, or the reason of the failure",
            )

    @property
    def outcome(self) -> Outcome:
        return Outcome.DEPLOYED if self.failure is None else Outcome.FAILED

    @property
    def name(self) -> str:
        """Of the file, without `.json`."""
        return f"{self.version}-{self.machine}-{self.run}"

    def to_json(self) -> str:
        """Sorted members, indented, ASCII, one final newline: the same record is the same bytes."""
        members: dict[str, object] = {
            "schema": SCHEMA,
            "version": str(self.version),
            "machine": self.machine,
            "run": self.run,
            "git_sha": self.git_sha,
            "at": self.at,
            "status": self.outcome.value,
        }
        if self.attested is not None:
            members["attested"] = _plain(self.attested)
        if self.anchor is not None:
            members["onchain"] = _plain(self.anchor)
        if self.failure is not None:
            members["failure"] = _plain(self.failure)
        return json.dumps(members, indent=1, sort_keys=True) + "\n"


def _plain(part: Attested | Anchor | Failure) -> dict[str, object]:
    values = ((name, getattr(part, name)) for name in part.__slots__)
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in values}


def parse_record(text: str | bytes, where: str) -> Record:
    """Read a record strictly: unknown members, and a status that its parts contradict, are errors. Raises Malformed."""
    fields = parse_object(text, where, max_bytes=MAX_RECORD_BYTES)
    schema = fields.text("schema", max_chars=100)
    if schema != SCHEMA:
        raise Malformed("unknown record schema", where=f"{where}.schema", got=shown(schema), expected=SCHEMA)
    _known(fields, "schema version machine run git_sha at status attested onchain failure")
    record = Record(
        version=Version.parse_release(fields.text("version", max_chars=64), f"{where}.version"),
        machine=fields.text("machine", max_chars=64),
        run=fields.text("run", max_chars=64),
        git_sha=fields.text("git_sha", max_chars=40),
        at=fields.integer("at", high=LAST_SECOND),
        attested=_attested(fields.child("attested")) if "attested" in fields else None,
        anchor=_anchor(fields.child("onchain")) if "onchain" in fields else None,
        failure=_failure(fields.child("failure")) if "failure" in fields else None,
    )
    status = fields.text("status", max_chars=20)
    if status != record.outcome:
        raise Malformed(
            "a status that the record contradicts", where=f"{where}.status", got=shown(status), expected=record.outcome
        )
    return record


def _known(fields: Fields, names: str) -> None:
    unknown = set(fields.raw) - set(names.split())
    if unknown:
        raise Malformed("unknown member", where=fields.where, got=shown(min(unknown), 40))


def _attested(fields: Fields) -> Attested:
    _known(fields, " ".join(Attested.__slots__))
    instance_id = fields.hex("instance_id", max_size=20)
    if len(instance_id) not in (0, 20):
        raise Malformed("wrong length", where=f"{fields.where}.instance_id", got=f"{len(instance_id)} bytes")
    return Attested(
        device_id=fields.hex("device_id", size=32),
        compose_hash=fields.hex("compose_hash", size=32),
        app_id=fields.hex("app_id", size=20),
        instance_id=instance_id,
        at=fields.integer("at", high=LAST_SECOND),
        bundle=fields.hex("bundle", size=32),
        proof=fields.hex("proof", size=32),
        simulated=fields.boolean("simulated"),
    )


def _anchor(fields: Fields) -> Anchor:
    _known(fields, " ".join(Anchor.__slots__))
    return Anchor(
        chain_id=fields.integer("chain_id", low=1),
        transaction=fields.hex("transaction", size=32),
        block=fields.integer("block"),
        block_hash=fields.hex("block_hash", size=32),
        log_index=fields.integer("log_index"),
        block_time=fields.integer("block_time", high=LAST_SECOND),
    )


def _failure(fields: Fields) -> Failure:
    _known(fields, "step reason")
    step, reason = fields.text("step", max_chars=60), fields.text("reason", max_chars=MAX_REASON)
    if not _STEP.fullmatch(step):
        raise Malformed("not the name of a step", where=f"{fields.where}.step", got=shown(step))
    if not reason.isprintable() or not reason:
        raise Malformed("not a printable reason", where=f"{fields.where}.reason", got=shown(reason, 40))
    return Failure(step, reason)
