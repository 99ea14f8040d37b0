"""`twinproof deployments import` and `render` as commands: nothing is taken over; our own table is what is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from historical_table import BLOCKS, TABLE
from published_schemas import described
from twinproof.cli.main import main
from twinproof_devnet.chain.devchain import DevChain

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "DEPLOYMENTS.md"
    path.write_text(TABLE)
    return path


def imported(path: Path, *flags: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The first mark of each row."""
    assert main(["deployments", "import", str(path), "--json", *flags]) == 4
    return [row["wrong"][0] for row in described("deployments-import.v1", capsys.readouterr().out)]


def test_each_of_the_twenty_rows_is_marked_by_what_the_chain_says(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The two block hashes are made real ones of a running chain."""
    chain = DevChain.start()
    try:
        chain.settle()
        blocks = [chain.ledger.block(number) for number in (1, 2)]
        for fake, block in zip(BLOCKS, blocks, strict=True):
            assert block is not None
            table.write_text(table.read_text().replace(fake.hex(), block.hash.hex()))
        marks = imported(table, "--chain", chain.url, capsys=capsys)
    finally:
        chain.close()
    assert sorted(mark for mark in marks if "of block" in mark) == [
        "not a transaction hash: it is the hash of block 1",
        "not a transaction hash: it is the hash of block 2",
    ]
    assert (len(marks), marks.count("no transaction: the row says 'pending'")) == (20, 17)
    assert sum("serialized signed transaction" in mark for mark in marks) == 1


def test_without_a_chain_it_says_what_was_not_looked_up(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sum("not looked up" in mark for mark in imported(table, capsys=capsys)) == 2


def test_the_text_names_line_version_and_machine(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deployments", "import", str(table)]) == 4
    out, err = capsys.readouterr()
    assert out.startswith(
        "line 5: 1.2.0 on prod7, 2026-01-10 12:00:00\n  -  not a transaction hash: the first 32 bytes"
    )
    assert err == "20 rows, none of them evidence of a deployment\n"


def test_a_cell_of_a_strangers_table_moves_no_cursor(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = "prod\x1b[2J\u202e##[error]7"
    table.write_text(table.read_text().replace("prod7", machine))
    assert main(["deployments", "import", str(table)]) == 4
    out = capsys.readouterr().out
    assert "another compose hash than" in out
    assert not {"\x1b", "\u202e"} & set(out)
    assert "##[" not in out


def test_a_file_without_such_a_table_is_malformed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file.md").write_bytes(b"\xff\xfe")
    assert main(["deployments", "import", str(tmp_path / "file.md")]) == 3
    (tmp_path / "file.md").write_text("# nothing\n")
    assert main(["deployments", "import", str(tmp_path / "file.md")]) == 3
    assert main(["deployments", "import", str(tmp_path / "missing.md")]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_this_repositorys_table_is_what_its_records_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deployments", "render", "--check", "--directory", str(ROOT)]) == 0
    assert capsys.readouterr().out == ""


def test_a_directory_without_records_is_not_one_whose_records_are_all_true(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deployments", "verify", "--directory", str(tmp_path)]) == 2
    assert "no deployment records here" in capsys.readouterr().err
