"""Git SHA and build time, baked into the image beside this file when it is built; never taken from the environment."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from toy_example.version import __version__

__all__ = ["BUILD_FILE", "BuildInfo", "BuildInfoError", "read_build_info"]

BUILD_FILE = Path(__file__).with_name("build.json")
_GIT_SHA = re.compile(r"[0-9a-f]{40}", re.ASCII)
_UTC = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)


class BuildInfoError(Exception):
    """The image was not built as it should be; the service does not start."""


@dataclass(frozen=True, slots=True)
class BuildInfo:
    version: str
    git_sha: str
    build_time: str


def read_build_info(path: Path = BUILD_FILE) -> BuildInfo:
    """Raises BuildInfoError when the file is missing or not of its form."""
    try:
        members = json.loads(path.read_text(encoding="utf-8"))
        git_sha, build_time = members["gitSha"], members["buildTime"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BuildInfoError(f"{path.name}: not baked into this image: {error}") from error
    if not isinstance(git_sha, str) or not _GIT_SHA.fullmatch(git_sha):
        raise BuildInfoError(f"{path.name}: gitSha is not 40 lower-case hex digits")
    if not isinstance(build_time, str) or not _UTC.fullmatch(build_time):
        raise BuildInfoError(f"{path.name}: buildTime is not YYYY-MM-DDThh:mm:ssZ")
    return BuildInfo(__version__, git_sha, build_time)
