"""The threat model names checks that exist and tests that exist; what has neither stands under what remains."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from twinproof import comparison, verifier
from twinproof.dstack import key_chain

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "THREAT-MODEL.md").read_text(encoding="utf-8")
STOPPED, TOOL, REMAINS = re.split(r"^## \d\. .*\n", TEXT, flags=re.MULTILINE)[1:]
CHECKS = {step.id for step in (*verifier.PLAN, *comparison.PLAN, *key_chain.PLAN)}
CHECK = re.compile(r"`((?:dcap|dstack|evidence|chain|policy|compare|keys)\.[a-z0-9_]+)`")
TEST = re.compile(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`")
ATTACKS = (
    "replay",
    "relay",
    "swap",
    "forged, left out or moved event",
    "cloned",
    "posing as two",
    "debug",
    "rolled-back",
    "revoked",
    "base image",
    "development image",
    "vendor's API",
    "collateral of another",
    "labels",
    "same app id",
    "another KMS",
    "allowed_envs",
    "image tag",
    "ACPI",
    "gateway",
    "stolen",
    "terminal injection",
    "endless",
    "quote version",
    "presented as new",
    "clock set back",
    "policy file",
    "physical",
    "side channels",
)


def rows(section: str, columns: int) -> list[list[str]]:
    lines = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| attack ")]
    found = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert all(len(row) == columns for row in found), "a cell holds a bar, or a row has other columns"
    return found


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("row", rows(STOPPED, 4), ids=lambda row: row[0])
def test_a_stopped_attack_has_its_check_and_its_test(row: list[str]) -> None:
    assert CHECK.findall(row[2])
    assert TEST.findall(row[3])


@pytest.mark.parametrize("row", rows(TOOL, 4), ids=lambda row: row[0])
def test_an_attack_on_the_tool_has_its_defence_and_its_test(row: list[str]) -> None:
    assert (ROOT / row[2].strip("`")).is_file()
    assert TEST.findall(row[3])


def test_every_check_named_exists() -> None:
    assert set(CHECK.findall(TEXT)) <= CHECKS


@pytest.mark.parametrize(("path", "name"), TEST.findall(TEXT), ids=lambda part: part)
def test_every_test_named_exists(path: str, name: str) -> None:
    assert name in functions_of(path)


def test_what_remains_says_what_is_left_to_do() -> None:
    assert all(all(row) for row in rows(REMAINS, 3))


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_known_attack_is_left_out(attack: str) -> None:
    assert attack in TEXT
