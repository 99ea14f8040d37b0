"""The git repository of a release: what a commit or tag holds, read by the `git` command. Nothing here changes it.

Every call is bounded in time, never asks for a password, and never reads the user's pager or prompt settings.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from twinproof.errors import UsageError
from twinproof.sources.child_environment import child_environment
from twinproof.wire import shown

__all__ = ["Git", "find_repository"]

SECONDS = 60


@dataclass(frozen=True, slots=True)
class Git:
    """One work tree. `environment` is added to every command's."""

    top: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def run(
        self,
        *arguments: str,
        check: bool = True,
        seconds: int = SECONDS,
        patient: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run one git command. Raises UsageError with git's own words when `check` and it fails.

        Beyond `seconds` it is ended: an error, or (when not `patient`) a failed command like any other.
        """
        command = ["git", "-C", str(self.top), *arguments]
        with subprocess.Popen(  # noqa: S603  (no shell; arguments are ours or were validated)
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            env=child_environment(
                {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8", **self.environment, **(environment or {})}
            ),
        ) as process:
            try:
                out, err = process.communicate(timeout=seconds)
            except BaseException as error:
                _end(process)
                if isinstance(error, subprocess.TimeoutExpired):
                    if patient:
                        got = f"nothing in {seconds} s"
                        raise UsageError("git did not answer", where=f"git {arguments[0]}", got=got) from error
                    return subprocess.CompletedProcess(command, 124, "", "no answer")
                raise
        if check and process.returncode != 0:
            said = " ".join((err.strip() or out.strip()).split())
            raise UsageError("git refused", where=f"git {arguments[0]}", got=shown(said, 500))
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def private_path(self, name: str) -> Path:
        """A file of this work tree inside git's own directory."""
        return self.top / self.output("rev-parse", "--git-path", name)

    def common_path(self, name: str) -> Path:
        """A file inside git's directory that all work trees share."""
        return self.top / self.output("rev-parse", "--git-common-dir") / name

    def output(self, *arguments: str) -> str:
        """Standard output without the last line break. Raises UsageError."""
        return self.run(*arguments).stdout.rstrip("\n")

    def commit_of(self, revision: str) -> str:
        """The commit (40 hex digits) that a tag, branch or commit names. Raises UsageError when it names none."""
        done = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}", check=False)
        if done.returncode != 0:
            raise UsageError("no such version in this repository", got=shown(revision, 80), hint="git fetch --tags")
        return done.stdout.strip()

    def text_at(self, commit: str, path: str) -> str:
        """The text of a file as committed. Raises UsageError when the commit has no such file, or it is no text."""
        done = self.run("show", f"{commit}:{path}", check=False)
        if done.returncode != 0:
            raise UsageError("no such file in this commit", where=f"{commit[:12]}:{path}")
        try:
            done.stdout.encode()
        except UnicodeEncodeError as error:
            raise UsageError("not UTF-8 text", where=f"{commit[:12]}:{path}") from error
        return done.stdout

    def archive(self, commit: str, directory: str) -> bytes:
        """A tar of what the commit holds under `directory`, without its name. Raises UsageError.

        Modes are 0644 and 0755 and times the commit's, whatever the umask and the day.
        """
        tree = f"{commit}:{directory}"
        command = ["git", "-C", str(self.top), "-c", "tar.umask=0022", "archive", "--format=tar", tree]
        try:
            done = subprocess.run(command, check=False, capture_output=True, timeout=SECONDS, env=child_environment())  # noqa: S603  (as in `run`)
        except subprocess.TimeoutExpired as error:
            raise UsageError("git did not answer", where="git archive", got=f"nothing in {SECONDS} s") from error
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()
            raise UsageError("git refused", where="git archive", got=shown(said, 300))
        return done.stdout

    def changed_files(self, old: str, new: str, directory: str) -> tuple[str, ...]:
        """Paths under `directory` that differ between two commits."""
        listed = self.output("diff", "--name-only", "--no-renames", "-z", old, new, "--", directory)
        return tuple(name for name in listed.split("\0") if name)


def _end(process: subprocess.Popen[str]) -> None:
    """Ask first: git removes its lock files when it is asked."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()


def find_repository(start: Path | None = None) -> Git:
    """The repository of the current directory, from any directory inside it. Raises UsageError outside of one."""
    if shutil.which("git") is None:
        raise UsageError("git is not installed")
    done = Git(start or Path.cwd()).run("rev-parse", "--show-toplevel", check=False)
    if done.returncode != 0:
        raise UsageError(
            "not inside a git repository",
            where=str(start or Path.cwd()),
            hint="run it where the app's repository is checked out",
        )
    return Git(Path(done.stdout.rstrip("\n")))
