"""The archive's folder: `index.sqlite` with one row per bundle, `objects/` with the texts that bundles share.

What `add` gave back is on the disk: shared texts first, then the rows in one transaction. A process that is killed
between the two leaves a text that nothing names, which costs room and nothing else. Entries are only ever appended.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from twinproof.errors import Malformed, UsageError
from twinproof.sources.archive.entry import FIRST, Entry, Summary, link
from twinproof.sources.archive.objects import Objects, inflated
from twinproof.sources.archive.pieces import Pieces, cut, join
from twinproof.sources.archive.salvage import numbers
from twinproof.wire import shown

__all__ = ["Archive", "New", "Packed"]

_APPLICATION_ID = 0x74777072  # "twpr"
_SCHEMA = 1
_PAGE = 256  # rows at a time: no reader keeps a writer waiting
_BATCH = 256  # bundles in one transaction
_BUSY_SECONDS = 30
_TABLES = """\
CREATE TABLE entries (
  number INTEGER PRIMARY KEY, added_at INTEGER NOT NULL, source TEXT NOT NULL, digest TEXT NOT NULL UNIQUE,
  summary TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL, rest BLOB NOT NULL, places TEXT NOT NULL,
  at INTEGER NOT NULL, version TEXT NOT NULL, device_id TEXT NOT NULL, exit_code INTEGER NOT NULL
) STRICT;
CREATE INDEX by_time ON entries (exit_code, at);
CREATE INDEX by_version ON entries (exit_code, version, at);
CREATE INDEX by_device ON entries (device_id, at);
"""
_COLUMNS = "number, added_at, source, digest, summary, previous, hash"
_MORE = "rest, places, at, version, device_id, exit_code"


@dataclass(frozen=True, slots=True)
class Packed:
    """An entry with its bundle as it lies in the archive: compressed, without the shared texts."""

    entry: Entry
    rest: bytes
    places: str
    indexed: tuple[int, str, str, int]
    """What the index says of the summary, for looking up: time, version, device id, exit code."""
    unread: str = ""
    """Why nothing but the number could be read, in an index that was damaged or cut short."""

    def pieces(self) -> Pieces:
        """Raises Malformed for a row that was changed, or that could not be read."""
        if self.unread:
            raise Malformed(self.unread, where=f"entry {self.entry.number}")
        try:
            rest = inflated(self.rest)
            places = tuple((int(place), str(digest)) for place, digest in json.loads(self.places))
        except (zlib.error, ValueError, TypeError, RecursionError) as error:
            raise Malformed("this entry's text was damaged", where=f"entry {self.entry.number}") from error
        return Pieces(rest, places)

    def digests(self) -> tuple[str, ...]:
        """Names of the shared texts; none for a row that was changed, which `pieces` then says."""
        try:
            return tuple(str(digest) for _, digest in json.loads(self.places))
        except (ValueError, TypeError, RecursionError):
            return ()

    def text(self, shared: dict[str, bytes]) -> bytes:
        """The bundle, exactly as it was added. Raises Malformed when it is not."""
        text = join(self.pieces(), shared)
        digest = hashlib.sha256(text).hexdigest()
        if digest != self.entry.digest:
            raise Malformed(
                "this bundle is not the one that was added",
                where=f"entry {self.entry.number}",
                got=digest,
                expected=self.entry.digest,
            )
        return text


@dataclass(frozen=True, slots=True)
class New:
    """A bundle to add: its canonical text, where it was read, and how it was judged."""

    text: bytes
    source: str
    summary: Summary


class Archive:
    """An open archive. One process adds at a time; readers do not wait for it."""

    def __init__(self, folder: str, *, write: bool = False) -> None:
        """Open it, with `write` make it where there is none. Raises UsageError, Malformed for a damaged index."""
        self.folder, self._where = Path(folder), f"archive {shown(folder)}"
        index = self.folder / "index.sqlite"
        try:
            if not write and not index.is_file():
                raise UsageError("no archive here", where=self._where, hint="`twinproof archive add` makes one")
            if write:
                (self.folder / "objects").mkdir(parents=True, exist_ok=True)
            self._database = self._opened(index, write=write)
        except (OSError, sqlite3.Error, ValueError) as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CORRUPT:
                raise Malformed(f"the index cannot be read: {error}", where=self._where) from error
            raise UsageError(f"cannot be opened: {error}", where=self._where) from error
        self._objects = Objects(self.folder / "objects")

    def _opened(self, index: Path, *, write: bool) -> sqlite3.Connection:
        mode = "rwc" if write else "ro"
        opened = sqlite3.connect(
            f"{index.resolve().as_uri()}?mode={mode}", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
        )
        try:
            _prepare(opened, write=write)
        except BaseException:
            opened.close()
            raise
        return opened

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._database.close()

    def add(self, items: Iterable[New], *, clock: Callable[[], int]) -> Iterator[tuple[int, bool]]:
        """For each bundle its entry's number, and whether it is new: the same bundle is kept once. Raises UsageError.

        What was given back is on the disk; bundles that come at once share a transaction.
        """
        batches = iter(items)
        while batch := tuple(islice(batches, _BATCH)):
            try:
                yield from self._added(batch, clock())
            except (OSError, sqlite3.Error) as error:
                raise UsageError(f"cannot be written: {error}", where=self._where) from error

    def _added(self, batch: Sequence[New], added_at: int) -> list[tuple[int, bool]]:
        found = [(item, *cut(item.text)) for item in batch]
        for _, _, shared in found:
            for name, part in shared.items():
                self._objects.put(name, part)
        self._database.execute("BEGIN IMMEDIATE")
        try:
            results = [self._insert(item, pieces, added_at) for item, pieces, _ in found]
            self._database.execute("COMMIT")
        finally:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
        return results

    def _insert(self, item: New, pieces: Pieces, added_at: int) -> tuple[int, bool]:
        digest = hashlib.sha256(item.text).hexdigest()
        found = self._database.execute("SELECT number FROM entries WHERE digest = ?", (digest,)).fetchone()
        if found is not None:
            return int(found[0]), False
        number, previous = self._last()
        summary = item.summary
        said = (number + 1, added_at, item.source, digest, summary.to_json(), previous)
        packed = (zlib.compress(pieces.rest), json.dumps(pieces.places))
        indexed = (summary.at, summary.version, summary.device_id, summary.exit_code)
        places = ", ".join("?" * (len(said) + 1 + len(packed) + len(indexed)))
        self._database.execute(f"INSERT INTO entries VALUES ({places})", (*said, link(said), *packed, *indexed))  # noqa: S608
        return number + 1, True

    def _last(self) -> tuple[int, str]:
        found = self._rows("SELECT number, hash FROM entries ORDER BY number DESC LIMIT 1", ())
        return (int(found[0][0]), str(found[0][1])) if found else (0, FIRST)

    @property
    def head(self) -> str:
        """The hash of the last entry: whoever noted it can tell later that nothing before it was changed."""
        return self._last()[1]

    def __len__(self) -> int:
        return int(self._rows("SELECT count(*) FROM entries", ())[0][0])

    def entries(self, *, newest: int | None = None) -> Iterator[Entry]:
        """In order; with `newest` only that many, the latest first."""
        if newest is not None:
            query = f"SELECT {_COLUMNS} FROM entries ORDER BY number DESC LIMIT ?"  # noqa: S608
            yield from (Entry(*row) for row in self._rows(query, (newest,)))
            return
        query, after = f"SELECT {_COLUMNS} FROM entries WHERE number > ? ORDER BY number LIMIT {_PAGE}", 0  # noqa: S608
        while rows := self._rows(query, (after,)):
            yield from (Entry(*row) for row in rows)
            after = rows[-1][0]

    def packed(self, after: int = 0) -> Iterator[Packed]:
        """Every entry behind number `after`, in order; of a damaged index what can be read, and what cannot as such."""
        query = f"SELECT {_COLUMNS}, {_MORE} FROM entries WHERE number > ? ORDER BY number LIMIT {_PAGE}"  # noqa: S608
        try:
            while rows := self._rows(query, (after,)):
                for row in rows:
                    yield _packed(row)
                after = rows[-1][0]
        except Malformed as error:
            yield from self._one_by_one(after, error)

    def _one_by_one(self, after: int, error: Malformed) -> Iterator[Packed]:
        """Raises the error where the index names no entry at all."""
        found, whole = numbers(self._database, after)
        if not found:
            raise error
        for number in found:
            try:
                yield self.packed_entry(number)
            except (Malformed, UsageError):
                yield _unread(number, "the index was damaged here, or cut short")
        if not whole:
            yield _unread(found[-1] + 1, "the index was damaged here, or cut short: what comes behind cannot be read")

    def gaps(self, longest: int) -> Iterator[tuple[int, int]]:
        """Times between two accepted proofs that are further apart than `longest` seconds, from the index."""
        last: tuple[int, int] | None = None
        query = (
            "SELECT at, number FROM entries WHERE exit_code = 0 AND (at, number) > (?, ?) "  # noqa: S608
            f"ORDER BY at, number LIMIT {_PAGE}"
        )
        while rows := self._rows(query, last or (-1, -1)):
            for at, number in rows:
                if last is not None and at - last[0] > longest:
                    yield last[0], at
                last = (at, number)

    def packed_entry(self, number: int) -> Packed:
        """Raises UsageError for a number that is not there, Malformed for one that cannot be read."""
        query = f"SELECT {_COLUMNS}, {_MORE} FROM entries WHERE number = ?"  # noqa: S608
        rows = self._rows(query, (number,)) if 0 < number < 1 << 63 else []
        if not rows:
            raise UsageError("no such entry", where=self._where, got=str(number), expected=f"1 to {self._last()[0]}")
        return _packed(rows[0])

    def bundle(self, number: int) -> bytes:
        """The bundle's text. Raises UsageError, Malformed."""
        return self.text(self.packed_entry(number))

    def text(self, packed: Packed) -> bytes:
        """The bundle of an entry, exactly as it was added. Raises Malformed when it is not."""
        return packed.text(self.shared(packed))

    def shared(self, packed: Packed) -> dict[str, bytes]:
        """The shared texts of an entry that are there and are what their names say."""
        found = ((digest, self._objects.get(digest)) for digest in packed.digests())
        return {digest: text for digest, text in found if text is not None}

    def ask(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """A query of this package over `entries`. Raises Malformed."""
        return self._rows(query, values)

    def _rows(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        """Raises Malformed for an index that was damaged."""
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise Malformed(f"the index cannot be read: {error}", where=self._where) from error


def _prepare(database: sqlite3.Connection, *, write: bool) -> None:
    """The tables where there are none. Raises ValueError for another file's, sqlite3.Error."""
    if not write:
        database.execute("PRAGMA writable_schema = ON")  # nothing is written: it only lets an index be cut short
    else:
        database.execute("PRAGMA synchronous = FULL")
        database.execute("BEGIN IMMEDIATE")
        if database.execute("PRAGMA user_version").fetchone()[0] == 0:
            for statement in _TABLES.split(";\n"):
                database.execute(statement)
            database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {_SCHEMA}")
        database.execute("COMMIT")
    found = (
        database.execute("PRAGMA application_id").fetchone()[0],
        database.execute("PRAGMA user_version").fetchone()[0],
    )
    if found != (_APPLICATION_ID, _SCHEMA):
        raise ValueError(f"not an archive of this version (application {found[0]:#x}, schema {found[1]})")


def _packed(row: tuple[Any, ...]) -> Packed:
    return Packed(Entry(*row[:7]), row[7], row[8], tuple(row[9:]))


def _unread(number: int, why: str) -> Packed:
    return Packed(Entry(number, 0, "", "", "", "", ""), b"", "", (0, "", "", 0), why)
