"""What can be shown without a Docker engine: the wheel is the same bytes twice, and every requirement is locked."""

from __future__ import annotations

import re
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from toy_repository import ROOT, ToyRepository, toy_repository

ENCLAVE = ROOT / "enclave"
LOCK = (ENCLAVE / "requirements.txt").read_text(encoding="utf-8")


@pytest.fixture
def repository(tmp_path: Path) -> ToyRepository:
    """A repository with the app's real sources."""
    made = toy_repository(tmp_path)
    tracked = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "enclave"], check=True, capture_output=True, text=True, timeout=30
    ).stdout.split()
    for name in tracked:
        made.write(name, (ROOT / name).read_text(encoding="utf-8"))
    made.commit("feat: the app")
    return made


def test_the_wheel_is_the_same_bytes_from_two_clones_at_other_paths_times_and_umasks(
    repository: ToyRepository, tmp_path: Path
) -> None:
    code, out, err = repository.twinproof("release", "wheel", "--output", str(tmp_path / "out"))
    assert code == 0, err
    assert re.fullmatch(r"[0-9a-f]{64}  toy_example-1\.0\.0-py3-none-any\.whl\n", out)
    (wheel,) = (tmp_path / "out").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        assert {info.external_attr >> 16 & 0o777 for info in archive.infolist()} == {0o644}
        assert "toy_example/app.py" in archive.namelist()
        assert not any(name.endswith((".pyc", "build.json")) for name in archive.namelist())


def test_another_commit_is_another_wheel_and_the_same_commit_the_same(repository: ToyRepository) -> None:
    first = repository.twinproof("release", "wheel")
    repository.write("enclave/src/toy_example/version.py", '__version__ = "1.0.0"  # changed\n')
    assert repository.twinproof("release", "wheel") == first, "what is not committed does not count"
    repository.commit("style: a comment")
    assert repository.twinproof("release", "wheel")[1] != first[1]
    assert repository.twinproof("release", "wheel", "--commit", "HEAD~1") == first


def test_a_build_that_depends_on_its_place_is_refused(repository: ToyRepository) -> None:
    """The check can fail: a build hook that writes the path of its clone into the wheel."""
    hook = """
from pathlib import Path
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class Here(BuildHookInterface):
    def initialize(self, version, build_data):
        place = Path(self.root, "src/toy_example/place.txt")
        place.write_text(self.root)
"""
    repository.write("enclave/hatch_build.py", hook)
    text = (repository.top / "enclave/pyproject.toml").read_text(encoding="utf-8")
    repository.write("enclave/pyproject.toml", text + "\n[tool.hatch.build.targets.wheel.hooks.custom]\n")
    repository.commit("build: a bad idea")
    code, out, err = repository.twinproof("release", "wheel")
    assert (code, out) == (4, "")
    assert "built twice, the wheel is another one" in err


def blocks() -> dict[str, str]:
    found = [block for block in re.split(r"^(?=\w)", LOCK, flags=re.MULTILINE) if "==" in block]
    return {canonicalize_name(block.partition("==")[0]): block for block in found}


def test_every_requirement_is_locked_to_one_version_with_hashes() -> None:
    for name, block in blocks().items():
        assert re.match(rf"{re.escape(block.partition('==')[0])}==[0-9][^\s;]*( ;.*)? \\\n", block), name
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), name
        assert not re.search(r" @ |^-", block, re.MULTILINE), name


def test_the_lock_is_complete_nothing_that_a_locked_package_needs_is_missing() -> None:
    """Asked of the installed packages: each has the same name here, and its needs under Linux have to be locked."""
    from importlib.metadata import PackageNotFoundError, requires

    environment = {"sys_platform": "linux", "platform_system": "Linux", "extra": "", "python_version": "3.11"}
    environment |= {"python_full_version": "3.11.9", "implementation_name": "cpython", "os_name": "posix"}
    environment |= {"platform_python_implementation": "CPython", "platform_machine": "x86_64"}
    project = tomllib.loads((ENCLAVE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    todo, seen = [Requirement(text) for text in project["dependencies"]], set()
    while todo:
        name = canonicalize_name(todo.pop().name)
        if name in seen:
            continue
        seen.add(name)
        assert name in blocks()
        try:
            needs = requires(name) or []
        except PackageNotFoundError:
            continue  # locked for another system
        wanted = [Requirement(text) for text in needs]
        todo += [item for item in wanted if item.marker is None or item.marker.evaluate(environment)]
    assert {"starlette", "dstack-sdk", "cryptography", "cffi"} <= seen
