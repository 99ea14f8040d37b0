"""`twinproof devnet sigstore`: what it prints is enough to sign a summary with."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devnet_announcement import announced
from small_files import root_file, twin_files
from twinproof.cli.main import main


def test_a_summary_is_signed_by_the_flags_that_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "twinproof_devnet", "sigstore", "--directory", str(tmp_path / "a folder")]
    with subprocess.Popen([*command, "--email", "bob@example.com"], stdout=subprocess.PIPE, text=True) as process:
        try:
            said = announced(process)
            flags = shlex.split(next(line for line in said.splitlines() if line.startswith("--format")))
            files = [*map(str, twin_files(tmp_path)), "--trust-root", str(root_file(tmp_path)), "--no-cache"]
            assert main(["compare", *files, *flags]) == 0
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        assert process.stdout.read() == "stopped\n"
    out, err = capsys.readouterr()
    assert "signed by bob@example.com" in err
    assert json.loads(out)["dsseEnvelope"]["payloadType"] == "application/vnd.in-toto+json"
    assert said.startswith("SIMULATED: nothing here is signed by Sigstore")
    assert process.returncode == 0
    assert (tmp_path / "a folder" / "token").stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_is_an_error_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    command = [sys.executable, "-m", "twinproof_devnet", "sigstore", "--directory", str(tmp_path / "file" / "x")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
