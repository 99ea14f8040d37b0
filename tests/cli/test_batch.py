"""`verify --batch`: one line for every item, in order, whatever the items do, and the verdicts of `verify FILE`."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from small_instance import AT, Instance, edited, pki
from twinproof.cli.main import main
from twinproof.evidence.bundle import bundle_to_json
from twinproof.evidence.evidence import Evidence

PATIENCE = 60  # seconds for what takes less than one


@cache
def honest() -> Evidence:
    return Instance().evidence()


@cache
def bundles() -> dict[str, str]:
    """One bundle per way of being judged: the name is the exit code and the reason."""
    good = honest()
    assert good.quote is not None
    forged = bytearray(good.quote)
    forged[200] ^= 1
    evidence = {
        "0-good": good,
        "0-other-machine": Instance("prod7", 1).evidence(),
        "0-not-fresh": edited(good, challenge=None),
        "3-forged-quote": edited(good, quote=bytes(forged)),
        "3-forged-log": edited(good, event_log="[]"),
        "3-stale": edited(good, fetched_at=AT + 200 * 86400),
        "4-old-answer": Instance(said={"issued_at": AT - 3600}).evidence(),
        "5-no-collateral": edited(good, collateral=None),
    }
    return {
        **{name: bundle_to_json(item) for name, item in evidence.items()},
        "3-truncated": bundle_to_json(good)[:-100],
        "3-member-twice": bundle_to_json(good).replace('"schema"', '"source": "x", "schema"', 1),
        "3-empty": "",
        "3-other-json": "{}",
    }


def line_of(text: str) -> str:
    """A bundle on one line, byte for byte otherwise."""
    return text.replace("\n", "")


@pytest.fixture
def root(tmp_path: Path) -> list[str]:
    path = tmp_path / "root.pem"
    path.write_bytes(pki().root.der)
    return ["--trust-root", str(path)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    directory = tmp_path / "evidence"
    directory.mkdir()
    return directory


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    code = main(["verify", "--json", "--jobs", "2", *arguments])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, [json.loads(line) for line in captured.out.splitlines()], captured.err


def test_every_item_of_a_directory_has_its_own_exit_code_in_order(
    folder: Path, root: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in bundles().items():
        (folder / name).write_text(text, encoding="utf-8")
    code, lines, summary = run(capsys, "--batch", str(folder), *root)
    assert code == 3
    assert [line["item"] for line in lines] == [str(folder / name) for name in sorted(bundles())]
    assert [line["exit_code"] for line in lines] == [int(name[0]) for name in sorted(bundles())]
    assert "12 in " in summary
    assert "3 accepted (exit 0), 7 not genuine or malformed (exit 3), 1 not as expected (exit 4)" in summary


def test_the_verdict_is_that_of_verify_for_the_same_file(
    folder: Path, root: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    judged = {name: text for name, text in bundles().items() if name not in {"5-no-collateral", "3-empty"}}
    for name, text in judged.items():
        (folder / name).write_text(text, encoding="utf-8")
    _, lines, _ = run(capsys, "--batch", str(folder), *root)
    for line, name in zip(lines, sorted(judged), strict=True):
        assert main(["verify", str(folder / name), "--json", *root]) == line.pop("exit_code")
        captured = capsys.readouterr()
        line.pop("item")
        if captured.out:
            assert line == json.loads(captured.out)
        else:
            assert line["message"] in captured.err
