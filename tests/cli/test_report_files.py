"""Reports as files: written whole beside what is printed, and told to be impossible before anything is asked."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from small_files import root_file, twin_files
from small_instance import AT, Instance
from twinproof.cli.main import main
from twinproof.report.vsa import pre_authentication

UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two bundles and the flags to judge them by."""
    return [*map(str, twin_files(tmp_path)), "--trust-root", str(root_file(tmp_path)), "--no-cache", "--timeout", "2"]


def test_a_comparison_writes_its_page_and_prints_what_it_always_prints(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "report.html"
    assert main(["compare", *files, "--html", str(page), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["outcome"] == "PROOF COMPLETE"
    assert captured.err == f"twinproof: wrote {page}\n"
    assert "<h1>PROOF COMPLETE, CHAIN NOT SHOWN</h1>" in page.read_text(encoding="utf-8")


def test_one_verdict_writes_its_page(files: list[str], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert main(["verify", files[0], *files[2:], "--html", str(page)]) == 0
    assert "<h1>GENUINE</h1>" in page.read_text(encoding="utf-8")


def test_a_refused_proof_writes_its_page_too(files: list[str], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert main(["compare", *files, "--expect", "version=9.9.9", "--html", str(page)]) == 4
    assert "NOT PROVED" in page.read_text(encoding="utf-8")


def test_an_older_page_is_replaced(files: list[str], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("an older page", encoding="ascii")
    assert main(["compare", *files, "--html", str(page)]) == 0
    assert "an older page" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["missing/report.html", "."])
def test_a_page_that_cannot_be_written_is_told_before_anything_is_asked(
    name: str, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", UNREACHABLE, *files[2:], "--html", str(tmp_path / name)]) == 2
    assert "--html" in capsys.readouterr().err


def test_a_batch_has_no_page(files: list[str], tmp_path: Path) -> None:
    assert main(["verify", "--batch", str(tmp_path), *files[2:], "--html", str(tmp_path / "x.html")]) == 2


def test_the_page_is_of_the_time_at_which_it_was_judged(files: list[str], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert main(["verify", files[0], *files[2:], "--at", str(AT + 5), "--html", str(page)]) == 0
    assert "judged at 2026-09-21 14:13:25 UTC" in page.read_text(encoding="utf-8")
    assert Instance().evidence().fetched_at == AT


def test_machine_formats_are_written_beside_the_text(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    junit, sarif = tmp_path / "junit.xml", tmp_path / "report.sarif"
    assert main(["compare", *files, "--junit", str(junit), "--sarif", str(sarif)]) == 0
    assert "PROOF COMPLETE" in capsys.readouterr().out
    assert junit.read_text(encoding="utf-8").startswith("<?xml")
    assert json.loads(sarif.read_text(encoding="utf-8"))["version"] == "2.1.0"


def test_format_json_is_json(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for flags in (["--json"], ["--format", "json"]):
        assert main(["compare", *files, *flags]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


def test_a_summary_is_printed_and_signed_with_the_key_that_was_named(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key.pem"
    private = generate_private_key(SECP256R1())
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert main(["compare", *files, "--format", "vsa"]) == 0
    statement = json.loads(capsys.readouterr().out)
    assert statement["predicate"]["verificationResult"] == "PASSED"
    assert main(["compare", *files, "--format", "vsa", "--sign-key", str(key)]) == 0
    envelope = json.loads(capsys.readouterr().out)
    payload = base64.b64decode(envelope["payload"])
    assert json.loads(payload) == statement
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    private.public_key().verify(signature, pre_authentication(payload), ECDSA(SHA256()))


@pytest.mark.parametrize(
    "flags",
    [["--json", "--format", "vsa"], ["--sign-key", "key.pem"], ["--format", "vsa", "--sign-key", "missing.pem"]],
)
def test_flags_that_make_no_sense_together_are_refused(flags: list[str], files: list[str]) -> None:
    assert main(["compare", *files, *flags]) == 2


def test_a_key_that_cannot_sign_is_refused_without_showing_it(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key.pem"
    key.write_text("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", encoding="ascii")
    assert main(["compare", *files, "--format", "vsa", "--sign-key", str(key)]) == 2
    assert "c2VjcmV0" not in capsys.readouterr().err
