"""The two tools that a release stands on, run as commands: bump-my-version edits files, git-cliff writes changelogs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinproof.errors import UsageError
from twinproof.sources.child_environment import child_environment
from twinproof.sources.git import Git
from twinproof.wire import shown

__all__ = ["bump_files", "changelog_text"]

SECONDS = 120
UNRELEASED = "## [Unreleased]"
_EMPTY_LINES = re.compile(r"\n{3,}")


def _command(name: str) -> str:
    """The tool beside this Python, else on the PATH. Raises UsageError."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if not found:
        raise UsageError(f"{name} is not installed", hint="pip install 'twinproof[release]'")
    return found


def _run(command: list[str], directory: Path) -> str:
    prefixes = ("BUMPVERSION_", "GIT_CLIFF_")
    environment = {name: value for name, value in child_environment().items() if not name.startswith(prefixes)}
    try:
        done = subprocess.run(  # noqa: S603  (no shell; the arguments are ours)
            command,
            check=False,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
            cwd=directory,
            env={**environment, "NO_COLOR": "1", "RUST_LOG": "error"},
        )
    except subprocess.TimeoutExpired as error:
        raise UsageError("did not end", where=Path(command[0]).name, got=f"nothing in {SECONDS} s") from error
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip()
        raise UsageError("refused", where=Path(command[0]).name, got=shown(" ".join(said.split()), 500))
    return done.stdout


@contextmanager
def _up_to(top: Path, revision: str) -> Iterator[Path]:
    """A clone whose HEAD is at this revision: git-cliff takes ranges, and a range leaves out where it begins."""
    git = Git(top)
    commit = git.commit_of(revision)
    with tempfile.TemporaryDirectory(prefix="twinproof-") as name:
        git.run("clone", "--quiet", "--shared", "--no-checkout", str(top), name)
        Git(Path(name)).run("update-ref", "--no-deref", "HEAD", commit)
        yield Path(name)


def bump_files(top: Path, config: str, old: str, new: str) -> None:
    """Change the version in every configured file, or in none. Raises UsageError."""
    arguments = ["bump", "--config-file", config, "--current-version", old, "--new-version", new]
    _run([_command("bump-my-version"), *arguments], top)


def changelog_text(top: Path, *, revisions: str | None = None, heading: str | None = None) -> str:
    """The changelog as text: everything, one `old..new`, or everything up to one revision.

    `heading` is what a version about to be tagged will have. The whole text is made anew each time; nothing is
    prepended, so making it twice gives the same bytes.
    """
    if revisions and ".." not in revisions:
        with _up_to(top, revisions) as clone:
            return _changelog(clone, top, ["--strip", "header"], heading)
    return _changelog(top, top, ["--strip", "header", revisions] if revisions else [], heading)


def _changelog(repository: Path, top: Path, narrowed: list[str], heading: str | None) -> str:
    arguments = ["--config", str(top / "cliff.toml"), "--offline", "--repository", str(repository)]
    # the release's own commit is what gives a version without other commits its section
    arguments += ["--with-commit", "chore(release): v0.0.0"] if heading else []
    made = _run([_command("git-cliff"), *arguments, *narrowed], repository)
    text = _EMPTY_LINES.sub("\n\n", made.strip("\n")) + "\n"
    return text.replace(f"{UNRELEASED}\n", f"{heading}\n", 1) if heading else text
