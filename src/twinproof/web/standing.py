"""Where the fleet stands now: what each machine's newest evidence is worth here, and the one word for all of it."""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.errors import EvidenceError, UsageError
from twinproof.evidence.bundle import parse_bundle
from twinproof.sources.archive import lookup
from twinproof.sources.archive.entry import Entry
from twinproof.sources.archive.store import Archive
from twinproof.web.site import PER_PAGE, Site

__all__ = ["FAILED", "NO_RECENT_PROOF", "PROVED", "Fleet", "Machine", "Standing"]

MOST_AHEAD = 300
"""Seconds that another machine's clock may be ahead of this one's."""
PROVED, FAILED, NO_RECENT_PROOF = "proved", "failed", "no recent proof"


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine's newest entry, its exit code now, and the time of its evidence in unix seconds.

    `fresh` says that it answers a nonce: only then is its time more than the word of whoever wrote the bundle.
    `device_id` is of the quote, None where it does not hold.
    """

    entry: Entry
    exit_code: int
    at: int
    fresh: bool = False
    device_id: bytes | None = None


@dataclass(frozen=True, slots=True)
class Fleet:
    """What the archive says while it has this head: entries are only appended, so a head has one answer."""

    head: str
    total: int
    machines: tuple[Machine, ...]
    versions: tuple[lookup.VersionSpan, ...]

    @property
    def newest(self) -> int | None:
        """The time of the newest evidence, good or bad."""
        return max((machine.at for machine in self.machines), default=None)

    @property
    def last_proof(self) -> int | None:
        """The time of the newest evidence that is accepted now, and answers a nonce."""
        return max((machine.at for machine in self.machines if machine.exit_code == 0 and machine.fresh), default=None)


class Standing:
    """Where the fleet of one site stands."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._found: Fleet | None = None

    def fleet(self) -> Fleet:
        """Each machine's newest entry, judged here, once per head.

        The index says how others judged it, under whatever root and policy they had, and it can be edited.
        """
        with self._site.archive() as archive:
            head, found = archive.head, self._found
            if found is None or found.head != head:
                found = self._found = Fleet(
                    head,
                    len(archive),
                    tuple([self._judged(archive, entry) for entry in lookup.newest_per_machine(archive)]),
                    tuple(lookup.versions(archive)[:PER_PAGE]),
                )
        return found

    def _judged(self, archive: Archive, entry: Entry) -> Machine:
        """What cannot be read is not genuine."""
        try:
            verdict = self._site.verifier.verify(parse_bundle(archive.bundle(entry.number)))
        except (EvidenceError, UsageError):
            return Machine(entry, 3, entry.judged.at)
        platform = verdict.claims.platform
        return Machine(entry, verdict.exit_code, verdict.at, verdict.fresh, platform.device_id if platform else None)

    def word(self, fleet: Fleet) -> str:
        """The word of badge and overview. Of evidence that is old nothing is said, good or bad.

        Proved takes a recent answer to a nonce from every machine that the configuration knows by its device id: one
        that answers no more is not covered by the others. Other machines may have been retired, so they may be old.
        """
        if self.stale(fleet.newest):
            return NO_RECENT_PROOF
        if any(machine.exit_code for machine in fleet.machines):
            return FAILED
        recent = [machine for machine in fleet.machines if not self.stale(machine.at)]
        answered = {machine.device_id for machine in recent}
        configured = {machine.device_id for machine in self._site.verifier.policy.machines if machine.device_id}
        return PROVED if configured <= answered and all(machine.fresh for machine in recent) else NO_RECENT_PROOF

    def stale(self, last: int | None) -> bool:
        """Too old, or of a time that is still to come: by a clock that was set back, or dated so to stay for ever."""
        return last is None or not -MOST_AHEAD <= self._site.clock() - last <= self._site.max_age
