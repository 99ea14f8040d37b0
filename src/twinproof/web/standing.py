"""Where the fleet stands now: what each machine's newest evidence is worth here, and the one word for all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinproof.comparison import Outcome, compare
from twinproof.errors import EvidenceError, UsageError
from twinproof.evidence.bundle import parse_bundle
from twinproof.sources.archive import lookup
from twinproof.sources.archive.entry import Entry
from twinproof.sources.archive.store import Archive
from twinproof.verifier import Verdict
from twinproof.web.site import PER_PAGE, Site

__all__ = ["FAILED", "NO_RECENT_PROOF", "PROVED", "Fleet", "Machine", "Standing"]

_SAME = {Outcome.COMPLETE, Outcome.NOT_FRESH}
"""Of machines that were asked in different runs, and answered a nonce each, the second."""
MOST_AHEAD = 300
"""Seconds that another machine's clock may be ahead of this one's."""
PROVED, FAILED, NO_RECENT_PROOF = "proved", "failed", "no recent proof"


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine's newest entry, its exit code now, and the time of its evidence in unix seconds.

    `verdict` is None for evidence that cannot be read.
    """

    entry: Entry
    exit_code: int
    at: int
    verdict: Verdict | None = None

    @property
    def fresh(self) -> bool:
        """Whether it answers a nonce: only then is its time more than the word of whoever wrote the bundle."""
        return self.verdict is not None and self.verdict.fresh

    @property
    def device_id(self) -> bytes | None:
        """Of the quote, None where it does not hold."""
        platform = self.verdict.claims.platform if self.verdict is not None else None
        return platform.device_id if platform is not None else None


def _compared(verdicts: Sequence[Verdict]) -> set[Outcome]:
    """What the comparison of each app's instances comes to; of one instance there is none."""
    apps: dict[bytes, list[Verdict]] = {}
    for verdict in verdicts:
        software = verdict.claims.software
        apps.setdefault(software.app_id if software is not None else b"", []).append(verdict)
    return {compare(instances).outcome for instances in apps.values() if len(instances) > 1}


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
        return Machine(entry, verdict.exit_code, verdict.at, verdict)

    def word(self, fleet: Fleet) -> tuple[str, str]:
        """The word of badge and overview, and the reason. Of evidence that is old nothing is said, good or bad.

        Proved takes a recent answer to a nonce from every machine that the configuration knows by its device id: one
        that answers no more is not covered by the others. Other machines may have been retired, so they may be old.
        And it takes that the instances of each app are the same, as `compare` says it.
        """
        if self.stale(fleet.newest):
            return NO_RECENT_PROOF, "all evidence is old, or of a time to come"
        if any(machine.exit_code for machine in fleet.machines):
            return FAILED, "the newest evidence of a machine is not accepted"
        recent = [machine for machine in fleet.machines if not self.stale(machine.at)]
        outcomes = _compared([machine.verdict for machine in recent if machine.verdict is not None])
        if Outcome.DIFFERENT in outcomes:
            return FAILED, "each machine is accepted, and they differ from each other"
        if why := self._unshown(recent, outcomes):
            return NO_RECENT_PROOF, why
        return PROVED, "every machine is accepted, answered a nonce, and is the same as the others of its app"

    def _unshown(self, recent: Sequence[Machine], outcomes: set[Outcome]) -> str:
        """What keeps recent evidence, all of it accepted, from being a proof; empty when nothing does."""
        answered = {machine.device_id for machine in recent}
        configured = {machine.device_id for machine in self._site.verifier.policy.machines if machine.device_id}
        if not configured <= answered:
            return "a configured machine has no recent evidence"
        if not all(machine.fresh for machine in recent):
            return "not every machine answered a nonce"
        return "" if outcomes <= _SAME else "too little could be compared to show that the machines are the same"

    def stale(self, last: int | None) -> bool:
        """Too old, or of a time that is still to come: by a clock that was set back, or dated so to stay for ever."""
        return last is None or not -MOST_AHEAD <= self._site.clock() - last <= self._site.max_age
