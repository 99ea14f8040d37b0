"""Making a version's commit and tag so that it is there as a whole, or not at all.

Everything that was written is undone when a step fails or the user interrupts: HEAD, work tree and tags are as before.
"""

from __future__ import annotations

import fcntl
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

from twinproof.errors import UsageError
from twinproof.sources.git import Git

__all__ = ["Release", "release"]

LOCK = "twinproof-release.lock"
LOCK_SECONDS = 5
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class Release:
    """A version in the making. `head` is the commit to go back to."""

    git: Git
    head: str
    written: dict[Path, bool] = field(default_factory=dict)
    """Files that were written, and whether they were there before."""
    tag: str = ""
    begun: bool = False
    """Until then the work tree is the user's, whatever its state: nothing is undone that was not done here."""

    def begin(self, paths: Iterable[str]) -> None:
        """From here on a failure takes the work tree, which was found clean, back to `head`. Call it before writing."""
        self.written = {self.git.top / path: (self.git.top / path).exists() for path in paths}
        self.begun = True

    def write(self, path: str, text: str) -> None:
        """Write a tracked text file as it is: no line ending is translated."""
        (self.git.top / path).write_bytes(text.encode())

    def commit(self, paths: tuple[str, ...], message: str, tag: str, *, at: int) -> None:
        """One commit with exactly these paths, and an annotated tag on it. `at` is its time (unix seconds)."""
        date = f"{at} +0000"
        environment = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        self.git.run("add", "--", *paths)
        self.git.run("commit", "--quiet", "--message", message, environment=environment, seconds=600)
        self.tag = tag
        self.git.run("tag", "--annotate", "--message", tag, tag, environment=environment, seconds=600)

    def roll_back(self) -> None:
        """Undo whatever was done. Raises UsageError with what to do by hand when git itself does not."""
        if not self.begun:
            return
        if self.tag:
            self.git.run("tag", "--delete", self.tag, check=False)
        self._free_index()
        done = self.git.run("reset", "--hard", "--quiet", self.head, check=False)
        for path, existed in self.written.items():
            if not existed:
                path.unlink(missing_ok=True)
        if done.returncode != 0:
            raise UsageError(
                "the unfinished version could not be undone",
                got=done.stderr.strip(),
                hint=f"git reset --hard {self.head}",
            )

    def _free_index(self) -> None:
        """A git that was killed leaves its lock behind. There was none when we started, and only we work here."""
        lock = self.git.private_path("index.lock")
        until = time.monotonic() + LOCK_SECONDS
        while lock.exists() and time.monotonic() < until:
            time.sleep(0.05)
        lock.unlink(missing_ok=True)


@contextmanager
def release(git: Git) -> Iterator[Release]:
    """Hold the repository's release lock, and undo everything unless the block ends well. Raises UsageError."""
    with git.common_path(LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError("another release is being made in this repository", hint="wait for it to end") from error
        with _interruptible():
            unfinished = Release(git, git.commit_of("HEAD"))
            try:
                yield unfinished
            except BaseException:
                with _uninterrupted():
                    unfinished.roll_back()
                raise


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP interrupt like Ctrl-C, so that they are undone like it."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    with _handlers(dict.fromkeys(_SIGNALS, interrupt)):
        yield


@contextmanager
def _uninterrupted() -> Iterator[None]:
    with _handlers(dict.fromkeys((signal.SIGINT, *_SIGNALS), signal.SIG_IGN)):
        yield


@contextmanager
def _handlers(handlers: Mapping[signal.Signals, object]) -> Iterator[None]:
    """Signals are handled in the main thread only; elsewhere, nothing changes."""
    before = {}
    with suppress(ValueError):
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
