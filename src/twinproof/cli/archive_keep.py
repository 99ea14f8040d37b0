"""Evidence that was just judged, into an archive: as `watch` and a re-check from the pages do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from twinproof.evidence.bundle import bundle_to_json
from twinproof.sources import clock
from twinproof.sources.archive.entry import summary_of
from twinproof.sources.archive.store import Archive, New
from twinproof.verifier import Verdict

__all__ = ["keep"]


def keep(folder: str, verdicts: Sequence[Verdict]) -> list[int | None]:
    """The entry of each verdict's evidence, None for what has no collateral or time of its own. Raises UsageError."""
    whole = [
        verdict.evidence.collateral is not None and verdict.evidence.fetched_at is not None for verdict in verdicts
    ]
    news = [
        New(bundle_to_json(replace(verdict.evidence, stored=False)).encode(), verdict.source, summary_of(verdict))
        for verdict, kept in zip(verdicts, whole, strict=True)
        if kept
    ]
    with Archive(folder, write=True) as archive:
        numbers = iter([number for number, _ in archive.add(news, clock=clock.now)])
    return [next(numbers) if kept else None for kept in whole]
