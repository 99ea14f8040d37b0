"""`twinproof archive add|list|export`: evidence is kept, and can be taken out again, byte for byte."""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from twinproof.cli.output import style_of
from twinproof.cli.progress import Progress
from twinproof.cli.settings import read_settings
from twinproof.errors import Malformed, TwinproofError, UsageError, worst_exit_code
from twinproof.evidence.bundle import bundle_to_json
from twinproof.names import short_source
from twinproof.report.verdict_text import time_text
from twinproof.sources import clock
from twinproof.sources.archive.entry import Entry, summary_of
from twinproof.sources.archive.store import Archive, New
from twinproof.sources.disk import write_new
from twinproof.sources.files import load_evidence
from twinproof.verifier import Verifier
from twinproof.wire import shown

__all__ = ["OUTCOMES", "run"]

OUTCOMES = {0: "accepted", 3: "not genuine", 4: "not as wanted"}


def run(arguments: argparse.Namespace) -> int:
    return {"add": _add, "list": _list, "export": _export}[arguments.action](arguments)


def _add(arguments: argparse.Namespace) -> int:
    """A file that is no evidence costs no other its place; the exit code says that there was one."""
    settings = read_settings(arguments)
    verifier = Verifier(roots=settings.roots, policy=settings.policy)
    paths = list(_files(arguments.files))
    codes: set[int] = set()
    outcomes: deque[int] = deque()  # of what was judged and has no number yet
    progress = Progress(len(paths), lambda: None)

    def judged() -> Iterator[New]:
        for number, path in enumerate(paths):
            progress.show(number, len(codes - {0}))
            try:
                found = _judged(path, verifier)
            except TwinproofError as error:
                progress.hide()
                print(f"twinproof: not added: {shown(str(error), 1000)}", file=sys.stderr)
                codes.add(error.exit_code)
                continue
            outcomes.append(found.summary.exit_code)
            yield found

    with Archive(arguments.archive, write=True) as archive:
        for number, new in archive.add(judged(), clock=clock.now):
            progress.hide()
            outcome = outcomes.popleft()
            if arguments.json:
                told = {"schema": "twinproof/archive-add/v1", "number": number, "new": new, "exit_code": outcome}
                print(json.dumps(told), flush=True)
            else:
                print(f"{number}  {'added' if new else 'was there'}, {OUTCOMES.get(outcome, 'unknown')}", flush=True)
        progress.hide()
        print(f"twinproof: {len(archive)} entries, head {archive.head}", file=sys.stderr)
    return worst_exit_code(codes)


def _judged(path: Path, verifier: Verifier) -> New:
    evidence = replace(load_evidence(str(path)), stored=False)
    if evidence.collateral is None or evidence.fetched_at is None:
        raise Malformed(
            "only what can be judged later is kept",
            where=shown(str(path), 200),
            expected="an evidence bundle with its collateral and its time",
            hint="`twinproof verify --save DIR` and `compare --save DIR` write such bundles",
        )
    return New(bundle_to_json(evidence).encode(), evidence.source, summary_of(verifier.verify(evidence)))


def _files(names: list[str]) -> Iterator[Path]:
    """Files as they are, folders as the *.json in them. Raises UsageError for what is not there."""
    for name in names:
        path = Path(name)
        try:
            if path.is_dir():
                yield from sorted(item for item in path.iterdir() if item.suffix == ".json" and item.is_file())
            elif path.is_file():
                yield path
            else:
                raise UsageError("no such file", where=shown(name))
        except OSError as error:
            raise UsageError(f"cannot be read: {error.strerror}", where=shown(name)) from error


def _list(arguments: argparse.Namespace) -> int:
    with Archive(arguments.archive) as archive:
        found = list(archive.entries(newest=max(0, arguments.limit)))
        total, head = len(archive), archive.head
    digits = len(str(found[0].number)) if found else 0
    for entry in found:
        print(json.dumps(_plain(entry)) if arguments.json else _line(entry, digits))
    print(f"twinproof: {len(found)} of {total} entries, head {head}", file=sys.stderr)
    return 0


def _plain(entry: Entry) -> dict[str, object]:
    return {"schema": "twinproof/archive-list/v1", **asdict(entry), "summary": json.loads(entry.summary)}


def _line(entry: Entry, digits: int) -> str:
    """Number, time of judgement, outcome, source, version and the start of the compose hash."""
    summary, style = entry.judged, style_of()
    version = f"{summary.version or 'no version'} {summary.compose_hash[:12] or 'no compose hash'}"
    line = f"{entry.number:>{digits}}  {time_text(summary.at)}  {OUTCOMES.get(summary.exit_code, 'unknown'):13}  "
    return style.ellipsis(f"{line}{shown(short_source(entry.source), 40)}  {shown(version, 80)}", style.width)


def _chosen(archive: Archive, numbers: Sequence[int]) -> Iterator[tuple[int, Callable[[], bytes]]]:
    """Entries by number, and how to read the text of each: those that are named, or all that the index still has."""
    for number in numbers:
        yield number, partial(archive.bundle, number)
    for packed in () if numbers else archive.packed():
        yield packed.entry.number, partial(archive.text, packed)


def _export(arguments: argparse.Namespace) -> int:
    """What cannot be taken out whole is named, and costs no other bundle."""
    codes: set[int] = set()
    with Archive(arguments.archive) as archive:
        folder = Path(arguments.to)
        for number, read in _chosen(archive, arguments.numbers):
            try:
                text = read()
            except Malformed as error:
                print(f"twinproof: entry {number}: {shown(str(error), 1000)}", file=sys.stderr)
                codes.add(error.exit_code)
                continue
            path = folder / f"{number:06}.json"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                if not (path.is_file() and path.read_bytes() == text):
                    write_new(path, text)
            except OSError as error:
                raise UsageError(
                    f"cannot be written: {error.strerror or error}", where=shown(str(path), 200)
                ) from error
            told = {"schema": "twinproof/archive-export/v1", "number": number, "file": str(path)}
            print(json.dumps(told) if arguments.json else path)
    return worst_exit_code(codes)
