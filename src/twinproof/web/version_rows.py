"""The timeline of versions: which ran where and when, since when each is allowed, by what replaced, and which are dark.

From the archive's own proofs, from the chain evidence inside them, and from histories that the server was given. What
none of these says is "not known", in words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from twinproof.errors import TwinproofError
from twinproof.evidence.carrier import unpack
from twinproof.release.history_file import HistoryFile, HistoryVersion
from twinproof.report.html.timeline import Piece, Timeline, Track, draw_tracks
from twinproof.report.verdict_text import time_text
from twinproof.sources.archive.lookup import Run
from twinproof.verdict import Status
from twinproof.verifier import Verdict

__all__ = ["NOT_KNOWN", "Ran", "VersionRow", "machine_tracks", "version_rows"]

NOT_KNOWN = "not known"
MOST_TRACKS = 20
MOST_JUDGED = 4
"""Newest proofs of a version that are looked at for the log of a chain."""
_NO_LOG = f"{NOT_KNOWN}: no history was given (--history), and its newest proofs hold no log of a chain"
_NO_TEXT = f"{NOT_KNOWN}: no history was given (--history), and its newest proof holds no text of this hash"


@dataclass(frozen=True, slots=True)
class Ran:
    """On one machine: from the first to the last proof in a row, and what came after."""

    machine: str
    first: int
    last: int
    count: int
    replaced: str


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One compose hash. `status` is `fail` for a dark one, `warn` where somebody should look, else `pass`."""

    version: str
    compose_hash: str
    ran: tuple[Ran, ...]
    first: int | None
    last: int | None
    count: int
    entry: int | None
    allowed_since: tuple[str, ...]
    allowed_until: tuple[str, ...]
    dark: str
    status: str


def version_rows(
    runs: Sequence[Run],
    histories: Sequence[HistoryFile],
    names: Mapping[str, str],
    judged: Callable[[int], Verdict],
    *,
    start: int,
    size: int,
) -> tuple[list[VersionRow], int]:
    """`size` rows from `start`, the newest first, and how many there are in all. `judged` judges an entry again.

    What was allowed and never proved here comes after what was proved, dark ones first.
    """
    after = _successors(runs)
    by_version: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        by_version.setdefault((run.version, run.compose_hash), []).append(run)
    told = _told(histories)
    proved = sorted(by_version.items(), key=lambda item: min(run.first for run in item[1]), reverse=True)
    known = {compose_hash for _, compose_hash in by_version}
    others = [(name, found) for name, found in told.items() if name not in known]
    others.sort(key=lambda item: not any(version.dark for _, version in item[1]))
    rows = [
        _proved_row(mine, after, names, told.get(mine[0].compose_hash, ()), judged)
        for _, mine in proved[start : start + size]
    ]
    left, skipped = size - len(rows), max(0, start - len(proved))
    rows += [_unproved_row(compose_hash, found) for compose_hash, found in others[skipped : skipped + left]]
    return rows, len(proved) + len(others)


Told = Sequence[tuple[HistoryFile, HistoryVersion]]


def _told(histories: Sequence[HistoryFile]) -> dict[str, list[tuple[HistoryFile, HistoryVersion]]]:
    found: dict[str, list[tuple[HistoryFile, HistoryVersion]]] = {}
    for history in histories:
        for version in history.versions:
            found.setdefault(version.compose_hash, []).append((history, version))
    return found


def _successors(runs: Sequence[Run]) -> dict[Run, Run]:
    """What ran next on the same machine."""
    return {
        before: after for before, after in pairwise(runs) if before.device_id and before.device_id == after.device_id
    }


def _proved_row(
    mine: Sequence[Run],
    after: Mapping[Run, Run],
    names: Mapping[str, str],
    told: Told,
    judged: Callable[[int], Verdict],
) -> VersionRow:
    version, compose_hash = mine[0].version, mine[0].compose_hash
    recent = sorted(mine, key=lambda run: (run.last, run.number), reverse=True)
    newest = recent[0]
    verdicts = {run.number: _judged(run.number, judged) for run in recent[:MOST_JUDGED]}
    since, until = _allowed(told)
    own = next(filter(None, (_own_log(verdict, number) for number, verdict in verdicts.items())), ())
    dark, status = _darkness(told, verdicts[newest.number], compose_hash, newest.number)
    return VersionRow(
        version=version,
        compose_hash=compose_hash,
        ran=tuple(
            Ran(
                names.get(run.device_id, run.device_id[:12] or "a machine that was not shown"),
                run.first,
                run.last,
                run.count,
                _replaced(after.get(run)),
            )
            for run in mine
        ),
        first=min(run.first for run in mine),
        last=max(run.last for run in mine),
        count=sum(run.count for run in mine),
        entry=newest.number,
        allowed_since=(*own, *since) or (_NO_LOG,),
        allowed_until=until or (f"{NOT_KNOWN}: no history was given (--history)",),
        dark=dark,
        status=status,
    )


def _judged(number: int, judged: Callable[[int], Verdict]) -> Verdict | None:
    try:
        return judged(number)
    except TwinproofError:  # the entry's own page says what is wrong with it
        return None


def _unproved_row(compose_hash: str, told: Told) -> VersionRow:
    since, until = _allowed(told)
    dark, status = _darkness(told, None, compose_hash, 0)
    titles = " = ".join(dict.fromkeys(name for _, version in told for name in version.names))
    return VersionRow(
        titles or ("DARK" if status == "fail" else "published"),
        compose_hash,
        *((), None, None, 0, None),
        allowed_since=since,
        allowed_until=until,
        dark=dark,
        status="fail" if status == "fail" else "not_checked",
    )


def _replaced(after: Run | None) -> str:
    if after is None:
        return "not replaced: its newest proof here"
    what = after.version or "no version"
    return f"replaced by {what} ({after.compose_hash[:12]}), first proved {time_text(after.first)}"


def _allowed(told: Told) -> tuple[tuple[str, ...], tuple[str, ...]]:
    since, until = [], []
    for history, version in told:
        whose = "proved" if history.proved else "without proofs"
        for span in version.spans:
            since.append(
                f"{_place(span.since_block, span.since_time)}, transaction 0x{span.transaction[:16]}… "
                f"({history.name}, {whose})"
                if span.since_block is not None
                else f"before the log begins ({history.name})"
            )
            until.append(
                f"still allowed in block {history.to_block} ({history.name})"
                if span.until_block is None
                else f"{_place(span.until_block, span.until_time)} ({history.name})"
            )
    return tuple(since), tuple(until)


def _place(block: int | None, seconds: int | None) -> str:
    return f"block {block}" + ("" if seconds is None else f", {time_text(seconds)}")


def _own_log(verdict: Verdict | None, number: int) -> tuple[str, ...]:
    """The log inside the evidence itself, as far as it holds."""
    chain = verdict.evidence.chain if verdict is not None else None
    if verdict is None or chain is None or chain.allowed_by is None:
        return ()
    if verdict.check("chain.log").status not in (Status.PASS, Status.WARN):
        return (f"{NOT_KNOWN}: the log in entry {number} does not hold",)
    found = chain.allowed_by
    whose = "its place is proved, that the block is of the chain is not" if found.receipt else "without a proof"
    place = _place(found.log.block_number, found.block.header.timestamp)
    return (f"{place}, transaction 0x{found.log.transaction_hash.hex()[:16]}… (entry {number}, {whose})",)


def _darkness(told: Told, verdict: Verdict | None, compose_hash: str, number: int) -> tuple[str, str]:
    text_here = verdict is not None and _holds_text(verdict, compose_hash)
    where = ", ".join(dict.fromkeys(history.name for history, _ in told))
    if any(version.dark for _, version in told):
        if text_here:
            return f"dark in {where}; its text is in entry {number}", "warn"
        return f"DARK: allowed, and published nowhere ({where})", "fail"
    if told:
        return f"no: published ({where})", "pass"
    if text_here:
        return f"no: its text is in entry {number}", "pass"
    return _NO_TEXT, "not_checked"


def _holds_text(verdict: Verdict, compose_hash: str) -> bool:
    try:
        text = unpack(verdict.evidence).app_compose
    except TwinproofError:
        return False
    return text is not None and hashlib.sha256(text.encode()).hexdigest() == compose_hash


def machine_tracks(runs: Sequence[Run], names: Mapping[str, str]) -> tuple[Timeline, int]:
    """One track for each machine, and how many machines are left out of the drawing; the table has them all."""
    by_machine: dict[str, list[Piece]] = {}
    for run in runs:
        text = f"{run.version or 'no version'} {run.compose_hash[:12]}"
        by_machine.setdefault(run.device_id, []).append(Piece(run.first, run.last, "pass", text))
    tracks = [
        Track(names.get(device_id, device_id[:12] or "not shown"), tuple(pieces))
        for device_id, pieces in by_machine.items()
    ]
    until = max((run.last for run in runs), default=0)
    return draw_tracks(tracks[:MOST_TRACKS], until=until), max(0, len(tracks) - MOST_TRACKS)
