"""Files are written whole or not at all: a reader sees the old content or the new one, never half of it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["make_private_directory", "write_new", "write_over"]

PUBLIC, PRIVATE = 0o666, 0o600
"""Modes before the user's umask."""


def write_over(path: Path, data: bytes, mode: int = PUBLIC) -> None:
    """Replace the file, or make it. Raises OSError."""
    with _complete(path, data, mode) as draft:
        draft.replace(path)


def write_new(path: Path, data: bytes, mode: int = PUBLIC) -> None:
    """Make the file. Raises FileExistsError when there is one, of whatever kind and content; OSError otherwise."""
    with _complete(path, data, mode) as draft:
        try:
            os.link(draft, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links, such as a memory stick's
            with path.open("xb") as file:
                file.write(data)


def make_private_directory(path: Path) -> None:
    """Make the directory and what is missing above it, for the user alone. Raises OSError."""
    for directory in (*reversed(path.parents), path):
        if not directory.is_dir():
            with contextlib.suppress(FileExistsError):  # another process was faster
                directory.mkdir(mode=0o700)


@contextmanager
def _complete(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """A finished file beside `path`, which is gone afterwards."""
    draft = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
