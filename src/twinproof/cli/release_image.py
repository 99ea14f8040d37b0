"""`twinproof release build|publish|attested|wheel`: what is built, and who vouches for it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from twinproof.cli.configuration import DEFAULT_CONFIG
from twinproof.cli.release import append_outputs, configuration_at, facts_of, github_repository, image_digest
from twinproof.errors import Refused, Unavailable, UsageError
from twinproof.release.build_settings import BuildSettings
from twinproof.release.image_tags import image_tags, missing_tags
from twinproof.release.versions import Version
from twinproof.sources.git import Git, find_repository
from twinproof.sources.image_builder import build_image
from twinproof.sources.provenance import require_attestation
from twinproof.sources.registry import registry_of
from twinproof.sources.wheel_builds import reproducible_wheel

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    actions = {"build": _build, "publish": _publish, "attested": _attested, "wheel": _wheel}
    return actions[arguments.action](arguments)


def _build(arguments: argparse.Namespace) -> int:
    git = find_repository()
    commit = git.commit_of(arguments.commit)
    image = _image(git, commit)
    digest = build_image(git, _settings(git, commit), image, commit, push=arguments.push, twice=arguments.twice)
    append_outputs(arguments.outputs, {"image": image, "image_digest": digest})
    print(digest)
    return 0


def _publish(arguments: argparse.Namespace) -> int:
    git = find_repository()
    commit, digest = git.commit_of(arguments.commit), image_digest(arguments)
    version: Version | None = facts_of(git, arguments.tag, expected=commit).version if arguments.tag else None
    image = _image(git, commit)
    registry = registry_of(image, os.environ.get("REGISTRY_USER", ""), os.environ.get("REGISTRY_PASSWORD", ""))
    manifest = registry.manifest(digest)
    if manifest is None:
        raise Unavailable("the registry has no such image", where=image, got=digest, hint="release build --push")
    tags = image_tags(commit, version)
    there = {tag: registry.manifest(tag) for tag in tags}
    missing = missing_tags(image, digest, tags, {tag: found.digest if found else None for tag, found in there.items()})
    for tag in missing:
        registry.put(tag, manifest)
    for tag in tags:
        print(f"{image}:{tag} is {digest}{'' if tag in missing else ', as before'}")
    return 0


def _attested(arguments: argparse.Namespace) -> int:
    git = find_repository()
    facts = facts_of(git, arguments.tag)
    image = f"{_image(git, facts.commit)}@{image_digest(arguments)}"
    require_attestation(image, github_repository(), facts.version.tag, facts.commit)
    print(f"{image}: attested by the build of {facts.version.tag}")
    return 0


def _wheel(arguments: argparse.Namespace) -> int:
    git = find_repository()
    commit = git.commit_of(arguments.commit)
    one, other = reproducible_wheel(git, commit, _settings(git, commit).context)
    if one.digest != other.digest:
        raise Refused("built twice, the wheel is another one", where=one.name, got=other.digest, expected=one.digest)
    if arguments.output:
        directory = Path(arguments.output)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / one.name).write_bytes(one.data)
        print(f"twinproof: wrote {directory / one.name}", file=sys.stderr)
    print(f"{one.digest}  {one.name}")
    return 0


def _settings(git: Git, commit: str) -> BuildSettings:
    settings = configuration_at(git, commit).build
    if settings is None:
        raise UsageError("there is no [build] table", where=DEFAULT_CONFIG, hint="docs/COMMANDS.md shows one")
    return settings


def _image(git: Git, commit: str) -> str:
    settings = configuration_at(git, commit).compose
    if settings is None:
        raise UsageError("there is no [compose] table", where=DEFAULT_CONFIG, hint="docs/COMMANDS.md shows one")
    return settings.image
