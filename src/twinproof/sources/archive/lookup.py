"""Questions about an archive that pages ask: answered from its index, in time that hardly grows with it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from twinproof.sources.archive.entry import Entry
from twinproof.sources.archive.store import Archive

__all__ = [
    "Run",
    "VersionSpan",
    "entries_before",
    "newest_of_version",
    "newest_per_machine",
    "runs",
    "versions",
]


@dataclass(frozen=True, slots=True)
class Run:
    """Accepted proofs of one machine that follow each other and are of one version: first, last, how many, the last."""

    device_id: str
    version: str
    compose_hash: str
    first: int
    last: int
    count: int
    number: int


@dataclass(frozen=True, slots=True)
class VersionSpan:
    """The accepted proofs of one version: first and last in unix seconds, and how many."""

    version: str
    first: int
    last: int
    count: int


def versions(archive: Archive) -> list[VersionSpan]:
    """By their first accepted proof, the newest first."""
    rows = archive.ask(
        "SELECT version, min(at), max(at), count(*) FROM entries WHERE exit_code = 0 GROUP BY version ORDER BY 2 DESC"
    )
    return [VersionSpan(*row) for row in rows]


def newest_per_machine(archive: Archive) -> list[Entry]:
    """The newest entry of each device id, whatever its verdict; without one, those that showed no machine."""
    rows = archive.ask(
        "WITH RECURSIVE machine(id) AS (SELECT min(device_id) FROM entries UNION ALL "
        "SELECT (SELECT min(device_id) FROM entries WHERE device_id > id) FROM machine WHERE id IS NOT NULL) "
        "SELECT (SELECT number FROM entries WHERE device_id = id ORDER BY at DESC LIMIT 1) "
        "FROM machine WHERE id IS NOT NULL"
    )
    return [archive.packed_entry(number).entry for (number,) in rows]


def newest_of_version(archive: Archive, version: str) -> int | None:
    """The number of the newest accepted entry of a version."""
    rows = archive.ask(
        "SELECT number FROM entries WHERE exit_code = 0 AND version = ? ORDER BY at DESC LIMIT 1", (version,)
    )
    return int(rows[0][0]) if rows else None


def entries_before(archive: Archive, before: int, limit: int) -> list[Entry]:
    """At most `limit` entries with smaller numbers than `before`, the newest first."""
    rows = archive.ask("SELECT number FROM entries WHERE number < ? ORDER BY number DESC LIMIT ?", (before, limit))
    return [archive.packed_entry(number).entry for (number,) in rows]


def runs(archive: Archive) -> list[Run]:
    """Every stretch of accepted proofs of one version on one machine, by machine and then by time."""
    rows = archive.ask(
        "SELECT device_id, version, CASE WHEN json_valid(summary) THEN json_extract(summary, '$.compose_hash') END, "
        "at, number FROM entries WHERE exit_code = 0 ORDER BY device_id, at, number"
    )
    found = []
    for (device_id, version, compose_hash), group in groupby(rows, key=lambda row: row[:3]):
        times = [(at, number) for *_, at, number in group]
        found.append(
            Run(device_id, version, str(compose_hash or ""), times[0][0], times[-1][0], len(times), times[-1][1])
        )
    return found
