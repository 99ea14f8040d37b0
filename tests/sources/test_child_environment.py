"""What git and its hooks, docker and the rest see of our environment: everything but the keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from toy_repository import toy_repository
from twinproof.sources.child_environment import API_KEY, SIGNING_KEY, child_environment
from twinproof.sources.git import Git
from twinproof.sources.signing_key import key_from_environment

KEY = "11" * 32


@pytest.mark.parametrize("name", [API_KEY, SIGNING_KEY, "A_NAME_OF_THE_USERS"])
def test_a_hook_of_the_repository_does_not_see_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    repository = toy_repository(tmp_path)
    monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("GITHUB_TOKEN", "of-the-push")
    key_from_environment(name)
    seen = tmp_path / "seen"
    repository.hook("post-commit", f"env > {seen}")
    Git(repository.top).run("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--allow-empty", "--message", "x")
    assert "GITHUB_TOKEN=of-the-push" in seen.read_text()
    assert KEY not in seen.read_text()


def test_what_a_command_needs_stands_in_place_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert child_environment({"LC_ALL": "C"})["LC_ALL"] == "C"
