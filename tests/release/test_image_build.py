"""The image's build: one command line, made of the commit alone. Docker is a stand-in that writes down its calls."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from toy_repository import ROOT, ToyRepository, toy_repository
from twinproof.errors import Malformed
from twinproof.release.build_settings import BuildSettings, read_build_settings
from twinproof.release.image_build import build_command, builder_command, built_digest
from twinproof.sources.git import Git
from twinproof.sources.image_builder import committed_files
from twinproof.wire import Fields

SETTINGS = BuildSettings("enclave", f"sha256:{'b' * 64}", f"moby/buildkit:v0.33.1@sha256:{'c' * 64}")
DIGESTS = [f"sha256:{digit * 64}" for digit in "12"]
DOCKER = """#!{python}
import json, os, sys
with open({calls!r}, "a") as file:
    call = {{"arguments": sys.argv[1:], "epoch": os.environ.get("SOURCE_DATE_EPOCH")}}
    if sys.argv[2] == "build":
        top = sys.argv[-1]
        call["files"] = sorted(os.path.join(d, f)[len(top) + 1:] for d, _, names in os.walk(top) for f in names)
    file.write(json.dumps(call) + "\\n")
if sys.argv[2] == "build":
    builds = sum('"build"' in line for line in open({calls!r}))
    path = sys.argv[sys.argv.index("--metadata-file") + 1]
    open(path, "w").write(json.dumps({{"containerimage.digest": {digests!r}[builds - 1]}}))
sys.exit({code})
"""


def command(*, push: bool = True) -> tuple[str, ...]:
    return build_command("b", SETTINGS, "ghcr.io/o/n", "a" * 40, 1_700_000_000, metadata="m", context="c", push=push)


def test_the_digest_depends_on_the_commit_and_on_nothing_of_the_moment() -> None:
    arguments = command()
    assert {"--provenance=false", "--sbom=false", "--no-cache"} <= set(arguments)
    output = arguments[arguments.index("--output") + 1].split(",")
    assert {"push-by-digest=true", "rewrite-timestamp=true", "oci-mediatypes=true", "push=true"} <= set(output)
    given = [arguments[index + 1] for index, word in enumerate(arguments) if word == "--build-arg"]
    assert given == [
        f"BASE_DIGEST=sha256:{'b' * 64}",
        f"GIT_SHA={'a' * 40}",
        "BUILD_TIME=2023-11-14T22:13:20Z",
        "SOURCE_DATE_EPOCH=1700000000",
    ]
    assert arguments[arguments.index("--platform") + 1] == "linux/amd64"
    assert command() == arguments


def test_nothing_is_pushed_that_nobody_asked_to_push() -> None:
    assert "push=false" in command(push=False)[command().index("--output") + 1].split(",")


def test_buildkit_itself_is_pinned_by_digest() -> None:
    assert builder_command("b", SETTINGS)[-1] == f"image=moby/buildkit:v0.33.1@sha256:{'c' * 64}"


def test_every_argument_of_the_dockerfile_is_given() -> None:
    declared = re.findall(r"^ARG (\w+)$", (ROOT / "enclave" / "Dockerfile").read_text(), re.MULTILINE)
    assert {f"{name}=" for name in declared} <= {word.partition("=")[0] + "=" for word in command() if "=" in word}


@pytest.mark.parametrize("text", ["{}", '{"containerimage.digest": "1.1.0"}', "[]", ""])
def test_metadata_without_a_digest_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        built_digest(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_digest", "3.11-slim"),
        ("base_digest", f"sha256:{'B' * 64}"),
        ("buildkit", "moby/buildkit:v0.33.1"),
        ("buildkit", f"moby/buildkit@sha256:{'c' * 64} --privileged"),
        ("context", "../elsewhere"),
        ("context", "/etc"),
        ("cache", "registry"),
    ],
)
def test_what_is_not_named_by_its_content_is_refused(name: str, value: str) -> None:
    good: dict[str, object] = {
        "context": SETTINGS.context,
        "base_digest": SETTINGS.base_digest,
        "buildkit": SETTINGS.buildkit,
    }
    assert read_build_settings(Fields(good, "build")) == SETTINGS
    with pytest.raises(Malformed):
        read_build_settings(Fields({**good, name: value}, "build"))


@pytest.fixture
def repository(tmp_path: Path) -> ToyRepository:
    made = toy_repository(tmp_path)
    made.write("enclave/Dockerfile", "FROM scratch\n")
    made.commit("build: a Dockerfile")
    return made


def build(
    repository: ToyRepository, *arguments: str, digests: tuple[str, ...] = (DIGESTS[0],) * 2, code: int = 0
) -> tuple[int, str, str, list[dict[str, object]]]:
    tools, calls = repository.home / "bin", repository.home / "calls"
    tools.mkdir()
    docker = tools / "docker"
    docker.write_text(DOCKER.format(python=sys.executable, calls=str(calls), digests=list(digests), code=code))
    docker.chmod(0o755)
    path = f"{tools}:{repository.environment['PATH']}"
    found = repository.twinproof("release", "build", *arguments, PATH=path)
    return *found, [json.loads(line) for line in calls.read_text().splitlines()]


def test_a_build_starts_its_own_buildkit_builds_what_is_committed_and_cleans_up(
    repository: ToyRepository, tmp_path: Path
) -> None:
    repository.write("enclave/.env", "SECRET=1\n")
    repository.write("enclave/src/toy_example/version.py", '__version__ = "6.6.6"\n')
    outputs = tmp_path / "outputs"
    code, out, _, calls = build(repository, "--push", "--outputs", str(outputs))
    assert (code, out) == (0, f"{DIGESTS[0]}\n")
    assert [call["arguments"][1] for call in calls] == ["create", "build", "rm"]  # type: ignore[index]
    assert calls[1]["files"] == ["Dockerfile", "docker-compose.yml", "pyproject.toml", "src/toy_example/version.py"]
    assert calls[1]["epoch"] == repository.git("log", "-1", "--format=%ct")
    assert outputs.read_text() == f"image=ghcr.io/example/toy-example\nimage_digest={DIGESTS[0]}\n"


def test_36_an_image_that_is_another_one_the_second_time_is_refused_and_never_pushed_first(
    repository: ToyRepository,
) -> None:
    code, out, err, calls = build(repository, "--twice", digests=tuple(DIGESTS))
    assert (code, out) == (4, "")
    assert "built twice, the image is another one" in err
    assert [call["arguments"][1] for call in calls] == ["create", "build", "build", "rm"]  # type: ignore[index]


def test_a_build_that_fails_is_exit_5_and_no_traceback(repository: ToyRepository) -> None:
    code, out, err, _ = build(repository, code=1)
    assert (code, out) == (5, "")
    assert "the build failed" in err
    assert "Traceback" not in err


def test_without_docker_it_says_so(repository: ToyRepository, tmp_path: Path) -> None:
    tools = tmp_path / "few"
    tools.mkdir()
    git = next(Path(part, "git") for part in os.environ["PATH"].split(":") if Path(part, "git").exists())
    (tools / "git").symlink_to(git)
    code, _, err = repository.twinproof("release", "build", PATH=str(tools))
    assert code == 2
    assert "docker is not installed" in err


def test_what_goes_into_the_image_has_the_modes_of_the_commit_whatever_the_umask(repository: ToyRepository) -> None:
    repository.git("config", "tar.umask", "0")  # and git's own
    before = os.umask(0o077)
    try:
        with committed_files(Git(repository.top), "HEAD", "enclave") as directory:
            modes = {oct(path.stat().st_mode & 0o777) for path in directory.rglob("*") if path.is_file()}
            times = {int(path.stat().st_mtime) for path in directory.rglob("*") if path.is_file()}
    finally:
        os.umask(before)
    assert modes == {"0o644"}
    assert times == {int(repository.git("log", "-1", "--format=%ct"))}


def test_the_repositorys_own_settings_pin_the_base_and_buildkit() -> None:
    text = (ROOT / "twinproof.toml").read_text(encoding="utf-8")
    assert re.search(r'^base_digest = "sha256:[0-9a-f]{64}"$', text, re.MULTILINE)
    assert re.search(r'^buildkit = "moby/buildkit:v[0-9.]+@sha256:[0-9a-f]{64}"$', text, re.MULTILINE)
