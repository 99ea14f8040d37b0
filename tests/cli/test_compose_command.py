"""`twinproof compose`: rendered, kept, compared and refused from the command line."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from published_schemas import described
from twinproof.cli.main import main

DIGEST, OTHER = f"sha256:{'ab' * 32}", f"sha256:{'cd' * 32}"
ROOT = Path(__file__).resolve().parents[2]


def git(directory: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(directory), *identity, *arguments], check=True, capture_output=True, timeout=30)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The release files of this repository, as v1.0.0 of another."""
    directory = tmp_path / "with space"
    (directory / "enclave" / "src").mkdir(parents=True)
    for name in ("twinproof.toml", "enclave/docker-compose.yml"):
        (directory / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    (directory / "enclave" / "src" / "app.py").write_text("one\n", encoding="utf-8")
    git(directory, "init", "-q", "-b", "feat/toy-example-app")
    commit(directory, "v1.0.0")
    monkeypatch.chdir(directory)
    return directory


def commit(directory: Path, tag: str) -> None:
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "--allow-empty", "-m", f"feat: {tag}")
    git(directory, "tag", tag)


def test_the_hash_is_printed_and_the_bytes_are_kept(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compose", "hash", "--image-digest", DIGEST, "--output", "dist/v1.json"]) == 0
    printed = capsys.readouterr().out.strip()
    kept = (repository / "dist" / "v1.json").read_bytes()
    assert hashlib.sha256(kept).hexdigest() == printed
    assert main(["compose", "hash", "--image-digest", DIGEST, "--output", "dist/v1.json", "--json"]) == 0
    document = described("compose-hash.v1", capsys.readouterr().out)
    assert (document["compose_hash"], document["app_compose"]) == (printed, kept.decode())


def test_a_released_text_is_never_replaced_by_another(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compose", "hash", "--image-digest", DIGEST, "--output", "v1.json"]) == 0
    before = (repository / "v1.json").read_bytes()
    assert main(["compose", "hash", "--image-digest", OTHER, "--output", "v1.json"]) == 4
    assert "holds another app-compose text" in capsys.readouterr().err
    assert (repository / "v1.json").read_bytes() == before


def test_a_template_that_may_not_be_deployed_is_refused(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = repository / "enclave" / "docker-compose.yml"
    path.write_text(path.read_text() + "      - prod9:/data\n")
    assert main(["compose", "hash", "--image-digest", DIGEST]) == 4
    assert "machine_specific" in capsys.readouterr().err


def test_two_texts_are_compared_in_words(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for digest, name in ((DIGEST, "a.json"), (OTHER, "b.json")):
        assert main(["compose", "hash", "--image-digest", digest, "--output", name]) == 0
    capsys.readouterr()
    assert main(["compose", "diff", "a.json", "b.json"]) == 4
    said = capsys.readouterr().out
    assert "service app: image digest" in said
    assert "The compose hash changes" in said
    assert main(["compose", "diff", "a.json", "b.json", "--json"]) == 4
    document = described("compose-diff.v1", capsys.readouterr().out)
    assert [change["where"] for change in document["changes"]] == ["service app"]
    assert main(["compose", "diff", "a.json", "a.json"]) == 0
    assert "stays the same" in capsys.readouterr().out


def test_tags_are_compared_before_an_image_is_built(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "enclave" / "src" / "app.py").write_text("two\n", encoding="utf-8")
    commit(repository, "v1.1.0")
    assert main(["compose", "diff", "v1.0.0", "v1.1.0"]) == 4
    said = capsys.readouterr().out
    assert "image: its source changed" in said
    assert "enclave/src/app.py" in said
    assert main(["compose", "diff", "v1.0.0", "v1.1.0", "--json"]) == 4
    document = described("compose-diff.v1", capsys.readouterr().out)
    assert document["image_files"] == ["enclave/src/app.py"]
    assert document["compose_hash_changes"] is True
    assert document["old"] == {"name": "v1.0.0", "compose_hash": None}


def test_a_change_outside_the_image_is_no_change(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "README.md").write_text("words\n", encoding="utf-8")
    commit(repository, "v1.0.1")
    assert main(["compose", "diff", "v1.0.0", "v1.0.1"]) == 0
    assert "stays the same" in capsys.readouterr().out


def test_a_finding_is_exit_4_and_none_is_exit_0(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compose", "hash", "--image-digest", DIGEST, "--output", "a.json"]) == 0
    assert main(["compose", "check", "a.json"]) == 0
    spoiled = json.loads((repository / "a.json").read_text())
    spoiled["docker_compose_file"] = spoiled["docker_compose_file"].replace(f"@{DIGEST}", ":latest")
    (repository / "b.json").write_text(json.dumps(spoiled), encoding="utf-8")
    capsys.readouterr()
    assert main(["compose", "check", "b.json", "--json"]) == 4
    assert {item["id"] for item in described("compose-check.v1", capsys.readouterr().out)} == {"mutable_image"}
    assert main(["compose", "check", "a.json", "--json"]) == 0
    assert described("compose-check.v1", capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["compose", "hash", "--image-digest", "latest"], 2, "not an image digest"),
        (["compose", "diff", "v1.0.0", "v9.9.9"], 2, "no such version"),
        (["compose", "diff", "v1.0.0", "v1.0.0", "--output=x"], 2, "unrecognized"),
        (["compose", "check", "missing.json"], 2, "cannot be read"),
        (["compose"], 2, "required"),
    ],
)
def test_a_mistake_is_said(
    repository: Path, arguments: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    assert text in capsys.readouterr().err


def test_outside_of_a_repository_tags_mean_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert main(["compose", "diff", "v1.0.0", "v1.1.0"]) == 2
    assert "not inside a git repository" in capsys.readouterr().err
