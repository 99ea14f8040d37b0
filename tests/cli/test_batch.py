"""`verify --batch`: one line for every item, in order, whatever the items do, and the verdicts of `verify FILE`."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from published_schemas import errors, named
from small_instance import AT, Instance, devnet_collateral, edited, pki
from twinproof.cli.main import main
from twinproof.evidence.bundle import bundle_to_json
from twinproof.evidence.evidence import Evidence


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
    lines = [json.loads(line) for line in captured.out.splitlines()]
    for line in lines:
        assert list(errors(named(line), line)) == []
    return code, lines, captured.err


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


def test_lines_and_files_are_judged_alike(
    folder: Path, tmp_path: Path, root: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(name for name, text in bundles().items() if text)
    path = tmp_path / "all.jsonl"
    path.write_text("".join(line_of(bundles()[name]) + "\n" for name in names), encoding="utf-8")
    code, lines, _ = run(capsys, "--batch", str(path), *root)
    assert code == 3
    assert [line["item"] for line in lines] == [f"{path}:{number}" for number in range(1, len(names) + 1)]
    assert [line["exit_code"] for line in lines] == [int(name[0]) for name in names]


def test_a_malformed_line_in_the_middle_and_a_truncated_last_one_cost_only_themselves(
    tmp_path: Path, root: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    good = line_of(bundle_to_json(honest()))
    path = tmp_path / "all.jsonl"
    path.write_text("\n".join([good, "<html>", good, '{"schema": NaN}', good, good[:-1]]), encoding="utf-8")
    code, lines, _ = run(capsys, "--batch", str(path), *root)
    assert (code, [line["exit_code"] for line in lines]) == (3, [0, 3, 0, 3, 0, 3])
    assert [line.get("error") for line in lines] == [None, "Malformed"] * 3
    assert "HTML page" in lines[1]["hint"]


def test_the_same_evidence_twice_is_two_items(
    tmp_path: Path, root: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "all.jsonl"
    path.write_text((line_of(bundle_to_json(honest())) + "\n") * 2, encoding="utf-8")
    code, lines, _ = run(capsys, "--batch", str(path), *root)
    assert (code, [line["item"][-2:] for line in lines]) == (0, [":1", ":2"])


def test_a_huge_line_is_an_error_of_that_line(
    tmp_path: Path, root: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    good = line_of(bundle_to_json(honest())).encode()
    path = tmp_path / "all.jsonl"
    path.write_bytes(good + b"\n" + b" " * (17 << 20) + b"\n" + good)
    code, lines, _ = run(capsys, "--batch", str(path), *root)
    assert (code, [line["exit_code"] for line in lines]) == (3, [0, 3, 0])
    assert "line too long: got 17825792, expected at most 16777216 bytes" in lines[1]["message"]


def test_what_cannot_be_read_is_exit_5_of_that_item(
    folder: Path, root: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a").mkdir()
    (folder / "b").symlink_to(folder / "nowhere")
    (folder / "c").write_text(bundle_to_json(honest()), encoding="utf-8")
    code, lines, _ = run(capsys, "--batch", str(folder), *root)
    assert (code, [line["exit_code"] for line in lines]) == (5, [5, 5, 0])


@pytest.mark.parametrize(
    ("names", "worst"),
    [
        (["0-good", "4-old-answer"], 4),
        (["4-old-answer", "5-no-collateral", "0-good"], 5),
        (["5-no-collateral", "3-empty", "4-old-answer"], 3),
        (["0-good", "0-not-fresh"], 0),
    ],
)
def test_the_exit_code_is_the_worst_of_all(
    names: list[str], worst: int, folder: Path, root: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in names:
        (folder / name).write_text(bundles()[name], encoding="utf-8")
    assert run(capsys, "--batch", str(folder), *root)[0] == worst


def test_bare_quotes_are_judged_by_the_collateral_and_the_time_that_are_given(
    folder: Path, tmp_path: Path, root: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    quote = honest().quote
    assert quote is not None
    (folder / "binary").write_bytes(quote)
    (folder / "hex").write_text(quote.hex(), encoding="utf-8")
    (folder / "getquote.json").write_text(json.dumps({"quote": quote.hex(), "event_log": "[]"}), encoding="utf-8")
    right, wrong = tmp_path / "right.json", tmp_path / "wrong.json"
    right.write_text(json.dumps(devnet_collateral().to_json()), encoding="utf-8")
    wrong.write_text(json.dumps({**devnet_collateral().to_json(), "tcb_info": "{}"}), encoding="utf-8")
    arguments = ["--batch", str(folder), *root, "--at", str(AT)]
    code, lines, _ = run(capsys, *arguments, "--collateral", str(wrong), "--collateral", str(right))
    assert (code, [line["exit_code"] for line in lines]) == (3, [0, 3, 0])
    assert lines[0]["at"] == AT
    code, lines, _ = run(capsys, *arguments)
    assert (code, {line["error"] for line in lines}) == (5, {"Unavailable"})
    assert {line["hint"] for line in lines} == {"pass --collateral FILE: a batch fetches nothing"}


def test_people_get_one_line_each_below_what_every_report_says(
    folder: Path, root: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("0-good", "3-forged-quote", "4-old-answer", "5-no-collateral"):
        (folder / name).write_text(bundles()[name], encoding="utf-8")
    assert main(["verify", "--batch", str(folder), "--accept-tcb", "OutOfDate", *root]) == 3
    out = capsys.readouterr().out
    assert out.startswith("SIMULATED HARDWARE")
    assert "this says nothing about now" in out
    assert "weakened: TCB status OutOfDate is accepted" in out
    good, forged, old, missing = out.splitlines()[-4:]
    assert good == f"✓ pass  {folder / '0-good'}  GENUINE  UpToDate"
    assert forged.startswith(f"✗ FAIL  {folder / '3-forged-quote'}  NOT GENUINE  -  dcap.quote_signature: ")
    assert "GENUINE, BUT NOT WHAT WAS EXPECTED  UpToDate  policy.clock: " in old
    assert "NO VERDICT  -  Unavailable: " in missing
    assert "(hint: pass --collateral FILE" in missing


def test_names_of_files_cannot_write_to_the_terminal(
    folder: Path, root: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "\x1b[2Jname\n0").write_text("", encoding="utf-8")
    assert main(["verify", "--batch", str(folder), *root]) == 3
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "?[2Jname?0" in out.splitlines()[-1]


def test_a_bug_in_judging_one_item_is_exit_1_of_that_item(monkeypatch: pytest.MonkeyPatch, root: list[str]) -> None:
    from twinproof.cli import judge_items
    from twinproof.cli.main import build_parser
    from twinproof.cli.settings import read_settings
    from twinproof.cli.supplied import SuppliedCollateral
    from twinproof.sources.batch_input import Item

    def broken(_: object) -> bytes:
        raise ZeroDivisionError("broken")

    monkeypatch.delenv("TWINPROOF_DEBUG", raising=False)
    monkeypatch.setattr(judge_items, "bytes_of", broken)
    settings = read_settings(build_parser().parse_args(["verify", "--batch", "x", *root]))
    brief = judge_items.Brief(settings, SuppliedCollateral(), None, second_opinion=False, style=None)
    judged = judge_items.Judge(brief).judged(Item("x"))
    assert judged.exit_code == 1
    assert "bug: ZeroDivisionError: broken" in judged.line


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--batch", "x", "y"], "--batch and URL|FILE exclude each other"),
        (["--batch", "x", "--explain"], "--batch and --explain exclude each other"),
        (["--batch", "x", "--save", "y"], "--batch and --save exclude each other"),
        (["--batch", "x", "--ra-tls"], "--batch and --ra-tls exclude each other"),
        (["--batch", "x", "--ca-file", "y"], "--batch and --ca-file exclude each other"),
        (["--batch", "x", "--collateral-url", "http://y"], "--batch and --collateral-url exclude each other"),
        (["--batch", "x", "--jobs", "0"], "not a number of processes"),
        (["--batch", "x", "--jobs", "100000"], "not a number of processes"),
        (["--batch", "x", "--jobs", "two"], "invalid int"),
        (["--batch", "x", "--require", "luck"], "nothing of this name can be required"),
        (["--batch", "x", "--at", "noon"], "not a time"),
        (["--batch", "x", "--collateral", "/nonexistent"], "cannot be read"),
        (["--batch", "/nonexistent"], "cannot be read"),
        (["--batch", "/dev/null"], "nothing to verify"),
        (["--batch", ""], "cannot be read"),
        (["--jobs", "2", "x"], "--jobs is about --batch"),
    ],
)
def test_what_cannot_be_meant_is_exit_2(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", *arguments]) == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.out == ""


def test_an_empty_directory_proves_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--batch", str(folder)]) == 2
    assert "nothing to verify" in capsys.readouterr().err


def test_indented_bundles_one_after_another_are_not_lines(
    tmp_path: Path, root: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "all.jsonl"
    path.write_text(bundle_to_json(honest()) * 2, encoding="utf-8")
    assert main(["verify", "--batch", str(path), *root]) == 2
    captured = capsys.readouterr()
    assert "jq -c" in captured.err
    assert captured.out == ""
