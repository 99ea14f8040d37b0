"""docs/UPGRADE-GUIDE.md, executed: each command in its order, with its exit code and the output that the page shows."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy_world import DeployWorld, deploy_world
from toy_repository import BRANCH, ROOT, ToyRepository

GUIDE = (ROOT / "docs" / "UPGRADE-GUIDE.md").read_text(encoding="utf-8")
MACHINES = ("prod9", "prod7")
_FINAL = 10
"""Blocks after which one of the devnet's chain is final, and some."""
WRAPPER = """#!/bin/sh
case "$1" in
  compare) exec '{python}' -m twinproof "$@" --trust-root '{root}' --config '{config}' --no-cache ;;
  deploy | status) exec '{python}' -m twinproof "$@" --trust-root '{root}' ;;
esac
exec '{python}' -m twinproof "$@"
"""
"""The page's commands are those of real machines; the devnet's root is added here."""


@dataclass(frozen=True)
class Command:
    text: str
    code: int
    output: tuple[str, ...]


def commands() -> list[Command]:
    found = []
    for block in re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, *output = part.rstrip("\n").split("\n")
            text, _, code = line.partition(" # exit ")
            found.append(Command(text, int(code or 0), tuple(output)))
    return found


def shows(output: tuple[str, ...], printed: str) -> bool:
    """The lines stand in it, one after the other; `...` alone is any lines, inside a line any text."""
    patterns = [r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + r"\n" for line in output]
    return re.search("^" + "".join(patterns), printed, re.MULTILINE) is not None


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployWorld]:
    """v1.0.0 of the real service, pushed, with nothing since; two machines run it."""
    directory = tmp_path_factory.mktemp("guide")
    with deploy_world(directory, MACHINES) as made:
        repository = made.repository
        repository.git("reset", "-q", "--hard", "v1.0.0")
        for path in (*sorted((ROOT / "enclave" / "src").rglob("*.py")), *sorted((ROOT / "scripts").glob("*.sh"))):
            repository.write(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
            (repository.top / path.relative_to(ROOT)).chmod(path.stat().st_mode)
        repository.write("enclave/README.md", "# toy\n")
        repository.write("enclave/pyproject.toml", (ROOT / "enclave" / "pyproject.toml").read_text(encoding="utf-8"))
        repository.write(".gitignore", "build/\n")
        repository.write("twinproof.toml", f"{made.configuration()}\n{_build_table()}")
        repository.commit("feat: the service")
        repository.git("tag", "-f", "-a", "-m", "v1.0.0", "v1.0.0")
        repository.git("push", "-qf", "origin", BRANCH, "v1.0.0")
        made.build("1.0.0")
        assert made.deploy("1.0.0", machines=MACHINES).code == 0
        tools = repository.home / "bin"
        tools.mkdir()
        (directory / "machines.toml").write_text(_with_urls(made))
        text = WRAPPER.format(python=sys.executable, root=made.cloud.root_path, config=directory / "machines.toml")
        (tools / "twinproof").write_text(text)
        (tools / "twinproof").chmod(0o755)
        yield made


def _build_table() -> str:
    """The real repository's: what images are built with."""
    (table,) = re.findall(r"^\[build\]\n(?:(?!\[).*\n)*", (ROOT / "twinproof.toml").read_text("utf-8"), re.MULTILINE)
    return str(table)


def _with_urls(world: DeployWorld) -> str:
    """The devnet's settings with the address of each instance, which stays in an upgrade."""
    text = world.cloud.config_path.read_text(encoding="utf-8")
    for cvm in world.cloud.fleet.cvms:
        heading = f"[machines.{cvm.node.name}]"
        text = text.replace(heading, f'{heading}\nurl = "{cvm.instance.url}"')
    return text


def run(world: DeployWorld, command: Command) -> subprocess.CompletedProcess[str]:
    """What CI does once the tag is pushed happens when a command names the digest that it prints."""
    repository = world.repository
    path = f"{repository.home / 'bin'}:{repository.environment['PATH']}"
    environment = {**world.environment, "PATH": path}
    if "$IMAGE_DIGEST" in command.text:
        if "1.1.0" not in world.digests:
            world.build("1.1.0")
        environment["IMAGE_DIGEST"] = world.digests["1.1.0"]
    if command.text.startswith("twinproof compare"):
        world.chain.mine(_FINAL)  # minutes pass, and what was sent is final
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command.text],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=repository.top,
        env=environment,
    )


def test_every_command_of_the_page_does_what_the_page_says(world: DeployWorld) -> None:
    repository: ToyRepository = world.repository
    printed: dict[str, str] = {}
    for command in commands():
        done = run(world, command)
        assert done.returncode == command.code, f"$ {command.text}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        assert shows(command.output, done.stdout), f"$ {command.text}\nprinted:\n{done.stdout}"
        printed[command.text] = done.stdout
    hashed, summed = (next(text for name, text in printed.items() if word in name) for word in (".json", "sha256sum"))
    assert hashed.strip() == summed.split()[0], "the hash that is predicted is that of the file's bytes"
    assert repository.git("ls-remote", "origin", "v1.1.1^{}").split()[0] == repository.git("rev-parse", "HEAD")
    assert repository.git("status", "--porcelain") == ""


def test_every_block_of_the_page_is_one_that_is_run() -> None:
    assert set(re.findall(r"^```(\w*)$", GUIDE, re.MULTILINE)) == {"console", ""}
    assert len(commands()) > 20
    for block in re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL):
        assert block.startswith("$ ")


def test_the_output_of_the_bump_is_shown_in_full() -> None:
    (bump,) = [command for command in commands() if command.text == "scripts/bump-version.sh minor"]
    assert "..." not in bump.output
    assert bump.output[-2:] == ("Next steps:", f"  git push origin {BRANCH} --tags")


@pytest.mark.parametrize(
    ("output", "printed", "shown"),
    [
        (("a", "b"), "a\nb\n", True),
        (("a", "b"), "a\nx\nb\n", False),
        (("a", "...", "b"), "a\nx\ny\nb\n", True),
        (("a (...)",), "a (1234567)\n", True),
        (("b",), "ab\n", False),
        ((), "anything\n", True),
    ],
)
def test_the_comparison_of_outputs_can_fail(output: tuple[str, ...], printed: str, shown: bool) -> None:
    assert shows(output, printed) is shown


def test_each_step_of_the_table_says_what_happens_to_each_of_six_things() -> None:
    rows = re.findall(r"^\| (\d) .*\|$", GUIDE, re.MULTILINE)
    assert rows == ["1", "2", "3", "4", "5", "6"]
    heading = next(line for line in GUIDE.splitlines() if line.startswith("| step |"))
    for name in ("git SHA", "image digest", "compose hash", "on-chain transaction", "app id", "keys"):
        assert f"| {name} " in heading


def test_the_files_that_the_page_names_are_there() -> None:
    for name in re.findall(r"`((?:tests|scripts|docs|\.ci)/[\w./-]+)", GUIDE):
        assert Path(ROOT, name).exists(), name
