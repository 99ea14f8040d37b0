"""Our command signs and Sigstore's own command verifies, each in a process of its own, where only loopback exists."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from npm_package import NO_NETWORK, needs_namespaces
from small_files import root_file, twin_files
from small_instance import judge, twins

PROGRAM = Path(__file__).resolve().parents[1] / "sigstore_alone.py"
Outcomes = dict[str, tuple[int, str, str]]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    needs_namespaces()
    folder = tmp_path_factory.mktemp("alone")
    root_file(folder)
    twin_files(folder)
    subject = compose_hash()
    done = subprocess.run(
        [*NO_NETWORK, sys.executable, str(PROGRAM), subject], check=False, capture_output=True, timeout=200, cwd=folder
    )
    assert done.returncode == 0, done.stderr.decode()
    found: Outcomes = {name: tuple(outcome) for name, outcome in json.loads(done.stdout).items()}
    return found


def compose_hash() -> str:
    verdict = judge(twins()[0].evidence())
    assert verdict.claims.software is not None
    return verdict.claims.software.compose_hash.hex()


def test_sigstores_command_takes_the_summary_of_the_measured_compose_file(outcomes: Outcomes) -> None:
    assert outcomes["signed"][0] == 0, outcomes["signed"]
    code, printed, error = outcomes["verified"]
    assert code == 0, error
    assert "OK: " in error
    assert '"verificationResult":"PASSED"' in printed


def test_sigstores_command_refuses_another_identity(outcomes: Outcomes) -> None:
    code, printed, error = outcomes["another identity"]
    assert code == 1
    assert printed == ""
    assert "FAIL" in error


def test_the_public_instance_is_asked_when_it_is_named_and_its_absence_is_no_signature(outcomes: Outcomes) -> None:
    code, printed, error = outcomes["public"]
    assert (code, printed) == (5, "")
    assert "--sigstore-public" in error
    assert "Traceback" not in error
