"""One version, everywhere the same: files, tag, image tag, and what the running service says of itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from toy_repository import BRANCH, ROOT, VERSION, ToyRepository, toy_repository
from twinproof.release.image_tags import image_tags
from twinproof.release.version_files import agreed_version, read_version_files
from twinproof.release.versions import release_of_tag

PROJECT = "enclave/pyproject.toml"
SERVED = """
import asyncio, json, sys
from toy_example.app import make_app
from toy_example.build_info import read_build_info
from toy_example.guest_agent import Identity
from starlette.testclient import TestClient


class Agent:
    async def identity(self):
        compose = json.dumps({"docker_compose_file": "      ENVIRONMENT: production\\n"})
        return Identity(app_id="00" * 20, instance_id="11" * 20, compose_hash="22" * 32, app_compose=compose)


with TestClient(make_app(read_build_info(), Agent(), "production", lambda: 0)) as client:
    print(json.dumps({"version": client.get("/version").json(), "index": client.get("/").json()}))
"""


def served(repository: ToyRepository, commit: str) -> dict[str, str]:
    """What the service of this commit answers to /version, with git SHA and build time baked in as the image does."""
    sources = repository.home / commit
    sources.mkdir()
    archive = subprocess.run(
        ["git", "-C", str(repository.top), "archive", f"{commit}:enclave/src"], check=True, capture_output=True
    ).stdout
    subprocess.run(["tar", "-x", "-C", str(sources)], input=archive, check=True, timeout=30)
    build = {"gitSha": repository.git("rev-parse", commit), "buildTime": "2026-11-23T12:00:00Z"}
    (sources / "toy_example" / "build.json").write_text(json.dumps(build))
    done = subprocess.run(
        [sys.executable, "-c", SERVED],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(sources), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=sources,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert answers["index"]["version"] == answers["version"]["version"]
    found: dict[str, str] = answers["version"]
    return found


@pytest.fixture
def repository(tmp_path: Path) -> ToyRepository:
    """The real sources of the service, released as v1.1.0."""
    made = toy_repository(tmp_path)
    for path in sorted((ROOT / "enclave" / "src").rglob("*.py")):
        made.write(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
    made.commit("feat: the service")
    assert made.bump("minor")[0] == 0
    made.git("push", "-q", "--atomic", "origin", BRANCH, "v1.1.0")
    return made


def sources(repository: ToyRepository, tag: str) -> dict[str, str]:
    """Every place that says which version this is."""
    commit = repository.git("rev-parse", f"{tag}^{{commit}}")
    project = tomllib.loads(repository.git("show", f"{commit}:{PROJECT}"))["project"]["version"]
    module = re.search(r'__version__ = "(.*)"', repository.git("show", f"{commit}:{VERSION}"))
    version = release_of_tag(tag)
    assert module
    assert version
    return {
        PROJECT: project,
        VERSION: module[1],
        "tag": tag.removeprefix("v"),
        "image tag": image_tags(commit, version)[1],
        "/version": served(repository, commit)["version"],
    }


def test_every_source_of_a_released_version_says_the_same(repository: ToyRepository) -> None:
    found = sources(repository, "v1.1.0")
    assert len(found) == 5
    assert set(found.values()) == {"1.1.0"}


def test_the_service_serves_the_commit_and_the_time_of_its_build(repository: ToyRepository) -> None:
    commit = repository.git("rev-parse", "HEAD")
    answer = served(repository, commit)
    assert (answer["gitSha"], answer["gitShaShort"]) == (commit, commit[:7])
    assert (answer["buildTime"], answer["environment"]) == ("2026-11-23T12:00:00Z", "production")


@pytest.mark.parametrize("path", [PROJECT, VERSION])
def test_a_source_that_disagrees_is_no_release_and_is_named(repository: ToyRepository, path: str) -> None:
    """The tag's commit is checked before anything is built; the image tag and /version come from nothing else."""
    repository.write(path, (repository.top / path).read_text(encoding="utf-8").replace('"1.1.0"', '"1.1.1"'))
    repository.commit("fix: a mistake")
    repository.git("tag", "v1.1.1")
    repository.git("push", "-q", "origin", BRANCH, "v1.1.1")
    assert len(set(sources(repository, "v1.1.1").values())) == 2
    code, _, err = repository.twinproof("release", "check", "v1.1.1")
    assert code == 4
    assert {PROJECT, VERSION} - {path} <= {word.rstrip(":") for word in err.split()}


def test_the_sources_of_this_repository_agree() -> None:
    files = read_version_files((ROOT / ".bumpversion.toml").read_text(encoding="utf-8"))
    assert {file.path for file in files} == {PROJECT, VERSION}
    found = [(file.path, file.version_in((ROOT / file.path).read_text(encoding="utf-8"))) for file in files]
    agreed_version(found)
