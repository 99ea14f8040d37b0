"""The `[build]` table of twinproof.toml: what the image is built from and with, both named by their content."""

from __future__ import annotations

import re
from typing import NamedTuple

from twinproof.errors import Malformed
from twinproof.wire import Fields, shown

__all__ = ["BuildSettings", "read_build_settings"]

KEYS = frozenset({"context", "base_digest", "buildkit"})
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_PINNED = re.compile(r"[a-z0-9]+(?:[._:/-]+[a-z0-9]+)*@sha256:[0-9a-f]{64}", re.ASCII)
_DIRECTORY = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*", re.ASCII)


class BuildSettings(NamedTuple):
    """`context` is a directory of the repository with the Dockerfile."""

    context: str
    base_digest: str
    """`sha256:` and 64 hex digits of the base image, BASE_DIGEST of the Dockerfile."""
    buildkit: str
    """The image of BuildKit itself, with its digest: another version may assemble the same layers differently."""


def read_build_settings(table: Fields) -> BuildSettings:
    """Raises Malformed for unknown keys, and for images that are not named by digest."""
    for key in table.raw:
        if key not in KEYS:
            raise Malformed("unknown key", where=table.where, got=shown(key, 40), expected=", ".join(sorted(KEYS)))
    return BuildSettings(
        context=_matching(table, "context", _DIRECTORY, "a directory of the repository"),
        base_digest=_matching(table, "base_digest", _DIGEST, "sha256:<64 hex digits>"),
        buildkit=_matching(table, "buildkit", _PINNED, "an image with its digest, name:tag@sha256:<64 hex digits>"),
    )


def _matching(table: Fields, name: str, pattern: re.Pattern[str], expected: str) -> str:
    text = table.text(name, max_chars=255)
    if not pattern.fullmatch(text):
        raise Malformed("not usable here", where=f"{table.where}.{name}", got=shown(text, 100), expected=expected)
    return text
