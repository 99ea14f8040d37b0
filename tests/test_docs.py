"""What the documents say about commands, flags, exit codes and checks is what the program has."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import twinproof
from command_parsers import subcommands
from twinproof import comparison, verifier
from twinproof.cli.main import build_parser
from twinproof.dstack import key_chain
from twinproof.errors import TwinproofError, Unavailable
from twinproof.policy import Pins
from twinproof.verdict import Step
from twinproof.wanted import REQUIRABLE

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (ROOT / "docs" / "COMMANDS.md").read_text(encoding="utf-8")
VERIFICATION = (ROOT / "docs" / "VERIFICATION.md").read_text(encoding="utf-8")


def flags() -> Iterator[tuple[str, str]]:
    for name, parser in subcommands().items():
        for action in parser._actions:
            yield from ((name, flag) for flag in action.option_strings if flag.startswith("--") and flag != "--help")


@pytest.mark.parametrize("name", subcommands())
def test_every_command_is_documented(name: str) -> None:
    assert f"`twinproof {name}" in COMMANDS


@pytest.mark.parametrize(("command", "flag"), list(flags()))
def test_every_flag_is_documented_and_explained_in_its_help(command: str, flag: str) -> None:
    assert re.search(rf"`{re.escape(flag)}[ `]", COMMANDS), f"{command} {flag}"
    action = subcommands()[command]._option_string_actions[flag]
    assert action.help


def test_no_flag_is_documented_that_does_not_exist() -> None:
    known = {flag for _, flag in flags()} | {
        "--help",
        "--version",
        "--machines",
        "--no-chain",
        "--email",
        "--endpoints",
        "--fault",
        "--chain-id",
        "--chain-engine",
        "--cloud",
        "--keep",
        "--atomic",
        "--tags",
    }  # the devnet's, and git's
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", COMMANDS)) <= known


def test_every_exit_code_is_documented() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d) \|", COMMANDS, re.MULTILINE)}
    assert codes == {0, TwinproofError.exit_code} | {error.exit_code for error in _all_errors()} == {0, 1, 2, 3, 4, 5}
    assert {int(code) for code in re.findall(r"^  (\d)  ", build_parser().epilog or "", re.MULTILINE)} == codes
    assert Unavailable.exit_code == 5


def _all_errors() -> Iterator[type[TwinproofError]]:
    todo = list(TwinproofError.__subclasses__())
    while todo:
        error = todo.pop()
        todo.extend(error.__subclasses__())
        yield error


@pytest.mark.parametrize("step", [*verifier.PLAN, *comparison.PLAN, *key_chain.PLAN], ids=lambda step: step.id)
def test_every_check_is_documented(step: Step) -> None:
    assert f"`{step.id}`" in VERIFICATION


def test_no_check_is_documented_that_does_not_exist() -> None:
    known = {step.id for step in (*verifier.PLAN, *comparison.PLAN, *key_chain.PLAN)}
    found = set(re.findall(r"`((?:dcap|dstack|evidence|chain|policy|compare|keys)\.[a-z0-9_]+)`", VERIFICATION))
    assert found <= known


@pytest.mark.parametrize("name", [*Pins._fields, *REQUIRABLE])
def test_every_pin_and_requirement_is_named_in_the_help(name: str) -> None:
    text = subcommands()["verify"].format_help()
    assert name in text or name in {"tcb_status", "report_attributes"}


def test_public_names_are_what_the_package_gives() -> None:
    assert sorted(twinproof.__all__) == dir(twinproof)
    for name in twinproof.__all__:
        assert getattr(twinproof, name) is not None
    with pytest.raises(AttributeError):
        _ = twinproof.nothing


def test_the_version_is_the_same_in_every_source() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == twinproof.__version__


def test_the_base_install_stays_small() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    names = {re.split(r"[><=\[ ]", requirement)[0] for requirement in project["project"]["dependencies"]}
    assert names == {"cryptography", "msgpack", "urllib3"}


def test_lock_files_name_no_index() -> None:
    locks = [ROOT / "requirements/dev.txt", ROOT / "requirements/fuzz.txt", ROOT / "enclave/requirements.txt"]
    locks += [path for path in ROOT.rglob("package-lock.json") if ".venv" not in path.parts]
    assert len(locks) > 4
    for path in locks:
        text = path.read_text(encoding="utf-8")
        assert "--index-url" not in text
        assert '"resolved"' not in text, path
        if path.suffix == ".txt":
            assert not re.search(r"https?://", text), path


def test_a_decision_has_one_number() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    numbers = [path.name.split("-")[0] for path in records]
    assert len(set(numbers)) == len(numbers)
    for path, number in zip(records, numbers, strict=True):
        assert path.read_text(encoding="utf-8").startswith(f"# {int(number)}. "), path
