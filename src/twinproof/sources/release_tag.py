"""What git says about a version's tag, here and on the remote. Nothing is changed, nothing is fetched."""

from __future__ import annotations

from twinproof.errors import Malformed, UsageError
from twinproof.release.tagged import TaggedCommit, as_refusal, version_named
from twinproof.release.version_files import CONFIG, read_version_files
from twinproof.release.versions import Version
from twinproof.sources.git import Git
from twinproof.sources.release_state import remote_references

__all__ = ["tagged_commit"]


def tagged_commit(git: Git, tag: str, branch: str, *, expected: str = "") -> TaggedCommit:
    """The facts that `release.tagged` judges. Raises UsageError, and Refused for files that hold no version.

    The branch is the remote's where the remote answers, otherwise what was last fetched of it, otherwise the local one.
    """
    version_named(tag)
    if git.output("rev-parse", "--is-shallow-repository") == "true":
        raise UsageError("a shallow clone: the branch's history is cut off", hint="git fetch --unshallow --tags")
    commit = git.commit_of(f"refs/tags/{tag}")
    remote, references = remote_references(git, branch)
    there = references or {}
    head = there.get(f"refs/heads/{branch}", "") if references is not None else _known_head(git, remote, branch)
    if head and git.run("cat-file", "-e", f"{head}^{{commit}}", check=False).returncode != 0:
        raise UsageError(f"the branch has moved on {remote}", got=head, hint=f"git fetch {remote}")
    return TaggedCommit(
        tag=tag,
        commit=commit,
        expected=expected,
        remote=remote,
        remote_commit=there.get(f"refs/tags/{tag}^{{}}") or there.get(f"refs/tags/{tag}", ""),
        remote_answered=references is not None,
        branch=branch,
        on_branch=bool(head) and git.run("merge-base", "--is-ancestor", commit, head, check=False).returncode == 0,
        epoch=int(git.output("log", "-1", "--format=%ct", commit)),
        tags=frozenset(git.output("tag", "--list").split("\n")) - {""},
        files=_versions(git, commit),
    )


def _known_head(git: Git, remote: str, branch: str) -> str:
    names = [f"refs/remotes/{remote}/{branch}"] if remote else []
    for name in (*names, f"refs/heads/{branch}"):
        found = git.run("rev-parse", "--verify", "--quiet", name, check=False).stdout.strip()
        if found:
            return found
    return ""


def _versions(git: Git, commit: str) -> tuple[tuple[str, Version], ...]:
    try:
        files = read_version_files(git.text_at(commit, CONFIG))
        return tuple((file.path, file.version_in(git.text_at(commit, file.path), pre_release=True)) for file in files)
    except Malformed as error:
        raise as_refusal(error) from error
