"""`twinproof bump major|minor|patch`: the next version as one tagged commit, or nothing at all."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

from twinproof.cli.configuration import DEFAULT_CONFIG, parse_configuration
from twinproof.errors import Malformed, UsageError
from twinproof.release.changes import notable_changes
from twinproof.release.preflight import RepositoryState, check_repository, check_version
from twinproof.release.version_files import CONFIG, agreed_version, read_version_files
from twinproof.release.version_table import Row, with_row
from twinproof.release.versions import Version, version_of_tag
from twinproof.sources import clock
from twinproof.sources.git import Git, find_repository
from twinproof.sources.release_commit import release
from twinproof.sources.release_state import repository_state
from twinproof.sources.release_tools import bump_files, changelog_text

__all__ = ["run"]

CHANGELOG, README = "CHANGELOG.md", "README.md"


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a bump is going to do, complete before anything is written."""

    old: Version
    new: Version
    branch: str
    files: tuple[str, ...]
    readme: str
    row: Row
    at: int

    @property
    def paths(self) -> tuple[str, ...]:
        return (*self.files, CHANGELOG, README)

    @property
    def heading(self) -> str:
        """Of this version's section, as git-cliff writes it once the tag is there."""
        return f"## [{self.new}] - {self.row.date}"


def run(arguments: argparse.Namespace) -> int:
    try:
        return _run(arguments)
    except Malformed as error:  # our own files, not evidence: the user mends them
        raise UsageError(
            error.what, where=error.where, got=error.got, expected=error.expected, hint=error.hint
        ) from error


def _run(arguments: argparse.Namespace) -> int:
    git = find_repository()
    branch = parse_configuration(_read(git, DEFAULT_CONFIG).encode(), DEFAULT_CONFIG).release_branch
    if branch is None:
        raise UsageError("no branch to release from", where=DEFAULT_CONFIG, expected="release_branch = ...")
    if arguments.dry_run:
        _show(_plan(git, branch, arguments.part), git)
        return 0
    with release(git) as unfinished:
        plan = _plan(git, branch, arguments.part)
        unfinished.begin(plan.paths)
        bump_files(git.top, CONFIG, str(plan.old), str(plan.new))
        unfinished.write(CHANGELOG, changelog_text(git.top, heading=plan.heading))
        unfinished.write(README, plan.readme)
        unfinished.commit(plan.paths, f"chore(release): {plan.new.tag}", plan.new.tag, at=plan.at)
        _check(git, plan)
    _done(plan)
    return 0


def _plan(git: Git, branch: str, part: str) -> _Plan:
    """Everything is read and judged first. Raises UsageError or Malformed, and has touched nothing."""
    state = repository_state(git, branch)
    check_repository(state, branch)
    if state.remote and not state.remote_answered:
        print(f"twinproof: warning: {state.remote} did not answer; its tags were not compared", file=sys.stderr)
    files = read_version_files(_read(git, CONFIG))
    old = agreed_version([(file.path, file.version_in(_read(git, file.path))) for file in files])
    new = old.raised("major" if part == "major" else "minor" if part == "minor" else "patch")
    check_version(new, state)
    at = clock.now()
    row = Row(new, datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d"), notable_changes(_subjects(git, state)))
    return _Plan(
        old=old,
        new=new,
        branch=branch,
        files=tuple(file.path for file in files),
        readme=with_row(_read(git, README), row),
        row=row,
        at=at,
    )


def _subjects(git: Git, state: RepositoryState) -> list[str]:
    """Subjects since the last version on this branch, oldest first, without merges."""
    reachable = git.output("tag", "--merged", "HEAD").split("\n")
    last = max((version for tag in reachable if (version := version_of_tag(tag))), default=None)
    revisions = f"{last.tag}..{state.head}" if last else state.head
    return git.output("log", "--no-merges", "--reverse", "--format=%s", revisions).split("\n")


def _read(git: Git, path: str) -> str:
    """A text file of the work tree with its line endings as they are. Raises UsageError."""
    try:
        return (git.top / path).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror or "cannot be read"
        raise UsageError("cannot be read", where=path, got=reason) from error


def _check(git: Git, plan: _Plan) -> None:
    """What was made is what was planned; anything else is undone. Raises UsageError."""
    if git.commit_of(plan.new.tag) != git.commit_of("HEAD"):
        raise UsageError("the tag is not at the commit that was made", where=plan.new.tag)
    if git.output("status", "--porcelain"):
        raise UsageError("a hook left the work tree changed", got=git.output("status", "--porcelain")[:300])
    found = [(file.path, file.version_in(_read(git, file.path))) for file in read_version_files(_read(git, CONFIG))]
    if agreed_version(found) != plan.new:
        raise UsageError(
            "the files do not hold the new version", got=str(agreed_version(found)), expected=str(plan.new)
        )
    if changelog_text(git.top) != _read(git, CHANGELOG):
        raise UsageError("made again from the tag, the changelog is another one", where=CHANGELOG)


def _done(plan: _Plan) -> None:
    print(f"Bumped version: {plan.old} -> {plan.new}")
    for path in plan.files:
        print(f"Updated: {path}")
    print(f"Created tag: {plan.new.tag}\n\nNext steps:\n  git push origin {plan.branch} --tags")


def _show(plan: _Plan, git: Git) -> None:
    print(f"Would bump version: {plan.old} -> {plan.new}")
    for path in plan.paths:
        print(f"Would update: {path}")
    print(f"Would create tag: {plan.new.tag}\n\n{README}:\n{plan.row.line}\n\n{CHANGELOG}:")
    last = (
        f"{plan.old.tag}..HEAD"
        if git.run("rev-parse", "--verify", "--quiet", plan.old.tag, check=False).returncode == 0
        else None
    )
    print(changelog_text(git.top, revisions=last, heading=plan.heading).strip())
