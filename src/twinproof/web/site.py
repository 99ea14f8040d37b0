"""What the pages are about: one archive, who judges it, and what this server was given beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from twinproof.evidence.bundle import parse_bundle
from twinproof.release.history_file import HistoryFile
from twinproof.sources.archive.store import Archive
from twinproof.verifier import Verdict, Verifier
from twinproof.wanted import machine_of
from twinproof.web.recheck import Recheck

__all__ = ["PER_PAGE", "Site"]

PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Site:
    """What the pages are about. `max_age` is in seconds: an older last proof makes badge and overview grey.

    `recheck` is None where nothing was configured to be asked: then there is no route that writes.
    """

    folder: str
    verifier: Verifier
    max_age: int
    clock: Callable[[], int]
    recheck: Recheck | None = None
    histories: Callable[[], tuple[HistoryFile, ...]] = tuple

    def archive(self) -> Archive:
        """Opened anew: handlers are plain functions, so each runs in a thread, with an archive of its own."""
        return Archive(self.folder)

    def verdict(self, number: int) -> Verdict:
        """What entry `number` is worth here and now. Raises UsageError, EvidenceError.

        Where it comes from, and which certificate was seen, is the word of the bundle, as with any other file.
        """
        with self.archive() as archive:
            evidence = parse_bundle(archive.bundle(number))
        verdict, told = self.verifier.verify(evidence), replace(evidence, stored=True)
        return replace(verdict, evidence=told, machine=machine_of(verdict.policy, told, verdict.claims))
