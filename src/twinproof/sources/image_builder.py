"""Building the image with Docker's Buildx from what a commit holds; what else a checkout holds never enters it."""

from __future__ import annotations

import io
import secrets
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinproof.errors import Refused, Unavailable, UsageError
from twinproof.release.build_settings import BuildSettings
from twinproof.release.image_build import build_command, builder_command, built_digest
from twinproof.sources.child_environment import child_environment
from twinproof.sources.git import Git
from twinproof.wire import shown

__all__ = ["build_image", "committed_files"]

SECONDS = 3600


def build_image(git: Git, settings: BuildSettings, image: str, commit: str, *, push: bool, twice: bool) -> str:
    """The digest of the image of this commit. `twice` builds it again, and the digests have to be the same.

    Raises Refused when they are not, Unavailable when the build fails, UsageError without Docker.
    """
    if shutil.which("docker") is None:
        raise UsageError("docker is not installed", hint="the image is built by Docker's Buildx, usually in CI")
    epoch = int(git.output("log", "-1", "--format=%ct", commit))
    found = []
    with _builder(settings) as name:
        for number in range(2 if twice else 1):
            with committed_files(git, commit, settings.context) as directory, tempfile.TemporaryDirectory() as outside:
                metadata = Path(outside, "metadata.json")
                last = number == (1 if twice else 0)
                command = build_command(
                    name,
                    settings,
                    image,
                    commit,
                    epoch,
                    metadata=str(metadata),
                    context=str(directory),
                    push=push and last,
                )
                _run(command, environment={"SOURCE_DATE_EPOCH": str(epoch)})
                found.append(built_digest(_text(metadata)))
    if len(set(found)) != 1:
        raise Refused("built twice, the image is another one", where=commit[:12], got=found[1], expected=found[0])
    return found[0]


@contextmanager
def committed_files(git: Git, commit: str, directory: str) -> Iterator[Path]:
    """The files under `directory` as committed, in a new directory: modes and times do not depend on the checkout."""
    archive = git.archive(commit, directory)
    with tempfile.TemporaryDirectory(prefix="twinproof-build-") as name:
        top = Path(name, "context")
        top.mkdir(mode=0o755)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            # Git writes 664 or 775 as its configuration says. The filters of tarfile, which not every 3.11 has, would
            # change modes too: what is git's own needs none.
            tar.extraction_filter = lambda member, _: member
            for member in tar.getmembers():
                member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            tar.extractall(top)  # noqa: S202  (git's own archive of a commit)
        yield top


@contextmanager
def _builder(settings: BuildSettings) -> Iterator[str]:
    """A BuildKit of the pinned version, for this build alone."""
    name = f"twinproof-{secrets.token_hex(4)}"
    _run(builder_command(name, settings), hint="is Buildx there? `docker buildx version`")
    try:
        yield name
    finally:
        remove = ["docker", "buildx", "rm", name]
        subprocess.run(remove, check=False, capture_output=True, timeout=120, env=child_environment())  # noqa: S603  (no shell; the name is ours)


def _run(command: tuple[str, ...], environment: dict[str, str] | None = None, hint: str = "") -> None:
    """Docker's own progress goes to stderr, where it belongs."""
    try:
        done = subprocess.run(  # noqa: S603  (no shell; the arguments are ours or were validated)
            command, check=False, stdout=2, stderr=2, timeout=SECONDS, env=child_environment(environment)
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable("did not end", where="docker buildx", got=f"nothing in {SECONDS} s") from error
    if done.returncode != 0:
        got = f"exit code {done.returncode}"
        raise Unavailable("the build failed", where=" ".join(command[:3]), got=got, hint=hint)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable("Docker wrote no metadata", where="docker buildx build", got=shown(str(error))) from error
