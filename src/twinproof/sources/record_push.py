"""Commit deployment records to a branch that others push to at the same time, and lose none of theirs or ours.

A rejected push starts over from the remote's newest commit: our files are added to what is there now, the documents are
rendered again from all records, and that is pushed. Writers touch different files, so nothing is ever merged. The
user's work tree, index and branch are left alone: everything happens in an index and a folder of our own.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from twinproof.deployments.record import Record
from twinproof.errors import Malformed, Refused, Unavailable, UsageError
from twinproof.sources.deployment_records import FOLDER, Recorded, read_records, write_records
from twinproof.sources.git import Git
from twinproof.urls import masked
from twinproof.wire import shown

__all__ = ["Change", "Documents", "branch_records", "push_records"]

TRIES = 40
REMOTE_SECONDS = 120
_PAUSE, _LONGEST_PAUSE = 0.4, 5.0  # seconds; a try takes about 0.2
_LOST_RACE = (
    "fetch first",
    "non-fast-forward",
    "stale info",
    "cannot lock ref",
    "failed to update ref",
    "incorrect old value",
    "reference already exists",
)

_CREDENTIALS = re.compile(r"//[^/\s]*@")

Documents = Callable[[Mapping[str, str], Sequence[Record]], dict[str, str]]
"""From the texts of the documents as they are (absent when there is no such file) and all records to new texts."""


@dataclass(frozen=True, slots=True)
class Change:
    """The records to add, the documents (paths from the top) to render anew with them, and the commit's message."""

    items: tuple[Recorded, ...]
    names: tuple[str, ...]
    documents: Documents
    message: str


def push_records(git: Git, change: Change, *, remote: str, branch: str) -> str:
    """Push one commit with this change; gives its hash, or the tip's.

    The tip is given when all of it was there already. Raises Unavailable when the remote refuses for another reason
    than a lost race, or after `TRIES`; Refused when another record of the same name is there; Malformed when a record
    there cannot be read.
    """
    if not change.items:
        raise UsageError("no record to push")
    with _draft(git) as draft:
        for attempt in range(TRIES):
            tip = _fetch(draft, remote, branch)
            commit = _commit(draft, tip, change)
            if commit == tip or _pushed(draft, commit, remote, branch):
                return commit
            _sleep(min(_LONGEST_PAUSE, _PAUSE * 2.0**attempt))
    raise Unavailable(
        "others were faster each time",
        where=f"{masked(remote)} {branch}",
        got=f"{TRIES} rejected pushes",
        hint="run it again",
    )


def branch_records(git: Git, *, remote: str, branch: str) -> tuple[Record, ...]:
    """The records that the remote's branch has now. Raises Unavailable; Malformed when one of them cannot be read."""
    with _draft(git) as draft:
        tip = _fetch(draft, remote, branch)
        draft.git.run("read-tree", "--reset", tip)
        _check_out(draft, tip, ())
        return read_records(draft.top / FOLDER).whole()


def _sleep(longest: float) -> None:
    time.sleep(longest * secrets.randbelow(1000) / 1000)


@dataclass(frozen=True, slots=True)
class _Draft:
    """The repository, seen through an index and a work tree that nobody else uses."""

    git: Git
    reference: str

    @property
    def top(self) -> Path:
        return self.git.top


@contextmanager
def _draft(git: Git) -> Iterator[_Draft]:
    with tempfile.TemporaryDirectory(prefix="twinproof-records-") as name:
        tree = Path(name) / "tree"
        tree.mkdir()
        environment = {
            "GIT_DIR": git.output("rev-parse", "--absolute-git-dir"),
            "GIT_WORK_TREE": str(tree),
            "GIT_INDEX_FILE": str(Path(name) / "index"),
        }
        reference = f"refs/twinproof/records-{os.getpid()}-{secrets.token_hex(8)}"
        draft = _Draft(replace(git, top=tree, environment=environment), reference)
        try:
            yield draft
        finally:
            git.run("update-ref", "-d", reference, check=False)


def _fetch(draft: _Draft, remote: str, branch: str) -> str:
    done = draft.git.run(
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        remote,
        f"+refs/heads/{branch}:{draft.reference}",
        check=False,
        seconds=REMOTE_SECONDS,
        patient=False,
    )
    if done.returncode != 0:
        raise _refusal(f"git fetch {masked(remote)} {branch}", done.stderr)
    return draft.git.commit_of(draft.reference)


def _commit(draft: _Draft, tip: str, change: Change) -> str:
    git, folder = draft.git, draft.top / FOLDER
    git.run("read-tree", "--reset", tip)
    _check_out(draft, tip, change.names)
    written = write_records(folder, change.items)
    present = [name for name in change.names if (draft.top / name).is_file()]
    before = {name: _text(draft.top / name) for name in present}
    after = change.documents(before, read_records(folder).whole())
    for name, text in after.items():
        (draft.top / name).write_bytes(text.encode())
    paths = [str(path.relative_to(draft.top)) for path in written] + list(after)
    git.run("add", "--force", "--", *paths)
    tree = git.output("write-tree")
    if tree == git.output("rev-parse", f"{tip}^{{tree}}"):
        return tip
    return git.output("commit-tree", tree, "-p", tip, "-m", change.message)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8 text", where=path.name) from error


def _check_out(draft: _Draft, tip: str, names: Sequence[str]) -> None:
    """The records and the documents as they are at the tip, and nothing else: bundles stay in the index."""
    for path in sorted(draft.top.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    tracked = draft.git.output(
        "ls-files", "-z", "--", f":(glob){FOLDER}/*.json", *(f":(literal){name}" for name in names)
    )
    present = {name if name in names else f":(glob){FOLDER}/*.json" for name in tracked.split("\0") if name}
    if present:
        draft.git.run("restore", "--quiet", f"--source={tip}", "--worktree", "--", *sorted(present))
    for name in names:
        if (draft.top / name).is_symlink():  # what is written there would land wherever it leads
            raise Refused("a link in the place of a document", where=f"{tip[:12]}:{name}", expected="a plain file")


def _pushed(draft: _Draft, commit: str, remote: str, branch: str) -> bool:
    done = draft.git.run(
        "push",
        "--porcelain",
        remote,
        f"{commit}:refs/heads/{branch}",
        check=False,
        seconds=REMOTE_SECONDS,
        patient=False,
    )
    said = f"{done.stdout} {done.stderr}"
    if done.returncode != 0 and not any(reason in said for reason in _LOST_RACE):
        raise _refusal(f"git push {masked(remote)} {branch}", said)
    return done.returncode == 0


def _refusal(where: str, said: str) -> Unavailable:
    hint = ""
    if "protected" in said or "denied" in said or "declined" in said:
        hint = "the branch is protected or this account may not push: nothing was lost, the records are kept locally"
    got = shown(_CREDENTIALS.sub("//***@", " ".join(said.split())), 500)
    return Unavailable("git refused", where=where, got=got, hint=hint)
