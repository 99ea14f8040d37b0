"""`--html FILE`: written whole beside what is printed, and told to be impossible before anything is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from small_instance import AT, Instance, pki, twins
from twinproof.cli.main import main
from twinproof.evidence.bundle import bundle_to_json

UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two bundles and the flags to judge them by."""
    root = tmp_path / "root.pem"
    root.write_text(pki().root.pem, encoding="ascii")
    names = []
    for index, instance in enumerate(twins()):
        path = tmp_path / f"bundle-{index}.json"
        path.write_text(bundle_to_json(instance.evidence()), encoding="ascii")
        names.append(str(path))
    return [*names, "--trust-root", str(root), "--no-cache", "--timeout", "2"]


def test_a_comparison_writes_its_page_and_prints_what_it_always_prints(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "report.html"
    assert main(["compare", *files, "--html", str(page), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["outcome"] == "PROOF COMPLETE"
    assert captured.err == f"twinproof: wrote {page}\n"
    assert "<h1>PROOF COMPLETE</h1>" in page.read_text(encoding="utf-8")


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
