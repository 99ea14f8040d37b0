"""What an archive keeps of one bundle: how it was judged when it was added, and its link in the chain of entries."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from twinproof.errors import Malformed
from twinproof.verifier import Verdict
from twinproof.wire import shown

__all__ = ["FIRST", "Entry", "Summary", "link", "summary_of"]

FIRST = "0" * 64
"""What the first entry follows."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The verdict when it was added. Ids and hashes are hex, empty where nothing was shown; `at` is in unix seconds."""

    at: int
    exit_code: int
    fresh: bool
    failed: tuple[str, ...]
    root: str
    policy: str
    device_id: str
    instance_id: str
    app_id: str
    compose_hash: str
    version: str
    tcb_status: str

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Summary:
        """Of a text that an archive wrote; its hash was checked, or is about to be. Raises Malformed."""
        try:
            members = json.loads(text)
            return cls(**{**members, "failed": tuple(members["failed"])})
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Malformed("its summary cannot be read", where="entry", got=shown(text, 100)) from error


def summary_of(verdict: Verdict) -> Summary:
    """What is kept of a verdict."""
    claims = verdict.claims
    return Summary(
        at=verdict.at,
        exit_code=verdict.exit_code,
        fresh=verdict.fresh,
        failed=tuple(check.id for check in verdict.failures),
        root=verdict.root.fingerprint,
        policy=verdict.policy.digest,
        device_id=claims.platform.device_id.hex() if claims.platform else "",
        instance_id=claims.software.instance_id.hex() if claims.software else "",
        app_id=claims.software.app_id.hex() if claims.software else "",
        compose_hash=claims.software.compose_hash.hex() if claims.software else "",
        version=claims.statement.version if claims.statement else "",
        tcb_status=verdict.tcb_status or "",
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """One bundle. `digest` is SHA-256 of its text, `previous` the hash of the entry before it, all hex."""

    number: int
    added_at: int
    source: str
    digest: str
    summary: str
    previous: str
    hash: str

    @property
    def judged(self) -> Summary:
        return Summary.from_json(self.summary)

    def follows(self, previous: str) -> bool:
        """Whether it comes right behind the entry with this hash, and was not changed since."""
        said = (self.number, self.added_at, self.source, self.digest, self.summary, self.previous)
        return self.previous == previous and self.hash == link(said)


def link(said: tuple[int, int, str, str, str, str]) -> str:
    """The hash of an entry: over everything it says, and over the one before it. An entry put in later breaks it.

    `said` are number, added_at, source, digest, summary and previous, as a compact JSON array.
    """
    return hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()
