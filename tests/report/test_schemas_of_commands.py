"""Whatever a command prints with --json has a published schema, and docs/schemas/README.md says which."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from command_parsers import subcommands
from published_schemas import schemas

README = (Path(__file__).resolve().parents[2] / "docs" / "schemas" / "README.md").read_text(encoding="utf-8")
LINKED = re.compile(r"\[([a-z.\d-]+)\]\(\1\.schema\.json\)")
ROWS = {
    command: LINKED.findall(cells)
    for command, cells in re.findall(r"^\| `twinproof ([a-z -]+)` \|(.*)\|$", README, re.MULTILINE)
}


@pytest.mark.parametrize(
    "command", [name for name, parser in subcommands().items() if "--json" in parser._option_string_actions]
)
def test_every_command_that_prints_json_has_a_published_schema(command: str) -> None:
    assert ROWS.get(command)
    assert set(ROWS[command]) <= schemas().keys()


def test_no_command_is_listed_that_prints_no_json() -> None:
    parsers = subcommands()
    assert all("--json" in parsers[command]._option_string_actions for command in ROWS)


def test_every_published_schema_is_listed() -> None:
    assert set(LINKED.findall(README)) == schemas().keys()
