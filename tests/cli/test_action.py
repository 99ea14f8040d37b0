"""The GitHub Action: its script, run as the action runs it, gates with the exit code and keeps every report."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from small_files import root_file, twin_files

ROOT = Path(__file__).resolve().parents[2]


def gate(tmp_path: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Two honest bundles through the script, with this checkout's command."""
    root_file(tmp_path)
    twin_files(tmp_path)
    command = tmp_path / "twinproof"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m twinproof "$@"\n', encoding="utf-8")
    command.chmod(0o700)
    given = {
        "TARGETS": "0.json\n  1.json",
        "TRUST_ROOT": "root.pem",
        "REPORTS": "reports",
        "TWINPROOF": str(command),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
        **inputs,
    }
    return subprocess.run(
        ["bash", str(ROOT / "scripts" / "compare-gate.sh")],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONIOENCODING": "utf-8", **given},
    )


def test_a_proof_opens_the_gate_and_leaves_every_report(tmp_path: Path) -> None:
    done = gate(tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "reports").iterdir()} == {
        "report.html",
        "report.sarif",
        "junit.xml",
        "report.txt",
        "evidence",
    }
    assert (tmp_path / "output").read_text() == "reports=reports\n"
    assert "PROOF COMPLETE" in (tmp_path / "summary").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("inputs", "code"),
    [({"EXPECT": "version=1.2.0\nversion=9.9.9"}, 2), ({"EXPECT": "version=9.9.9"}, 4), ({"REQUIRE": "image"}, 4)],
)
def test_anything_else_closes_it_with_its_exit_code(tmp_path: Path, inputs: dict[str, str], code: int) -> None:
    assert gate(tmp_path, **inputs).returncode == code


def test_values_are_never_part_of_the_script(tmp_path: Path) -> None:
    done = gate(tmp_path, EXPECT='version=$(touch owned)"; touch owned #', TARGETS="0.json 1.json $(touch${IFS}owned)")
    assert done.returncode != 0
    assert not (tmp_path / "owned").exists()


def test_the_action_hands_over_values_as_environment_only() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    (step,) = action["runs"]["steps"]
    assert "${{" not in step["run"]
    used = {value for value in step["env"].values() if "inputs." in value}
    assert used == {f"${{{{ inputs.{name} }}}}" for name in action["inputs"]}
