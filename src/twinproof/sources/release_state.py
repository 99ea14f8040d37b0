"""What git says about the repository that a version is going to be made in. Nothing is changed, no tag is fetched."""

from __future__ import annotations

from twinproof.release.preflight import RepositoryState
from twinproof.sources.git import Git

__all__ = ["remote_references", "repository_state"]

REMOTE_SECONDS = 20
_OPERATIONS = (
    ("rebase-merge", "rebase"),
    ("rebase-apply", "rebase"),
    ("MERGE_HEAD", "merge"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
    ("BISECT_LOG", "bisect"),
)


def repository_state(git: Git, branch: str) -> RepositoryState:
    """The facts that `release.preflight` judges. `branch` is the release branch. Raises UsageError."""
    head = git.commit_of("HEAD")
    remote, heads, tags, answered = _remote(git, branch)
    return RepositoryState(
        branch=git.run("symbolic-ref", "--quiet", "--short", "HEAD", check=False).stdout.strip(),
        head=head,
        operation=next((name for file, name in _OPERATIONS if git.private_path(file).exists()), ""),
        dirty=_dirty(git),
        shallow=git.output("rev-parse", "--is-shallow-repository") == "true",
        identity=all(
            git.run("var", name, check=False).returncode == 0 for name in ("GIT_COMMITTER_IDENT", "GIT_AUTHOR_IDENT")
        ),
        tags=frozenset(git.output("tag", "--list").split("\n")) - {""},
        remote=remote,
        remote_answered=answered,
        remote_tags=frozenset(tags),
        behind=heads != "" and git.run("merge-base", "--is-ancestor", heads, head, check=False).returncode != 0,
    )


def _dirty(git: Git) -> tuple[str, ...]:
    """Modified, staged and untracked paths."""
    entries = git.output("status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames").split("\0")
    return tuple(entry[3:] for entry in entries if entry)


def _remote(git: Git, branch: str) -> tuple[str, str, set[str], bool]:
    """The remote's name, its commit of the branch, its tags, and whether it answered."""
    remote, references = remote_references(git, branch)
    if references is None:
        return remote, "", set(), False
    tags = {name.removeprefix("refs/tags/").removesuffix("^{}") for name in references if name.startswith("refs/tags/")}
    return remote, references.get(f"refs/heads/{branch}", ""), tags, True


def remote_references(git: Git, branch: str) -> tuple[str, dict[str, str] | None]:
    """The remote's name (empty without one), and commits by full name; None when it did not answer.

    An annotated tag has two entries: the tag's object, and with `^{}` after its name the commit.
    """
    configured = git.run("config", f"branch.{branch}.remote", check=False).stdout.strip()
    known = git.output("remote").split("\n")
    remote = configured if configured in known else "origin" if "origin" in known else ""
    if not remote:
        return "", None
    listed = git.run(
        "ls-remote", "--heads", "--tags", "--quiet", remote, check=False, seconds=REMOTE_SECONDS, patient=False
    )
    if listed.returncode != 0:
        return remote, None
    return remote, {name: commit for commit, _, name in (line.partition("\t") for line in listed.stdout.splitlines())}
