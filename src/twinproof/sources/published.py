"""Where published versions are found: deployment records, app-compose files, the repository's tags, GitHub's releases.

What a record attested is published when its bundle holds app-compose bytes of this hash: a record alone is a text that
anyone can write. A file is its own proof; a release asset's SHA-256 is GitHub's word.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twinproof.deployments.record import Record
from twinproof.errors import TwinproofError, UsageError
from twinproof.evidence.bundle import parse_bundle
from twinproof.release.publication import Published
from twinproof.release.versions import Version, release_of_tag
from twinproof.sources.deployment_records import FOLDER, read_bundle_text, read_records
from twinproof.sources.git import Git
from twinproof.wire import shown

__all__ = ["Sources", "compose_files", "recorded", "tagged_versions"]

APP_COMPOSE = "app-compose.json"
MAX_COMPOSE = 64 << 20
MAX_KEPT = 1 << 20
_MOST_FILES = 10_000
_VERSION = re.compile(r"v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Sources:
    """What was found, and what was attested: name and compose hash. `broken` names files that are no records."""

    published: tuple[Published, ...] = ()
    attested: tuple[tuple[str, bytes], ...] = ()
    broken: tuple[str, ...] = ()


def recorded(top: Path, app_id: bytes) -> Sources:
    """The records of this app in `deployments/`. Raises UsageError for a folder that cannot be read."""
    found = read_records(top / FOLDER)
    published, attested = [], []
    for record in found.records:
        seen = record.attested
        if seen is not None and seen.app_id == app_id:
            text = _compose_of(top / FOLDER, record, seen.compose_hash)
            if text is not None:
                published.append(Published(record.version, seen.compose_hash, f"record {record.name}", text))
            attested.append((record.name, seen.compose_hash))
    return Sources(tuple(published), tuple(attested), tuple(name for name, _ in found.broken))


def _compose_of(folder: Path, record: Record, compose_hash: bytes) -> str | None:
    """The text behind the hash, in the record's bundle; None where it is not there."""
    try:
        text = parse_bundle(read_bundle_text(folder, record)).app_compose
    except TwinproofError:
        return None
    return text if text is not None and hashlib.sha256(text.encode()).digest() == compose_hash else None


def compose_files(name: str) -> tuple[Published, ...]:
    """An app-compose file, or a folder with some in it at any depth. Raises UsageError.

    The version is the last part of the path that is one, as in `v1.2.0/app-compose.json` or `1.2.0.json`.
    """
    top = Path(name)
    if top.is_file():
        return (_file(top, name),)
    if not top.is_dir():
        raise UsageError("neither a file nor a folder", where=f"--published {shown(name)}")
    files = tuple(_file(path, str(path.relative_to(top))) for path in _json_files(top))
    if not files:
        raise UsageError("no app-compose file", where=f"--published {shown(name)}", expected=f"*/{APP_COMPOSE}")
    return files


def tagged_versions(git: Git) -> tuple[Version, ...]:
    """The plain versions that are tagged."""
    versions = (release_of_tag(tag) for tag in git.output("tag", "--list", "v*").splitlines())
    return tuple(sorted(version for version in versions if version is not None and not version.pre))


def _json_files(top: Path) -> Iterator[Path]:
    for count, path in enumerate(sorted(top.rglob("*.json"))):
        if count >= _MOST_FILES:
            raise UsageError(
                "too many files", where=f"--published {shown(str(top))}", expected=f"at most {_MOST_FILES}"
            )
        if path.is_file() and not path.is_symlink():
            yield path


def _file(path: Path, source: str) -> Published:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_COMPOSE + 1)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=f"--published {shown(str(path))}") from error
    if len(data) > MAX_COMPOSE:
        raise UsageError("file too large", where=f"--published {shown(str(path))}")
    return Published(_version_of(path), hashlib.sha256(data).digest(), shown(source, 200), _text(data))


def _text(data: bytes) -> str:
    """What a page can carry: the text, as far as it is one of a sensible size."""
    try:
        return data.decode("utf-8") if len(data) <= MAX_KEPT else ""
    except UnicodeDecodeError:
        return ""


def _version_of(path: Path) -> Version | None:
    for part in (path.name.removesuffix(".json"), *reversed(path.parent.parts)):
        match = _VERSION.fullmatch(part)
        if match is not None:
            return release_of_tag(f"v{match[1]}")
    return None
