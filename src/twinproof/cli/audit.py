"""`twinproof audit ARCHIVE`: every bundle judged again, offline, at its own time; and what is missing between them."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

from twinproof import __version__
from twinproof.batch import Chunk, in_order
from twinproof.cli.audit_journal import Journal
from twinproof.cli.audit_work import INDEX_DIFFERS, Audited, Task, audit_tasks, indexed_as_said, lost
from twinproof.cli.output import style_of
from twinproof.cli.progress import Progress
from twinproof.cli.settings import Settings, read_settings
from twinproof.errors import Malformed, Unavailable, UsageError
from twinproof.report.audit_text import MOST_NAMED, Audit, Problem, Timeline, audit_text
from twinproof.sources.archive.entry import FIRST
from twinproof.sources.archive.store import Archive, Packed
from twinproof.sources.deployment_records import read_records
from twinproof.sources.engine import Engine, cluster, local
from twinproof.wire import shown

__all__ = ["run"]

CHUNK = 32  # entries that travel together
IN_FLIGHT = 4  # chunks per worker


def run(arguments: argparse.Namespace) -> int:
    head = None if arguments.head is None else _head(arguments.head)
    settings = read_settings(arguments)
    records = None if arguments.records is None else _records(arguments.records)
    with ExitStack() as opened:
        archive = opened.enter_context(Archive(arguments.archive))
        simulated = tuple(root.name for root in settings.roots if not root.is_intel)
        audit = Audit(FIRST, None if head is None else False, simulated)
        progress = Progress(_size(archive), lambda: None)
        journal = opened.enter_context(_journal(arguments, settings)) if arguments.journal else None
        engine = opened.enter_context(_engine(arguments))
        results = _results(archive, partial(audit_tasks, settings), journal, engine)
        try:
            for result, entry_hash in results:
                audit.head = entry_hash or audit.head
                audit.head_found = None if head is None else audit.head_found or entry_hash == head
                _count(audit, result)
                progress.show(audit.counts.total(), audit.counts["broken"] + audit.counts["changed"])
        finally:
            progress.hide()
        if arguments.max_gap is not None:
            audit.gaps = list(islice(archive.gaps(arguments.max_gap), MOST_NAMED))
    if records is not None:
        deployed = {str(record.version) for record in read_records(records).whole()}
        audit.without_proof = sorted(deployed - audit.versions.keys())
    print(json.dumps(audit.to_json(), indent=1) if arguments.json else audit_text(audit, style_of()), end="")
    if arguments.json:
        print()
    return audit.exit_code


def _size(archive: Archive) -> int | None:
    """None where a damaged index does not even tell that."""
    try:
        return len(archive)
    except Malformed:
        return None


def _head(text: str) -> str:
    """Raises UsageError before a mistyped hash becomes "entries were removed"."""
    if re.fullmatch("[0-9a-fA-F]{64}", text) is None:
        hint = "`twinproof archive list` prints it"
        raise UsageError("not a head", where="--head", got=shown(text, 100), expected="64 hex digits", hint=hint)
    return text.lower()


def _records(name: str) -> Path:
    """Raises UsageError before a mistyped name becomes "nothing was deployed without a proof"."""
    folder = Path(name)
    if not folder.is_dir():
        raise UsageError("no such folder", where=f"--records {shown(name)}", hint="deployments/ of the repository")
    return folder


def _journal(arguments: argparse.Namespace, settings: Settings) -> Journal:
    about: dict[str, object] = {
        "archive": str(Path(arguments.archive).resolve()),
        "twinproof": __version__,
        "policy": settings.policy.digest,
        "roots": [root.fingerprint for root in settings.roots],
    }
    return Journal(arguments.journal, about)


def _results(
    archive: Archive, work: Callable[[Sequence[Task]], list[Audited]], journal: Journal | None, engine: Engine
) -> Iterator[tuple[Audited, str]]:
    """Results with their entries' hashes: the journal's first, then what it lacks, written down before it counts."""
    after = 0
    previous: str | None = FIRST
    for result, entry_hash in _before(archive, journal) if journal is not None else ():
        after, previous = result.number, entry_hash or None
        yield result, entry_hash
    hashes: dict[int, str] = {}

    def seen(packed: Packed) -> None:
        hashes[packed.entry.number] = packed.entry.hash

    chunks = _chunks(_tasks(archive, after, previous, seen))
    window = IN_FLIGHT * engine.jobs
    for result in in_order(chunks, engine.executor, work, lost=lost, window=window, deaths=engine.deaths):
        if result.number != next(iter(hashes), None):  # entries are asked about in their order
            raise Unavailable("a worker answered about another entry than it was given", got=shown(result.number))
        entry_hash = hashes.pop(result.number)
        if journal is not None:
            journal.add(result, entry_hash)
        yield result, entry_hash


def _before(archive: Archive, journal: Journal) -> Iterator[tuple[Audited, str]]:
    """The journal's results, as far as the archive still has the entries that they are about, at their places.

    They are not judged again. That the archive still has the bytes that were is looked at each time.
    """
    entries, previous = archive.packed(), FIRST
    packed = next(entries, None)
    for result, entry_hash in journal.before():
        while packed is not None and packed.entry.number < result.number:
            packed = next(entries, None)
        if packed is None or packed.entry.number != result.number:
            yield replace(result, broken=result.broken or "this entry was removed since the journal was written"), ""
            continue
        broken = result.broken or _changed_since(archive, packed, previous, entry_hash)
        previous = packed.entry.hash
        yield replace(result, broken=broken), packed.entry.hash


def _changed_since(archive: Archive, packed: Packed, previous: str, entry_hash: str) -> str:
    """What became of an entry that held when the journal was written; empty when it is what it was."""
    if not packed.entry.follows(previous) or packed.entry.hash != entry_hash:
        return "this entry was changed since the journal was written"
    try:
        packed.text(archive.shared(packed))
    except Malformed as error:
        return shown(f"its bundle was changed since the journal was written: {error}", 1000)
    return "" if indexed_as_said(packed) else INDEX_DIFFERS


def _tasks(archive: Archive, after: int, previous: str | None, seen: Callable[[Packed], None]) -> Iterator[Task]:
    """What comes behind an entry that cannot be read is held against itself alone: that one is broken already."""
    for packed in archive.packed(after):
        seen(packed)
        shared = archive.shared(packed)
        entry = packed.entry
        linked = entry.follows(entry.previous if previous is None else previous)
        yield Task(packed, tuple(shared.items()), linked)
        previous = None if packed.unread else entry.hash


def _chunks(tasks: Iterable[Task]) -> Iterator[Chunk[Task]]:
    """Texts that entries of one chunk share travel once."""
    source = iter(tasks)
    while items := tuple(islice(source, CHUNK)):
        shared = {digest: len(text) for task in items for digest, text in task.shared}
        yield Chunk(items, sum(len(task.packed.rest) for task in items) + sum(shared.values()))


def _count(audit: Audit, result: Audited) -> None:
    if result.broken:
        audit.counts["broken"] += 1
        if len(audit.broken) < MOST_NAMED:
            audit.broken.append(Problem(result.number, result.source, result.broken))
        return
    audit.counts["changed" if result.changed else "holds"] += 1
    then, now = result.then, result.now
    if then is None or now is None:
        return
    if result.changed:
        audit.worse += then.exit_code != 3 and now.exit_code == 3
        if len(audit.changed) < MOST_NAMED:
            words = f"exit {then.exit_code} then, {now.exit_code} now"
            why = f"{words}: {', '.join(now.failed or then.failed)}"
            audit.changed.append(
                Problem(result.number, result.source, f"{why} (hint: {result.hint})" if result.hint else why)
            )
    audit.refused += not result.changed and now.exit_code != 0
    if now.exit_code == 0:
        line = audit.versions.get(now.version)
        if line is None:
            audit.versions[now.version] = Timeline(now.at, now.at)
        else:
            line.add(now.at)


def _engine(arguments: argparse.Namespace) -> AbstractContextManager[Engine]:
    if arguments.scheduler is None:
        return local(arguments.jobs)
    if arguments.jobs is not None:
        raise UsageError("--jobs and --scheduler exclude each other", where="twinproof audit")
    return cluster(arguments.scheduler)
