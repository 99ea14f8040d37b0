"""May a version be made now? Every refusal, before anything is touched.

The facts come from `sources.release_state`; here they are only judged.
"""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.errors import UsageError
from twinproof.release.versions import Version, version_of_tag
from twinproof.wire import shown

__all__ = ["RepositoryState", "check_repository", "check_version"]

MOST_PATHS = 10


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """What git says. `remote` is empty when the branch has none; `remote_answered` is false when it was not reached."""

    branch: str
    """Empty on a detached HEAD."""
    head: str
    operation: str
    """`merge`, `rebase` and the like while one is under way."""
    dirty: tuple[str, ...]
    shallow: bool
    identity: bool
    """Whether git knows who commits."""
    tags: frozenset[str]
    remote: str = ""
    remote_answered: bool = False
    remote_tags: frozenset[str] = frozenset()
    behind: bool = False
    """The remote's branch holds commits that this one does not."""


def check_repository(state: RepositoryState, branch: str) -> None:
    """Raises UsageError for the first reason not to release from here."""
    if not state.branch:
        raise UsageError("HEAD is detached", expected=f"the branch {branch}", hint=f"git switch {branch}")
    if state.branch != branch:
        raise UsageError(
            "releases are made on another branch", got=shown(state.branch), expected=branch, hint=f"git switch {branch}"
        )
    if state.operation:
        raise UsageError(f"a {state.operation} is under way", hint=f"finish or abort the {state.operation} first")
    if state.dirty:
        more = f" and {len(state.dirty) - MOST_PATHS} more" if len(state.dirty) > MOST_PATHS else ""
        raise UsageError(
            "the work tree is not clean",
            got=", ".join(shown(path, 100) for path in state.dirty[:MOST_PATHS]) + more,
            hint="a release has to be reproducible from git: commit, stash or remove these",
        )
    if state.shallow:
        raise UsageError("a shallow clone: the changelog would be cut off", hint="git fetch --unshallow --tags")
    if not state.identity:
        raise UsageError(
            "git does not know who commits", hint="git config user.name NAME; git config user.email ADDRESS"
        )
    if state.behind:
        raise UsageError(
            f"{state.remote} has commits of {branch} that are missing here",
            hint=f"git pull --ff-only {state.remote} {branch}",
        )


def check_version(new: Version, state: RepositoryState) -> None:
    """Raises UsageError when the version exists, here or on the remote, or is not above every other."""
    if new.tag in state.tags:
        raise UsageError("this version's tag exists", got=new.tag, hint="a released version never changes")
    if new.tag in state.remote_tags:
        raise UsageError(f"this version's tag exists on {state.remote}", got=new.tag, hint="git fetch --tags")
    versions = [version for tag in state.tags | state.remote_tags if (version := version_of_tag(tag))]
    highest = max(versions, default=None)
    if highest is not None and new <= highest:
        raise UsageError(
            "not above the highest version there is",
            got=str(new),
            expected=f"above {highest}",
            hint="the version in the files is older than the last release",
        )
