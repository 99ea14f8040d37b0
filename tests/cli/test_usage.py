"""Bad input gets a clear error on stderr, the right exit code, and never a traceback."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import pytest

from twinproof.cli import main as cli
from twinproof.cli import options
from twinproof.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "required"),
        (["prove"], "invalid choice"),
        (["verify"], "required"),
        (["compare", "one"], "nothing to compare"),
        (["verify", "/nonexistent"], "cannot be read"),
        (["verify", "/"], "cannot be read"),
        (["verify", "ftp://host"], "not an http or https URL"),
        (["verify", "x", "--at", "yesterday"], "not a time"),
        (["verify", "x", "--at", "2026-02-30T00:00:00Z"], "not a time"),
        (["verify", "x", "--accept-tcb", "Revoked"], "not a TCB status that can be accepted"),
        (["verify", "x", "--accept-tcb", "Fine"], "not a TCB status that can be accepted"),
        (["verify", "x", "--allow", "everything"], "unknown rule"),
        (["verify", "x", "--require", "luck"], "nothing of this name can be required"),
        (["compare", "x", "y", "--require", "compare.luck"], "no such comparison"),
        (["verify", "x", "--config", "/nonexistent"], "cannot be read"),
        (["verify", "x", "--trust-root", "/nonexistent"], "cannot be read"),
        (["verify", "x", "--collateral-url", "nowhere"], "not an http or https URL"),
        (["verify", "x", "--timeout", "soon"], "invalid float"),
        (["verify", "x", "--timeout", "0"], "more than 0"),
        (["verify", "x", "--timeout", "nan"], "more than 0"),
        (["verify", "x", "--min-tcb-evaluation", "-1"], "not negative"),
        (["verify", "http://host", "--ra-tls"], "no TLS"),
        (["compare", "https://host", "HTTP://other:8080", "--ra-tls"], "no TLS"),
        (["inspect", "/nonexistent"], "cannot be read"),
    ],
)
def test_a_wrong_command_line_is_exit_2(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.out == ""
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not evidence of a known kind"),
        (b"<html>", "HTML page"),
        (b"{", "not JSON"),
        (b"{}", "no quote"),
        (b'{"quote": 1}', "wrong type"),
        (b'{"quote": "zz"}', "not hex text"),
        (b'{"quote": "00", "quote": "00"}', "duplicate JSON member"),
        (b'{"schema": "twinproof/evidence/v1"}', "missing member"),
        (b"\x04\x00" + bytes(2000), "is cut off"),
        (b"0x0400", "not the size of a quote"),
        (b"[1]", "not evidence of a known kind"),
        (b"\x00\x03", "not a TDX attestation"),
    ],
)
def test_malformed_evidence_is_exit_3_and_names_the_place(
    content: bytes, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evidence"
    path.write_bytes(content)
    assert main(["verify", str(path), "--no-cache", "--collateral-url", "http://127.0.0.1:9"]) == 3
    captured = capsys.readouterr()
    assert text in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("machines = 1", "not a JSON object"),
        ("[machines.prod9]\ncolour = 'red'", "unknown key"),
        ("[machines.prod9]\ndevice_id = 'zz'", "not hex text"),
        ("[machines.prod9]\ndevice_id = '00'", "wrong length"),
        ("[policies]", "unknown key"),
        ("= 1", "not a TOML file"),
        ("a = " + "9" * 5000, "not a TOML file"),
    ],
)
def test_a_configuration_with_a_mistake_is_exit_2(
    content: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "twinproof.toml"
    path.write_text(content, encoding="utf-8")
    assert main(["verify", "x", "--config", str(path)]) == 2
    assert text in capsys.readouterr().err


def test_a_bug_is_exit_1_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(_command: str) -> None:
        raise RuntimeError("broken")

    monkeypatch.delenv("TWINPROOF_DEBUG", raising=False)
    monkeypatch.setattr(cli, "build_parser", broken)
    assert main(["verify", "x"]) == 1
    assert "twinproof: bug: RuntimeError: broken" in capsys.readouterr().err


@pytest.mark.parametrize("command", sorted(options.COMMANDS))
def test_a_command_reads_its_flags_as_the_whole_command_line_does(command: str) -> None:
    def usage(parser: argparse.ArgumentParser) -> str:
        (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
        return str(commands.choices[command].format_help())

    assert usage(cli.build_parser(command)) == usage(cli.build_parser())


def test_an_interrupt_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_command: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "build_parser", interrupted)
    assert main(["verify", "x"]) == 130
    assert capsys.readouterr().err == "twinproof: interrupted\n"


def test_standard_input_can_be_the_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"<html>"))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert main(["inspect", "-"]) == 3
    assert "HTML page" in capsys.readouterr().err


def test_a_machine_without_a_url_is_not_taken_for_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "twinproof.toml"
    path.write_text("[machines.prod7]\n", encoding="utf-8")
    assert main(["verify", "prod7", "--config", str(path)]) == 2
    assert "[machines.prod7]: this machine has no url" in capsys.readouterr().err


def test_a_collateral_file_that_is_none_is_the_users_to_mend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "collateral.json"
    path.write_text("-----BEGIN", encoding="utf-8")
    assert main(["verify", "x", "--collateral", str(path)]) == 2
    assert f"--collateral {path}: not a collateral file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["verify", "."], "--batch DIR"),
        (["verify", "prod8"], "no machine of twinproof.toml"),
        (["devnet"], "twinproof devnet up --help"),
        (["watch", "a", "b", "--html", "x"], "twinproof watch --help"),
    ],
)
def test_a_typical_mistake_is_answered_with_what_to_do(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_an_app_compose_text_is_told_from_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "app-compose.json"
    path.write_text('{"docker_compose_file": ""}', encoding="utf-8")
    assert main(["verify", str(path)]) == 3
    assert "--app-compose" in capsys.readouterr().err
