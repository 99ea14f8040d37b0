"""`twinproof compose hash|diff|check`: the app-compose text of a version: rendered, compared, refused."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from twinproof.cli.configuration import DEFAULT_CONFIG, parse_configuration, read_configuration
from twinproof.errors import Malformed, Refused, UsageError
from twinproof.release.app_compose import RenderedCompose, render
from twinproof.release.compose_check import Finding, check_app_compose
from twinproof.release.compose_diff import compose_difference
from twinproof.release.compose_settings import ComposeSettings
from twinproof.sources.files import read_file
from twinproof.sources.git import find_repository
from twinproof.wire import shown

__all__ = ["refuse_findings", "run"]

UNBUILT = f"sha256:{'0' * 64}"
"""Stands for the digest of an image that has not been built: never deployed, only compared."""
MOST_FILES = 20


def run(arguments: argparse.Namespace) -> int:
    actions = {"hash": _hash, "diff": _diff, "check": _check}
    return actions[arguments.action](arguments)


def _hash(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments.config)
    settings = _settings(configuration.compose, arguments.config or DEFAULT_CONFIG)
    directory = Path(arguments.config).parent if arguments.config else Path()
    template = _text(str(directory / settings.file))
    rendered = render(template, settings, image_digest=arguments.image_digest, environment=arguments.environment)
    refuse_findings(check_app_compose(rendered.text, configuration.machine_words))
    if arguments.output:
        _write(Path(arguments.output), rendered)
    if arguments.json:
        hashed = {"compose_hash": rendered.compose_hash.hex(), "app_compose": rendered.text}
        print(json.dumps({"schema": "twinproof/compose-hash/v1", **hashed}))
    else:
        print(rendered.compose_hash.hex())
    return 0


def _write(path: Path, rendered: RenderedCompose) -> None:
    """The artefact of a version never changes: another text under the same name is refused."""
    data = rendered.text.encode()
    try:
        if path.exists():
            if path.read_bytes() != data:
                raise Refused(
                    "this file holds another app-compose text", where=str(path), hint="a released version never changes"
                )
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror or error}", where=f"--output {path}") from error
    print(f"twinproof: wrote {path}", file=sys.stderr)


def _check(arguments: argparse.Namespace) -> int:
    configuration = read_configuration(arguments.config)
    findings = check_app_compose(_text(arguments.file), configuration.machine_words)
    if arguments.json:
        print(json.dumps([{"schema": "twinproof/compose-check/v1", **asdict(item)} for item in findings], indent=1))
    else:
        for finding in findings:
            print(finding)
        print(f"{arguments.file}: {len(findings) or 'no'} finding{'s' if len(findings) != 1 else ''}", file=sys.stderr)
    return 4 if findings else 0


def refuse_findings(findings: tuple[Finding, ...]) -> None:
    """Raises Refused for a text that may not be deployed."""
    if findings:
        raise Refused(
            f"this app-compose text may not be deployed: {'; '.join(str(finding) for finding in findings[:5])}",
            hint="`twinproof compose check FILE` lists every finding",
        )


@dataclass(frozen=True, slots=True)
class _Version:
    """One side of a comparison; `commit` is None for a file."""

    name: str
    text: str
    commit: str | None
    settings: ComposeSettings | None


def _diff(arguments: argparse.Namespace) -> int:
    """0: nothing changes. 4: the compose hash changes, so the new version has to be allowed before it can run."""
    old, new = (_version(name, arguments.environment) for name in (arguments.old, arguments.new))
    difference = compose_difference(old.text, new.text)
    built = [version for version in (old, new) if version.commit is None]
    files: tuple[str, ...] = ()
    if old.commit and new.commit and new.settings:
        files = find_repository().changed_files(old.commit, new.commit, new.settings.file.rpartition("/")[0] or ".")
    if arguments.json:
        document = {
            "schema": "twinproof/compose-diff/v1",
            "old": {"name": old.name, "compose_hash": difference.old_hash.hex() if not old.commit else None},
            "new": {"name": new.name, "compose_hash": difference.new_hash.hex() if not new.commit else None},
            "compose_hash_changes": not difference.same_hash or bool(files),
            "changes": [{"where": change.where, "text": change.text} for change in difference.changes],
            "image_files": list(files),
        }
        print(json.dumps(document, indent=1))
    else:
        for change in difference.changes:
            print(change)
        for line in _image_lines(files):
            print(line)
        print(_conclusion(difference.same_hash, files, known=len(built) == 2))
        for version, value in ((old, difference.old_hash), (new, difference.new_hash)):
            if not version.commit:
                print(f"  {version.name}:\n    {value.hex()}")
    return 0 if difference.same_hash and not files else 4


def _image_lines(files: tuple[str, ...]) -> list[str]:
    if not files:
        return []
    more = [f"  and {len(files) - MOST_FILES} more"] if len(files) > MOST_FILES else []
    return [
        "image: its source changed, so its digest will",
        *(f"  {shown(name, 100)}" for name in files[:MOST_FILES]),
        *more,
    ]


def _conclusion(same: bool, files: tuple[str, ...], *, known: bool) -> str:
    if same and not files:
        return "The compose hash stays the same." if known else "Nothing changes: the compose hash stays the same."
    return "The compose hash changes: allow the new one before any machine can run it."


def _version(name: str, environment: str) -> _Version:
    """A file with an app-compose text, or a tag whose compose template is rendered without an image."""
    if Path(name).is_file():
        return _Version(name, _text(name), None, None)
    git = find_repository()
    commit = git.commit_of(name)
    where = f"{name}:{DEFAULT_CONFIG}"
    settings = _settings(parse_configuration(git.text_at(commit, DEFAULT_CONFIG).encode(), where).compose, where)
    template = git.text_at(commit, settings.file)
    text = render(template, settings, image_digest=UNBUILT, environment=environment).text
    return _Version(name, text, commit, settings)


def _settings(settings: ComposeSettings | None, where: str) -> ComposeSettings:
    if settings is None:
        raise UsageError("there is no [compose] table", where=where, hint="docs/COMMANDS.md shows one")
    return settings


def _text(name: str) -> str:
    try:
        return read_file(name, "compose", max_bytes=8 << 20).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8 text", where=name) from error
