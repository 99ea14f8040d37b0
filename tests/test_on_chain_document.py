"""docs/ON-CHAIN.md shows what the commands print about an app whose past is known."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from told_app import COMPOSES, Told, publish, told_app
from twinproof.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = (ROOT / "docs" / "ON-CHAIN.md").read_text(encoding="utf-8")
VOLATILE = (
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"0x[0-9a-f]{5,39}(?:…|\.\.\.)", "0x..."),
    (r"transaction  0x[0-9a-f]{64}", "transaction  0xHASH"),
    (r"0x[0-9a-f]{40}(?![0-9a-f])", "0xADDRESS"),
    (r"\d+ at up to \d+ wei", "GAS at up to FEE wei"),
    (r"0\.\d+ ETH", "SOME ETH"),
    (r"DARK [0-9a-f]+", "DARK HASH"),
    (r"dark: [0-9a-f]{64}", "dark: HASH"),
    (r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}", "DATE TIME"),
)


def masked(text: str) -> str:
    for pattern, name in VOLATILE:
        text = re.sub(pattern, name, text)
    return " ".join(text.split())


@pytest.fixture(scope="module")
def told() -> Iterator[Told]:
    with told_app() as told:
        yield told


@pytest.mark.parametrize("command", ["history", "power"])
def test_the_example_is_what_the_command_prints(
    told: Told, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = publish(tmp_path / "releases")
    arguments = [command, "0x" + told.app.address.hex(), "--proof"]
    arguments += ["--published", str(folder)] if command == "history" else []
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main([*arguments, "--chain", told.chain.url, "--kms", "0x" + told.kms.address.hex()])
    assert code == (4 if command == "history" else 0)
    match = re.search(rf"```console\n\$ twinproof {command} [^\n]*\n(.*?)```", DOCUMENT, re.DOTALL)
    assert match
    assert masked(match[1]) == masked(printed.getvalue())


def test_the_examples_of_allowing_are_what_the_command_prints_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "app-compose.json").write_bytes(COMPOSES["1.3.0"])
    with told_app() as told:
        told.app.owner.write(tmp_path / "owner.key")
        command = ["chain", "allow", "0x" + told.app.address.hex(), "--app-compose", "app-compose.json"]
        for shown in re.findall(r"```console\n\$ twinproof chain allow [^\n]*\n(.*?)```", DOCUMENT, re.DOTALL):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                assert main([*command, "--key-file", "owner.key", "--chain", told.chain.url]) == 0
            assert masked(shown) == masked(printed.getvalue())
