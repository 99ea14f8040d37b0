"""`twinproof release ...`: the steps of the workflows, each a command that also runs by hand."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
from pathlib import Path

from twinproof.cli.configuration import DEFAULT_CONFIG, Configuration, parse_configuration
from twinproof.dstack.app_compose import compose_hash
from twinproof.errors import Malformed, Refused, UsageError
from twinproof.release.github_release import Wanted, plan_release
from twinproof.release.notes import release_notes
from twinproof.release.tagged import ReleaseFacts, check_tag, version_named
from twinproof.sources.files import read_file
from twinproof.sources.git import Git, find_repository
from twinproof.sources.github import GitHub
from twinproof.sources.release_tag import tagged_commit
from twinproof.sources.release_tools import changelog_text
from twinproof.wire import shown

__all__ = ["append_outputs", "configuration_at", "image_digest", "run"]

APP_COMPOSE = "app-compose.json"
GITHUB_API = "https://api.github.com"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", re.ASCII)


def run(arguments: argparse.Namespace) -> int:
    if arguments.action in ("build", "publish", "attested", "wheel"):
        from twinproof.cli import release_image

        return release_image.run(arguments)
    return {"check": _check, "notes": _notes, "github": _github}[arguments.action](arguments)


def _check(arguments: argparse.Namespace) -> int:
    git = find_repository()
    facts = facts_of(git, arguments.tag, expected=arguments.commit or "")
    append_outputs(arguments.outputs, facts.outputs)
    for name, value in facts.outputs.items():
        print(f"{name}: {value or '-'}")
    return 0


def facts_of(git: Git, tag: str, *, expected: str = "") -> ReleaseFacts:
    """The version of a tag, checked against files, commit, remote and branch. Raises Refused or UsageError."""
    version_named(tag)
    if expected:
        expected = git.commit_of(expected)
    branch = _release_branch(git)
    there = configuration_at(git, git.commit_of(f"refs/tags/{tag}")).release_branch
    if there != branch:
        raise Refused(
            "the tagged commit names another release branch",
            where=f"{tag}:{DEFAULT_CONFIG}",
            got=shown(there or "none"),
            expected=branch,
        )
    return check_tag(tagged_commit(git, tag, branch, expected=expected))


def _release_branch(git: Git) -> str:
    """That of the work tree, which whoever runs this has chosen; a tagged commit may say what its author likes."""
    name = str(git.top / DEFAULT_CONFIG)
    branch = parse_configuration(read_file(name, "file", max_bytes=1 << 20), DEFAULT_CONFIG).release_branch
    if branch is None:
        raise UsageError("no branch to release from", where=DEFAULT_CONFIG, expected="release_branch = ...")
    return branch


def configuration_at(git: Git, commit: str) -> Configuration:
    """What twinproof.toml says in this commit."""
    return parse_configuration(git.text_at(commit, DEFAULT_CONFIG).encode(), f"{commit[:12]}:{DEFAULT_CONFIG}")


def image_digest(arguments: argparse.Namespace) -> str:
    """`--image-digest`, or nothing. Raises UsageError for what is no digest."""
    digest = arguments.image_digest or ""
    if digest and not _DIGEST.fullmatch(digest):
        expected = "sha256:<64 hex digits>"
        raise UsageError("not an image digest", where="--image-digest", got=shown(digest), expected=expected)
    return digest


def append_outputs(name: str | None, values: dict[str, str]) -> None:
    """`NAME=VALUE` lines for the later steps of a workflow. No value has a line break: all are of fixed forms."""
    if name is None:
        return
    try:
        with Path(name).open("a", encoding="utf-8") as file:
            file.writelines(f"{key}={value}\n" for key, value in values.items())
    except OSError as error:
        raise UsageError("cannot be written", where=f"--outputs {shown(name)}", got=error.strerror or "") from error


def _notes(arguments: argparse.Namespace) -> int:
    git = find_repository()
    facts = facts_of(git, arguments.tag)
    compose = _app_compose(arguments.app_compose) if arguments.app_compose else b""
    print(_body(git, facts, image_digest(arguments), compose), end="")
    return 0


def _github(arguments: argparse.Namespace) -> int:
    git = find_repository()
    facts = facts_of(git, arguments.tag)
    digest, compose = image_digest(arguments), _app_compose(arguments.app_compose)
    files = {APP_COMPOSE: compose}
    wanted = Wanted(
        tag=facts.version.tag,
        commit=facts.commit,
        body=_body(git, facts, digest, compose),
        prerelease=bool(facts.version.pre),
        latest=facts.latest,
        assets={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    )
    github = GitHub(
        (os.environ.get("GITHUB_API_URL") or GITHUB_API).rstrip("/"), github_repository(), _secret("GITHUB_TOKEN")
    )
    there = github.commit_of_tag(wanted.tag)
    if there != facts.commit:
        got = there or "no such tag"
        raise Refused("GitHub has this tag at another commit", where=wanted.tag, got=got, expected=facts.commit)
    found = github.release(wanted.tag)
    plan = plan_release(wanted, found)
    github.carry_out(plan, wanted, found, files)
    append_outputs(arguments.outputs, {"deploy": "true" if facts.may_follow(github.published_tags()) else "false"})
    print(f"{wanted.tag}: {'already published, and the same' if plan.nothing else 'published'}")
    return 0


def _body(git: Git, facts: ReleaseFacts, digest: str, compose: bytes) -> str:
    settings = configuration_at(git, facts.commit).compose
    image = f"{settings.image}@{digest}" if settings and digest else ""
    if image and compose and image.encode() not in compose:
        raise Refused("this app-compose text does not deploy this image", where=APP_COMPOSE, expected=image)
    revisions = f"{facts.previous}..{facts.version.tag}" if facts.previous else facts.version.tag
    changes = changelog_text(git.top, revisions=revisions)
    hashed = compose_hash(compose.decode()).hex() if compose else ""
    return release_notes(changes, commit=facts.commit, image=image, compose_hash=hashed)


def _app_compose(name: str) -> bytes:
    data = read_file(name, "--app-compose", max_bytes=8 << 20)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8 text", where=name) from error
    return data


def github_repository() -> str:
    """`owner/name` from GITHUB_REPOSITORY. Raises UsageError."""
    name = os.environ.get("GITHUB_REPOSITORY", "")
    if not _REPOSITORY.fullmatch(name):
        raise UsageError("which repository?", where="GITHUB_REPOSITORY", got=shown(name), expected="owner/name")
    return name


def _secret(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise UsageError("not set", where=name, hint="it is read from the environment, never from an argument")
    return value
