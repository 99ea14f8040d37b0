"""What the files of the image promise: everything pinned, nothing from the machine that builds it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ENCLAVE = Path(__file__).resolve().parents[2] / "enclave"


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (ENCLAVE / "Dockerfile").read_text()


def test_the_base_is_named_by_a_digest_that_has_no_default(dockerfile: str) -> None:
    assert re.findall(r"^FROM (.*)$", dockerfile, re.MULTILINE) == ["python:3.11-slim@${BASE_DIGEST}"]
    assert re.findall(r"^ARG (.*)$", dockerfile, re.MULTILINE) == ["BASE_DIGEST", "GIT_SHA", "BUILD_TIME"]


def test_the_service_does_not_run_as_root(dockerfile: str) -> None:
    user, _, group = re.findall(r"^USER (.*)$", dockerfile, re.MULTILINE)[-1].partition(":")
    assert int(user) > 0 < int(group)


def test_packages_are_installed_by_hash_only(dockerfile: str) -> None:
    assert [line for line in dockerfile.splitlines() if "pip install" in line and "--require-hashes" not in line] == []


def test_the_lock_holds_every_dependency_with_hashes_and_names_no_index() -> None:
    text = (ENCLAVE / "requirements.txt").read_text()
    packages = [block for block in re.split(r"^(?=\w)", text, flags=re.MULTILINE) if "==" in block]
    assert all("--hash=sha256:" in block for block in packages)
    locked = {block.partition("==")[0] for block in packages}
    project = tomllib.loads((ENCLAVE / "pyproject.toml").read_text())["project"]
    assert {re.split(r"[<>=\[]", name)[0] for name in project["dependencies"]} <= locked
    assert "://" not in text
    assert "index" not in text


def test_the_context_is_a_list_of_what_may_enter_the_image() -> None:
    rules = [line for line in (ENCLAVE / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert rules[:3] == ["*", "!requirements.txt", "!src"]
    assert {"**/__pycache__", "**/build.json"} <= set(rules)


def test_the_compose_file_names_the_image_by_digest_and_gives_it_the_agents_socket() -> None:
    text = (ENCLAVE / "docker-compose.yml").read_text()
    assert re.findall(r"^ *image: (.*)$", text, re.MULTILINE) == ["IMAGE_REFERENCE"]
    assert "- /var/run/dstack.sock:/var/run/dstack.sock\n" in text
    assert "${" not in text
