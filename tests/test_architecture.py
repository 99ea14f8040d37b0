"""Imports point down, and nothing below the edges opens a socket or a file, or reads the clock."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[1] / "src"
ENCLAVE = Path(__file__).resolve().parents[1] / "enclave" / "src"

RANK = {
    "errors": 0,
    "verdict": 0,
    "compact_json": 0,
    "ledger": 1,
    "names": 1,
    "memo": 1,
    "wire": 1,
    "keccak": 1,
    "secp256k1": 2,
    "urls": 2,
    "tdx": 2,
    "dcap": 3,
    "dstack": 3,
    "chain": 3,
    "evidence": 4,
    "policy": 4,
    "policy_file": 5,
    "claims": 5,
    "claims_of": 6,
    "eat_claims": 6,
    "image_policy": 6,
    "platform_policy": 6,
    "chain_question": 6,
    "comparison_rules": 6,
    "wanted": 7,
    "instance_verdict": 8,
    "verifier": 9,
    "batch": 10,
    "register_drift": 10,
    "comparison_chain": 10,
    "comparison": 11,
    "report": 13,
    "release": 11,
    "deployments": 12,
    "sources": 14,
    "cli": 16,
    "web": 15,
    "conformance": 17,
}
EDGES = {"sources", "cli", "web", "conformance"}
WORLD = {
    "socket",
    "ssl",
    "urllib3",
    "httpx",
    "requests",
    "subprocess",
    "secrets",
    "random",
    "time",
    "os",
    "pathlib",
    "io",
}
CALLS = {"datetime.now", "datetime.utcnow", "time.time", "date.today"}


def modules(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            yield f"{node.module}", node.lineno


def part(path: Path) -> str:
    return path.relative_to(SRC / "twinproof").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(SRC / "twinproof"), ids=lambda path: str(path.relative_to(SRC)))
def test_imports_point_down(path: Path) -> None:
    here = part(path)
    if here in {"__init__", "__main__"}:
        return
    for name, line in imported(path):
        if name.startswith("twinproof."):
            target = name.split(".")[1]
            assert target == here or RANK[target] < RANK[here], f"{path}:{line}: {here} may not import {target}"
        assert not name.startswith("twinproof_devnet"), f"{path}:{line}: the tool never imports the simulated world"


@pytest.mark.parametrize("path", modules(SRC / "twinproof"), ids=lambda path: str(path.relative_to(SRC)))
def test_below_the_edges_nothing_touches_the_world(path: Path) -> None:
    if part(path) in EDGES | {"__init__", "__main__"}:
        return
    for name, line in imported(path):
        assert name.split(".")[0] not in WORLD, f"{path}:{line}: {name} belongs in sources/"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert not any(called.endswith(call) for call in CALLS), (
                f"{path}:{node.lineno}: {called} belongs in sources/"
            )
            assert called != "open", f"{path}:{node.lineno}: files are opened in sources/"


@pytest.mark.parametrize(
    ("root", "forbidden"),
    [(SRC / "twinproof_devnet", ("twinproof",)), (ENCLAVE, ("twinproof", "twinproof_devnet"))],
    ids=["the devnet never imports the verifier", "the enclave app imports neither"],
)
def test_independent_packages_stay_independent(root: Path, forbidden: tuple[str, ...]) -> None:
    for path in modules(root):
        for name, line in imported(path):
            assert name.split(".")[0] not in forbidden, f"{path}:{line}: may not import {name}"
