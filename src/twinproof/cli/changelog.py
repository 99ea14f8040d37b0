"""`twinproof changelog`: the changelog from the commits, whole or between two versions."""

from __future__ import annotations

import argparse

from twinproof.errors import Refused, UsageError
from twinproof.sources.git import find_repository
from twinproof.sources.release_tools import changelog_text

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    git = find_repository()
    if git.output("rev-parse", "--is-shallow-repository") == "true":
        raise UsageError("a shallow clone: the changelog would be cut off", hint="git fetch --unshallow --tags")
    revisions = None
    if arguments.old or arguments.new:
        new = arguments.new or "HEAD"
        git.commit_of(new)
        revisions = f"{git.commit_of(arguments.old)}..{new}" if arguments.old else new
    text = changelog_text(git.top, revisions=revisions)
    if arguments.check:
        path = git.top / "CHANGELOG.md"
        if not path.is_file() or path.read_bytes() != text.encode():
            raise Refused(
                "CHANGELOG.md is not what the commits say",
                where=str(path),
                hint="`twinproof bump` writes it with each version; until the first one it may be written by hand",
            )
        return 0
    print(text, end="")
    return 0
