"""docs/TRACEABILITY.md is true: every requirement has an implementation that is there and tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = (ROOT / "docs" / "TRACEABILITY.md").read_text(encoding="utf-8")
REQUIREMENTS = (
    "semantic version",
    "bump script",
    "/version",
    "upgrade guide",
    "compose-hash change detection",
    "on-chain entries",
    "same app id on two machines",
    "comparison with cryptographic verification",
    "Intel root of trust",
    "MR_ENCLAVE comparison",
    "per-instance counter",
    "on-chain logging of both",
    "changelog",
    "GitHub release",
    "DEPLOYMENTS.md",
    "attestation comparison",
    "multi-machine patterns",
)


def rows() -> dict[str, tuple[list[str], list[str]]]:
    """Implementations and tests, by requirement."""
    found = {}
    for line in DOCUMENT.splitlines():
        if line.startswith("| ") and not line.startswith("| Requirement"):
            requirement, implementation, tests = (cell.strip() for cell in line.strip("|").split("|"))
            found[requirement] = re.findall(r"`([^`]+)`", implementation), re.findall(r"`([^`]+)`", tests)
    return found


@cache
def functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_no_requirement_is_missing() -> None:
    assert set(REQUIREMENTS) <= set(rows())


@pytest.mark.parametrize("requirement", rows())
def test_a_requirement_has_an_implementation_and_tests_that_exist(requirement: str) -> None:
    implementation, tests = rows()[requirement]
    assert implementation
    assert tests
    for path in implementation:
        assert (ROOT / path).exists(), path
    for test in tests:
        path, _, name = test.partition("::")
        assert name in functions(path), test
