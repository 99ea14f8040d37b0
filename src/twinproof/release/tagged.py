"""Is this tag a release? The tag, the files, the commit and the branch have to say the same, before any secret is used.

The facts come from `sources.release_tag`; here they are only judged.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from twinproof.errors import Malformed, Refused, UsageError
from twinproof.release.versions import Version, release_of_tag, version_of_tag
from twinproof.wire import shown

__all__ = ["ReleaseFacts", "TaggedCommit", "as_refusal", "check_tag", "version_named"]


@dataclass(frozen=True, slots=True)
class TaggedCommit:
    """What git says. `expected` is the commit that the run started for; commits are 40 hex digits."""

    tag: str
    commit: str
    expected: str
    """Empty when nobody said which commit it should be."""
    remote: str
    """The remote's name; empty when there is none."""
    remote_commit: str
    """Where the tag is on the remote; empty when it was not asked or does not have it."""
    remote_answered: bool
    branch: str
    on_branch: bool
    """The commit is the branch's, or an ancestor of it."""
    epoch: int
    """The commit's time, unix seconds."""
    tags: Collection[str]
    files: tuple[tuple[str, Version], ...]


@dataclass(frozen=True, slots=True)
class ReleaseFacts:
    """A tag that is a release: what every later step uses, and nothing else."""

    version: Version
    commit: str
    branch: str
    epoch: int
    latest: bool
    """Plain, and above every other plain version."""
    previous: str
    """The tag of the highest plain version below this one; empty for the first."""

    @property
    def outputs(self) -> dict[str, str]:
        """Names and values for the steps of a workflow."""
        return {
            "tag": self.version.tag,
            "version": str(self.version),
            "commit": self.commit,
            "epoch": str(self.epoch),
            "previous": self.previous,
            "prerelease": _word(holds=bool(self.version.pre)),
            "latest": _word(holds=self.latest),
        }

    def may_follow(self, published: Collection[str]) -> bool:
        """Whether this version is deployed by itself: not a pre-release, and nothing newer was published before.

        Versions are published in the order of their runs: three tags pushed quickly are all deployed, and neither a
        re-run of an old version nor a patch on an older line replaces a newer one.
        """
        newer = any(other > self.version for tag in published if (other := version_of_tag(tag)))
        return not self.version.pre and not newer


def _word(*, holds: bool) -> str:
    return "true" if holds else "false"


def version_named(tag: str) -> Version:
    """Raises UsageError for a tag that `v*` matches and that names no version: `vfoo`, `v1`, `v1.2.3.4`."""
    version = release_of_tag(tag)
    if version is None:
        raise UsageError("not a version's tag", got=shown(tag, 80), expected="vX.Y.Z, or vX.Y.Z-rc.N")
    return version


def check_tag(state: TaggedCommit) -> ReleaseFacts:
    """Raises UsageError for what is no version's tag, and Refused for the first source that says something else."""
    version = version_named(state.tag)
    if state.expected and state.expected != state.commit:
        raise Refused(
            "the tag has moved: a version never changes its commit",
            where=state.tag,
            got=state.commit,
            expected=state.expected,
        )
    if state.remote_answered and state.remote_commit != state.commit:
        raise Refused(
            f"{state.remote} has this tag at another commit" if state.remote_commit else f"not a tag of {state.remote}",
            where=state.tag,
            got=state.remote_commit or "none",
            expected=state.commit,
        )
    for path, found in state.files:
        if found != version:
            raise Refused(
                "the file holds another version than the tag", where=path, got=str(found), expected=str(version)
            )
    if not state.on_branch:
        raise Refused(
            "the tagged commit is not on the release branch",
            where=state.tag,
            got=state.commit,
            expected=f"an ancestor of {state.branch}",
            hint=f"git push --atomic origin {state.branch} {state.tag} pushes both or neither",
        )
    plain = [other for name in state.tags if (other := version_of_tag(name))]
    below = max((other for other in plain if other < version), default=None)
    return ReleaseFacts(
        version=version,
        commit=state.commit,
        branch=state.branch,
        epoch=state.epoch,
        latest=not version.pre and all(other <= version for other in plain),
        previous=below.tag if below else "",
    )


def as_refusal(error: Malformed) -> Refused:
    """A tagged commit whose files cannot be read as a version's is no release."""
    return Refused(error.what, where=error.where, got=error.got, expected=error.expected, hint=error.hint)
