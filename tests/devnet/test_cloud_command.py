"""`devnet up --cloud` says where everything is, and shows no key; `devnet push` builds what its compose files name."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest

from cloud_client import BUILD_TIME, GIT_SHA
from devnet_announcement import announced
from twinproof_devnet.command import main
from twinproof_devnet.registry import Registry

ROOT = Path(__file__).resolve().parents[2]


def test_up_prints_addresses_and_key_files_and_no_key(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "twinproof_devnet", "up", "--cloud", "--machines", "prod9", "--chain-id", "8453"]
    command += ["--fault", "machine_down@prod9", "--directory", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    try:
        text = announced(process)
        assert text.startswith("SIMULATED HARDWARE")
        assert "chain id 8453" in text
        key, owner = (tmp_path / name for name in ("api-key", "chain-owner.key"))
        for secret in (key.read_text().strip(), owner.read_text().strip()):
            assert secret not in text
            assert secret.removeprefix("0x") not in text
        api = re.search(r"^cloud API +(\S+)$", text, re.MULTILINE)
        assert api
        config = tomllib.loads((tmp_path / "twinproof.toml").read_text())
        assert config["chain"]["chain_id"] == 8453
        assert list(config["machines"]) == ["prod9"]
        request = urllib.request.Request(
            f"{api[1]}/workspaces/devnet/nodes", headers={"X-API-Key": key.read_text().strip()}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert [node["status"] for node in json.load(answer)["items"]] == ["OFFLINE"]
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=20)
        assert (rest, process.returncode) == ("stopped\n", 0)
    finally:
        process.kill()
        process.wait()


def test_a_cloud_that_cannot_be_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--fault", "machine_down@prod9"]) == 2
    assert "there is no cloud here (--cloud)" in capsys.readouterr().err


def test_an_image_is_named_by_its_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--git-sha", GIT_SHA, "--build-time", BUILD_TIME, "--checkout", str(ROOT)]
    assert main(["push", str(tmp_path), *arguments]) == 0
    digest = capsys.readouterr().out.strip()
    registry = Registry(tmp_path)
    assert registry.push(git_sha=GIT_SHA, build_time=BUILD_TIME) == digest
    assert registry.push(git_sha=GIT_SHA, build_time=BUILD_TIME, version="9.9.9") != digest
    assert registry.pull(f"host.invalid/name@{digest}") == tmp_path / digest.removeprefix("sha256:")
    assert registry.pull("host.invalid/name:latest") is None
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_checkout_without_the_app_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--git-sha", GIT_SHA, "--build-time", BUILD_TIME, "--checkout", str(tmp_path / "empty")]
    assert main(["push", str(tmp_path / "registry"), *arguments]) == 2
    assert "no enclave app at" in capsys.readouterr().err
