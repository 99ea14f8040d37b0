"""Logs of finalized blocks, kept in a SQLite file, so that the next run reads only what is new.

Each endpoint's word is kept apart: what one of them left out is not missing for the others. With the logs stands the
hash of a finalized block above them; a chain that has another block there was reorganised, and what came after the last
block that both have is dropped. A cache is no authority: logs are checked when they are read as when they came.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from twinproof.chain.log import Log
from twinproof.errors import Malformed
from twinproof.sources.disk import make_private_directory
from twinproof.sources.log_scan import Chunk, LogFilter, check_logs

__all__ = ["ChainCache", "Kept", "ScanKey"]

SCHEMA = 2
BUSY_SECONDS = 10.0
"""How long to wait for another process that writes."""
_TABLES = """
CREATE TABLE IF NOT EXISTS scans (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, first INTEGER NOT NULL, last INTEGER NOT NULL,
  anchor INTEGER NOT NULL, anchor_hash BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS logs (
  scan INTEGER NOT NULL REFERENCES scans (id) ON DELETE CASCADE, block INTEGER NOT NULL, position INTEGER NOT NULL,
  address BLOB NOT NULL, topics BLOB NOT NULL, data BLOB NOT NULL, block_hash BLOB NOT NULL,
  transaction_hash BLOB NOT NULL, transaction_index INTEGER NOT NULL, PRIMARY KEY (scan, block, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class ScanKey:
    """What a scan is about: chain, endpoint, and which logs."""

    chain_id: int
    endpoint: str
    filter: LogFilter

    @property
    def text(self) -> str:
        return f"{self.chain_id} {self.endpoint} {self.filter.key}"


@dataclass(frozen=True, slots=True)
class Kept:
    """Logs of the blocks `first` to `last`, read while the finalized block `anchor` had the hash `anchor_hash`."""

    first: int
    last: int
    anchor: int
    anchor_hash: bytes
    logs: tuple[Log, ...]


class ChainCache:
    """One file for all chains and processes. What cannot be opened or written is kept in memory for this run alone."""

    def __init__(self, path: Path | None, *, warn: Callable[[str], None] | None = None) -> None:
        self._path, self._warn = path, warn
        self._lock = threading.RLock()
        self._use(self._open())

    @classmethod
    def default(cls, *, warn: Callable[[str], None] | None = None) -> ChainCache:
        """$XDG_CACHE_HOME/twinproof/chain.sqlite, or ~/.cache/twinproof; without a home it is in memory."""
        base = Path(os.environ.get("XDG_CACHE_HOME") or "relative")
        if not base.is_absolute():
            base = Path(os.environ.get("HOME") or "relative") / ".cache"
        return cls(base / "twinproof" / "chain.sqlite" if base.is_absolute() else None, warn=warn)

    def close(self) -> None:
        self._database.close()

    def get(self, key: ScanKey) -> Kept | None:
        """What is kept for this key; what is not what it should be is dropped."""
        try:
            with self._rebuilt_when_corrupt():
                return self._get(key)
        except Malformed as error:
            self._say(f"the chain cache held {error}; it is read from the chain again")
            self.drop(key)
        return None

    def _get(self, key: ScanKey) -> Kept | None:
        row = self._database.execute(
            "SELECT id, first, last, anchor, anchor_hash FROM scans WHERE key = ?", (key.text,)
        ).fetchone()
        if row is None:
            return None
        scan, first, last, anchor, anchor_hash = row
        rows = self._database.execute(
            "SELECT address, topics, data, block, block_hash, transaction_hash, transaction_index, position FROM logs "
            "WHERE scan = ? ORDER BY block, position",
            (scan,),
        ).fetchall()
        if not (
            all(isinstance(value, int) for value in (first, last, anchor))
            and isinstance(anchor_hash, bytes)
            and len(anchor_hash) == 32
            and 0 <= first <= last <= anchor
        ):
            raise Malformed("a scan of the wrong form", where="cache")
        logs = tuple(map(_log, rows))
        check_logs(logs, key.filter, first, last)
        return Kept(first, last, anchor, anchor_hash, logs)

    def add(self, key: ScanKey, chunk: Chunk, *, anchor: int, anchor_hash: bytes) -> None:
        """Append a chunk to what is kept, or begin with it. Another process may have been faster: then nothing."""
        with self._rebuilt_when_corrupt(), self._writing() as database:
            row = database.execute("SELECT id, last FROM scans WHERE key = ?", (key.text,)).fetchone()
            if row is not None and row[1] != chunk.first - 1:
                return
            if row is None:
                scan = database.execute(
                    "INSERT INTO scans (key, first, last, anchor, anchor_hash) VALUES (?, ?, ?, ?, ?)",
                    (key.text, chunk.first, chunk.last, anchor, anchor_hash),
                ).lastrowid
            else:
                scan = row[0]
                database.execute(
                    "UPDATE scans SET last = ?, anchor = ?, anchor_hash = ? WHERE id = ?",
                    (chunk.last, anchor, anchor_hash, scan),
                )
            database.executemany(
                "INSERT INTO logs (scan, block, position, address, topics, data, block_hash, transaction_hash, "
                "transaction_index) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(scan, log.block_number, log.log_index, *_columns(log)) for log in chunk.logs],
            )

    def cut(self, key: ScanKey, last: int) -> None:
        """Keep only the blocks up to `last`; the anchor moves with the next chunk."""
        with self._rebuilt_when_corrupt(), self._writing() as database:
            database.execute(
                "DELETE FROM logs WHERE block > ? AND scan = (SELECT id FROM scans WHERE key = ?)", (last, key.text)
            )
            database.execute("UPDATE scans SET last = ? WHERE key = ? AND last > ?", (last, key.text, last))
            database.execute("DELETE FROM scans WHERE key = ? AND last < first", (key.text,))

    def drop(self, key: ScanKey) -> None:
        """Forget this scan."""
        with self._rebuilt_when_corrupt(), self._writing() as database:
            database.execute("DELETE FROM logs WHERE scan = (SELECT id FROM scans WHERE key = ?)", (key.text,))
            database.execute("DELETE FROM scans WHERE key = ?", (key.text,))

    def fact(self, *names: object) -> int | None:
        """A number kept under these names: an endpoint's range limit, the block in which a contract was created."""
        with self._rebuilt_when_corrupt():
            row = self._database.execute("SELECT value FROM facts WHERE key = ?", (_fact(names),)).fetchone()
            return row[0] if row is not None and isinstance(row[0], int) else None
        return None

    def keep_fact(self, value: int, *names: object) -> None:
        with self._rebuilt_when_corrupt(), self._writing() as database:
            database.execute("INSERT OR REPLACE INTO facts (key, value) VALUES (?, ?)", (_fact(names), value))

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, that waits for those of other processes."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield self._database
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    @contextmanager
    def _rebuilt_when_corrupt(self) -> Iterator[None]:
        """A file that turns out to be no database is replaced, with a warning; a full disk is told and survived."""
        with self._lock:
            try:
                yield
            except sqlite3.OperationalError as error:  # locked for too long, a full disk, a directory that went away
                self._say(f"the chain cache cannot be used: {error}")
                self._use_memory()
            except sqlite3.DatabaseError as error:
                self._say(f"the chain cache was corrupt and is built again: {error}")
                self._database.close()
                if self._path is not None:
                    _remove(self._path)
                self._use(self._open())

    def _use(self, database: sqlite3.Connection) -> None:
        """It is closed at the latest when nobody has this object any more."""
        self._database = database
        weakref.finalize(self, database.close)

    def _open(self) -> sqlite3.Connection:
        if self._path is None:
            return _connected(":memory:")
        for attempt in range(2):
            try:
                make_private_directory(self._path.parent)
                self._path.touch(mode=0o600)
                return _connected(str(self._path))
            except sqlite3.OperationalError as error:
                self._say(f"the chain cache cannot be used: {error}")
                break
            except sqlite3.DatabaseError as error:
                self._say(f"the chain cache was corrupt and is built again: {error}")
                if attempt == 0:
                    _remove(self._path)
            except OSError as error:
                self._say(f"the chain cache cannot be used: {error.strerror or error}")
                break
        return _connected(":memory:")

    def _use_memory(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._database.close()
        self._path = None
        self._use(_connected(":memory:"))

    def _say(self, text: str) -> None:
        if self._warn is not None:
            self._warn(text)


def last_common(kept: Kept, hash_of: Callable[[int], bytes]) -> int:
    """The last block of `kept` that the chain still has, `first - 1` when it has none of them.

    `hash_of` asks the chain. The hashes of blocks with logs are known; between them nothing is, so nothing is kept.
    Raises Unavailable.
    """
    if hash_of(kept.anchor) == kept.anchor_hash:
        return kept.last
    blocks = sorted({(log.block_number, log.block_hash) for log in kept.logs})
    low, high = 0, len(blocks)  # the chain has all blocks below `low`, and not those from `high` on
    while low < high:
        middle = (low + high) // 2
        number, hash_ = blocks[middle]
        low, high = (middle + 1, high) if hash_of(number) == hash_ else (low, middle)
    return blocks[low - 1][0] if low else kept.first - 1


def _connected(name: str) -> sqlite3.Connection:
    database = sqlite3.connect(name, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA foreign_keys = ON")
        _check_version(database)
        database.executescript(_TABLES)
        database.execute(f"PRAGMA user_version = {SCHEMA}")
    except BaseException:
        database.close()
        raise
    return database


def _check_version(database: sqlite3.Connection) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version not in (0, SCHEMA):
        raise sqlite3.DatabaseError(f"schema {version} instead of {SCHEMA}")


def _remove(path: Path) -> None:
    for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        with contextlib.suppress(OSError):
            name.unlink()


def _fact(names: Sequence[object]) -> str:
    return " ".join(map(str, names))


def _columns(log: Log) -> tuple[bytes, bytes, bytes, bytes, bytes, int]:
    return (
        log.address,
        b"".join(log.topics),
        log.data,
        log.block_hash,
        log.transaction_hash,
        log.transaction_index,
    )


def _log(row: Sequence[object]) -> Log:
    """Raises Malformed for what no log has: columns of SQLite hold what somebody put into them."""
    address, topics, data, block, block_hash, transaction, index, position = row
    if (
        isinstance(address, bytes)
        and isinstance(topics, bytes)
        and isinstance(data, bytes)
        and isinstance(block_hash, bytes)
        and isinstance(transaction, bytes)
        and isinstance(block, int)
        and isinstance(index, int)
        and isinstance(position, int)
        and (len(address), len(block_hash), len(transaction), len(topics) % 32) == (20, 32, 32, 0)
        and min(block, index, position) >= 0
    ):
        words = tuple(topics[start : start + 32] for start in range(0, len(topics), 32))
        return Log(address, words, data, block, block_hash, transaction, index, position)
    raise Malformed("an entry that is no log", where="cache")
