"""The journal of a deployment as a file: whole or not at all, for its owner alone, one process at a time."""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from twinproof.deployments.journal import MAX_BYTES, Journal, parse_journal
from twinproof.errors import Malformed, UsageError
from twinproof.sources.disk import PRIVATE, make_private_directory, write_over

__all__ = ["JournalFile", "journal_file"]

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class JournalFile:
    """Every change is on disk before `change` returns."""

    def __init__(self, path: Path, journal: Journal) -> None:
        self.path, self._journal, self._lock = path, journal, threading.Lock()

    @property
    def now(self) -> Journal:
        return self._journal

    def change(self, make: Callable[[Journal], Journal]) -> None:
        """Raises UsageError when it cannot be written: then nothing may be sent either."""
        with self._lock:
            changed = make(self._journal)
            try:
                write_over(self.path, changed.to_json().encode(), PRIVATE)
            except OSError as error:
                raise UsageError(f"cannot write the journal: {error.strerror}", where=str(self.path)) from error
            self._journal = changed


@contextmanager
def journal_file(path: Path, fresh: Journal) -> Iterator[JournalFile]:
    """The journal there is, or this one. Raises UsageError when another deployment holds it, or it is of another."""
    try:
        make_private_directory(path.absolute().parent)
        lock = _opened(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT)
    except OSError as error:
        hint = "XDG_STATE_HOME names another folder for what has to be remembered"
        raise UsageError(f"cannot use the journal: {error.strerror}", where=str(path), hint=hint) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError("another deployment uses this journal", where=str(path)) from error
        yield JournalFile(path, _read(path, fresh))


def _opened(path: Path, flags: int) -> BinaryIO:
    """A plain file of this user's that nobody else may write: no link is followed, no pipe waited for.

    What stands in a journal is sent to the chain. Raises OSError, UsageError.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, PRIVATE)
    file = os.fdopen(descriptor, "rb")
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & _OTHERS_WRITE:
        file.close()
        raise UsageError(
            "others may write this file, or it is none",
            where=str(path),
            got=f"mode {stat.S_IMODE(status.st_mode):04o}, owner {status.st_uid}",
            expected="a plain file of yours, mode 0600",
        )
    return file


def _read(path: Path, fresh: Journal) -> Journal:
    try:
        with _opened(path, os.O_RDONLY) as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return fresh
    except OSError as error:
        raise UsageError(f"cannot read the journal: {error.strerror}", where=str(path)) from error
    try:
        found = parse_journal(data, str(path))
    except Malformed as error:
        hint = "look at what was deployed before removing it: it may hold a contract that nobody else knows"
        raise UsageError(error.what, where=error.where, got=error.got, expected=error.expected, hint=hint) from error
    if (found.name, found.compose_hash, found.chain_id) != (fresh.name, fresh.compose_hash, fresh.chain_id):
        raise UsageError(
            "the journal of another deployment",
            where=str(path),
            got=f"{found.name} {found.compose_hash.hex()[:16]} on chain {found.chain_id}",
            expected=f"{fresh.name} {fresh.compose_hash.hex()[:16]} on chain {fresh.chain_id}",
        )
    return found
