"""The same wheel from two clones: other paths, other umask, files of other times. Only the commit is the same."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from twinproof.errors import UsageError
from twinproof.sources.child_environment import child_environment
from twinproof.sources.git import Git
from twinproof.wire import shown

__all__ = ["Wheel", "reproducible_wheel"]

SECONDS = 300
LONG_AGO = 946684800  # 2000-01-01, unix seconds


@dataclass(frozen=True, slots=True)
class Wheel:
    """One built wheel."""

    name: str
    data: bytes

    @property
    def digest(self) -> str:
        """SHA-256, hex."""
        return hashlib.sha256(self.data).hexdigest()


def reproducible_wheel(git: Git, commit: str, directory: str) -> tuple[Wheel, Wheel]:
    """Two builds of the project in `directory`, to be compared. Raises UsageError when one does not come out."""
    if find_spec("hatchling") is None:
        raise UsageError("hatchling is not installed", hint="make setup")
    epoch = git.output("log", "-1", "--format=%ct", commit)
    with tempfile.TemporaryDirectory(prefix="twinproof-") as one, tempfile.TemporaryDirectory() as other:
        first = _build(git, commit, Path(one, "a"), directory, epoch, umask=0o022, aged=False)
        second = _build(git, commit, Path(other, "another place"), directory, epoch, umask=0o077, aged=True)
    return first, second


def _build(git: Git, commit: str, clone: Path, directory: str, epoch: str, *, umask: int, aged: bool) -> Wheel:
    _run(["git", "clone", "--quiet", "--no-checkout", str(git.top), str(clone)], clone.parent, umask)
    _run(["git", "-C", str(clone), "checkout", "--quiet", "--detach", commit], clone.parent, umask)
    project = clone / directory
    if aged:
        for path in project.rglob("*"):
            os.utime(path, (LONG_AGO, LONG_AGO))
    out = clone.parent / "out"
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    _run(command, project, umask, {"SOURCE_DATE_EPOCH": epoch, "PYTHONDONTWRITEBYTECODE": "1"})
    (wheel,) = out.glob("*.whl")
    return Wheel(wheel.name, wheel.read_bytes())


def _run(command: list[str], directory: Path, umask: int, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(  # noqa: S603  (no shell; the arguments are ours)
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        cwd=directory,
        umask=umask,
        env=child_environment(environment),
    )
    if done.returncode != 0:
        said = shown(" ".join((done.stderr or done.stdout).split()), 300)
        raise UsageError("refused", where=" ".join(command[:3]), got=said)
