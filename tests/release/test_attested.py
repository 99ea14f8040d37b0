"""Who built the image: `gh` is a stand-in that writes down what it was asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from toy_repository import BRANCH, ToyRepository, toy_repository

DIGEST = f"sha256:{'7' * 64}"


@pytest.fixture
def repository(tmp_path: Path) -> ToyRepository:
    made = toy_repository(tmp_path)
    assert made.bump("minor")[0] == 0
    made.git("push", "-q", "--atomic", "origin", BRANCH, "v1.1.0")
    return made


def attested(repository: ToyRepository, body: str, tag: str = "v1.1.0") -> tuple[int, str, str]:
    tools = repository.home / "bin"
    tools.mkdir()
    (tools / "gh").write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > '{repository.home}/asked'\n{body}\n")
    (tools / "gh").chmod(0o755)
    path = f"{tools}:{repository.environment['PATH']}"
    arguments = ("release", "attested", tag, "--image-digest", DIGEST)
    return repository.twinproof(*arguments, PATH=path, GITHUB_REPOSITORY="example/toy-example")


def test_41_it_is_this_workflow_this_tag_and_this_commit_that_is_asked_for(repository: ToyRepository) -> None:
    code, out, err = attested(repository, "exit 0")
    assert (code, err) == (0, "")
    assert "attested by the build of v1.1.0" in out
    assert (repository.home / "asked").read_text().splitlines() == [
        "attestation",
        "verify",
        f"oci://ghcr.io/example/toy-example@{DIGEST}",
        "--repo",
        "example/toy-example",
        "--signer-workflow",
        "example/toy-example/.github/workflows/toy-build.yml",
        "--source-ref",
        "refs/tags/v1.1.0",
        "--source-digest",
        repository.git("rev-parse", "HEAD"),
        "--deny-self-hosted-runners",
    ]


def test_41_without_an_attestation_or_with_another_workflows_the_image_is_refused(repository: ToyRepository) -> None:
    code, out, err = attested(repository, "echo 'no matching attestation found' >&2; exit 1")
    assert (code, out) == (4, "")
    assert "not attested by this repository's build" in err
    assert "no matching attestation found" in err


def test_without_credentials_it_says_what_is_missing(repository: ToyRepository) -> None:
    code, _, err = attested(repository, "exit 4")
    assert code == 2
    assert "GH_TOKEN" in err


def test_a_tag_that_is_no_release_is_refused_before_anybody_is_asked(repository: ToyRepository) -> None:
    repository.git("tag", "v1.2.0")
    code, _, _ = attested(repository, "exit 0", tag="v1.2.0")
    assert code == 4
    assert not (repository.home / "asked").exists()
