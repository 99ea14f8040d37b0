"""A container registry: built images of the app by their digests, as directories in one directory.

The digest is over every file's path and content, so it names the image by its content, as a real one does. Any process
may push into the directory while a cloud pulls from it.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from twinproof_devnet.app_process import build_image

__all__ = ["Registry"]

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)


class Registry:
    """`directory` is made when it is not there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def push(self, *, git_sha: str, build_time: str, version: str | None = None, checkout: Path | None = None) -> str:
        """Build the app of a checkout and keep it. `sha256:` and 64 hex digits. Raises AppError."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=self.directory) as scratch:
            image = Path(scratch) / "image"
            build_image(image, git_sha=git_sha, build_time=build_time, version=version, checkout=checkout)
            digest = _content(image)
            with suppress(OSError):  # it is there already: the same content
                image.rename(self.directory / digest)
        return f"sha256:{digest}"

    def pull(self, reference: str) -> Path | None:
        """The image that a reference such as `host/name@sha256:...` names; None: there is none."""
        found = _DIGEST.search(reference)
        image = self.directory / found[1] if found else None
        return image if image and image.is_dir() else None


def _content(image: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted(path for path in image.rglob("*") if path.is_file()):
        whole.update(f"{path.relative_to(image).as_posix()}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return whole.hexdigest()
