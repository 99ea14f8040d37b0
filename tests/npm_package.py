"""Programs from npm, installed by their lock files and run without any network."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["NO_NETWORK", "NPM", "installed", "needs_namespaces"]

NPM = Path(__file__).resolve().parent / "npm"
NO_NETWORK = ("unshare", "--map-root-user", "--net")
"""A network namespace of its own, where even loopback is down."""


def installed(folder: Path, target: Path) -> Path:
    """The packages of a folder with a lock file, in `target`. Without Node.js: skipped on a desk, a failure in CI."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        _missing("Node.js is not installed")
    needs_namespaces()
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("node_modules", "phala", "anvil"))
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=target,
        check=False,
        capture_output=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr.decode()
    return target


def needs_namespaces() -> None:
    """Where there are none: skipped on a desk, a failure in CI."""
    if subprocess.run([*NO_NETWORK, "true"], check=False, capture_output=True).returncode != 0:
        _missing("network namespaces cannot be made here")


def _missing(what: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{what}: .ci/run has to see to it")
    pytest.skip(f"{what}: another's program was not run")
