"""`archive` and `audit` as a user runs them: nothing is lost; what was touched is named, and the rest is judged."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest

from published_schemas import described, errors
from small_files import root_file
from small_instance import AT, Instance, edited
from twinproof.cli.main import main
from twinproof.evidence.bundle import bundle_to_json
from twinproof.sources.archive.entry import FIRST, link
from twinproof.sources.archive.store import Archive
from twinproof.sources.engine import Engine

COUNT = 70  # more than two chunks


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `root.pem`, `bundles/` and `archive/`; nobody writes into it."""
    folder = tmp_path_factory.mktemp("made")
    root_file(folder)
    (folder / "bundles").mkdir()
    evidence = Instance().evidence()
    for number in range(COUNT):
        text = bundle_to_json(edited(evidence, source=f"https://prod9-{number}.example", challenge=None))
        (folder / "bundles" / f"{number:03}.json").write_text(text, encoding="ascii")
    assert main(["archive", "add", str(folder / "archive"), str(folder / "bundles"), *root(folder)]) == 0
    return folder


@pytest.fixture
def archive(made: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    target = tmp_path / "archive"
    for path in (made / "archive").rglob("*"):
        copy = target / path.relative_to(made / "archive")
        if path.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return target


def root(made: Path) -> list[str]:
    return ["--trust-root", str(made / "root.pem")]


def audit(archive: Path, made: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["audit", str(archive), *root(made), "--jobs", "2", "--json", *flags])
    document = json.loads(capsys.readouterr().out)
    assert list(errors("audit.v1", document)) == []
    return code, document


def spoil(archive: Path, statement: str) -> None:
    with closing(sqlite3.connect(archive / "index.sqlite", isolation_level=None)) as database:
        database.execute(statement)


def test_an_untouched_archive_holds(archive: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = audit(archive, made, capsys)
    assert (code, document["counts"]) == (0, {"holds": COUNT})
    assert document["versions"] == {"1.2.0": {"first": AT, "last": AT, "count": COUNT}}
    assert document["simulated_hardware"] is True


def test_evidence_that_was_never_accepted_holds_as_that_and_not_as_a_proof(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(bundle_to_json(edited(Instance().evidence(), app_compose="{}")), encoding="ascii")
    assert main(["archive", "add", str(tmp_path / "kept"), str(bad), *root(made)]) == 0
    capsys.readouterr()
    assert main(["audit", str(tmp_path / "kept"), "--jobs", "1", *root(made)]) == 0
    out = capsys.readouterr().out
    assert "EVERY ENTRY IS JUDGED AS BEFORE, 1 OF THEM NOT ACCEPTED" in out
    assert "EVERY ENTRY HOLDS" not in out


def test_the_text_says_so_too(archive: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(archive), *root(made), "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("SIMULATED HARDWARE: ")
    assert "EVERY ENTRY HOLDS" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("statement", "number"),
    [
        ("UPDATE entries SET rest = x'00' WHERE number = 40", 40),
        ("UPDATE entries SET rest = substr(rest, 1, 500) WHERE number = 40", 40),
        ("UPDATE entries SET rest = (SELECT rest FROM entries WHERE number = 41) WHERE number = 40", 40),
        ("UPDATE entries SET added_at = 0 WHERE number = 40", 40),
        ("UPDATE entries SET at = 0 WHERE number = 40", 40),
        ("UPDATE entries SET summary = replace(summary, '\"exit_code\":0', '\"exit_code\":3') WHERE number = 40", 40),
        ("DELETE FROM entries WHERE number = 40", 41),
    ],
)
def test_what_was_touched_is_named_and_the_rest_is_judged(
    archive: Path, made: Path, capsys: pytest.CaptureFixture[str], statement: str, number: int
) -> None:
    spoil(archive, statement)
    code, document = audit(archive, made, capsys)
    assert code == 3
    assert [item["number"] for item in document["broken"]] == [number]
    assert document["counts"]["holds"] == COUNT - 1 - statement.startswith("DELETE")


def pages(archive: Path) -> tuple[int, dict[str, int]]:
    """How many pages the index has, and where its table and its own indexes begin."""
    with closing(sqlite3.connect(archive / "index.sqlite", isolation_level=None)) as database:
        (count,) = database.execute("PRAGMA page_count").fetchone()
        return int(count), dict(database.execute("SELECT name, rootpage FROM sqlite_schema").fetchall())


def overwritten(archive: Path, page: int) -> None:
    with (archive / "index.sqlite").open("r+b") as index:
        index.seek(4096 * (page - 1))
        index.write(b"\xff" * 4096)


def last_row_page(archive: Path) -> int:
    """A page of the table that holds nothing but a part of one entry's text."""
    return pages(archive)[0]


@pytest.mark.parametrize("left", [0.3, 0.6, 0.9])
def test_of_an_index_that_was_cut_short_the_rest_is_judged(
    archive: Path, made: Path, capsys: pytest.CaptureFixture[str], left: float
) -> None:
    index = archive / "index.sqlite"
    index.write_bytes(index.read_bytes()[: int(pages(archive)[0] * left) * 4096])
    code, document = audit(archive, made, capsys)
    assert code == 3
    broken = [item["number"] for item in document["broken"]]
    holds = document["counts"]["holds"]
    assert holds > COUNT * left / 2
    assert set(range(holds + 1, COUNT + 1)) <= set(broken)
    assert len(broken) + holds in (COUNT, COUNT + 1)
    assert {item["what"].partition(":")[0] for item in document["broken"]} == {
        "the index was damaged here, or cut short"
    }


def test_one_damaged_page_of_the_index_costs_the_entries_on_it_and_no_other(
    archive: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overwritten(archive, last_row_page(archive))
    code, document = audit(archive, made, capsys)
    assert code == 3
    assert len(document["broken"]) == 1
    assert document["counts"] == {"holds": COUNT - 1, "broken": 1}


@pytest.mark.parametrize("name", ["entries", "by_time", "by_version", "by_device"])
def test_an_index_that_lost_a_root_is_never_told_as_whole_or_as_a_bug(
    archive: Path, made: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    overwritten(archive, pages(archive)[1][name])
    capsys.readouterr()
    audited = main(["audit", str(archive), *root(made), "--jobs", "1"])
    assert (audited == 3) is (name == "entries")  # all that an audit reads is in the table
    assert main(["archive", "list", str(archive)]) in (0, 3)
    assert "bug" not in capsys.readouterr().err


def test_of_an_index_that_was_cut_short_all_that_can_be_read_is_exported(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = archive / "index.sqlite"
    index.write_bytes(index.read_bytes()[: int(pages(archive)[0] * 0.6) * 4096])
    capsys.readouterr()
    assert main(["archive", "export", str(archive), "--to", str(tmp_path / "out"), "--json"]) == 3
    captured = capsys.readouterr()
    written = [json.loads(line)["number"] for line in captured.out.splitlines()]
    assert len(written) > COUNT * 0.3
    assert written == list(range(1, len(written) + 1))
    assert f"entry {len(written) + 1}: " in captured.err


def test_removing_the_newest_entries_is_seen_by_whoever_noted_the_head(
    archive: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["archive", "list", str(archive)]) == 0
    head = capsys.readouterr().err.split()[-1]
    assert audit(archive, made, capsys, "--head", head)[1]["head_found"] is True
    spoil(archive, f"DELETE FROM entries WHERE number > {COUNT - 5}")
    assert audit(archive, made, capsys)[0] == 0
    code, document = audit(archive, made, capsys, "--head", head)
    assert (code, document["head_found"]) == (3, False)


@pytest.mark.parametrize("head", ["", "xyz", "ab" * 31, "ab" * 33, "0x" + "ab" * 32])
def test_a_mistyped_head_is_not_told_as_removed_entries(
    archive: Path, made: Path, capsys: pytest.CaptureFixture[str], head: str
) -> None:
    capsys.readouterr()
    assert main(["audit", str(archive), *root(made), "--head", head]) == 2
    captured = capsys.readouterr()
    assert "expected 64 hex digits" in captured.err
    assert captured.out == ""


def noted_head(archive: Path) -> str:
    with Archive(str(archive)) as opened:
        return opened.head


def chained_anew(archive: Path) -> None:
    """What whoever can write the folder can do: every link made again, from the first entry to the last."""
    with closing(sqlite3.connect(archive / "index.sqlite", isolation_level=None)) as database:
        previous = FIRST
        query = "SELECT number, added_at, source, digest, summary FROM entries ORDER BY number"
        for row in database.execute(query).fetchall():
            made = link((*row, previous))
            database.execute("UPDATE entries SET previous = ?, hash = ? WHERE number = ?", (previous, made, row[0]))
            previous = made


BACK_DATED = "UPDATE entries SET added_at = added_at - 86400 WHERE number = 40"
PUT_IN = """\
INSERT INTO entries SELECT 41, added_at - 86400, 'https://put-in.example', 'x', summary, hash, hash, rest, places,
at, version, device_id, exit_code FROM entries WHERE number = 40"""
INSERTED = (
    "UPDATE entries SET number = -number WHERE number > 40",
    "UPDATE entries SET number = 1 - number WHERE number < 0",
    PUT_IN,
)
SWAPPED = (
    "UPDATE entries SET number = -1 WHERE number = 40",
    "UPDATE entries SET number = 40 WHERE number = 41",
    "UPDATE entries SET number = 41 WHERE number = -1",
)


@pytest.mark.parametrize("statements", [(BACK_DATED,), INSERTED, SWAPPED], ids=["back-dated", "put in", "swapped"])
def test_an_entry_at_another_time_or_place_breaks_the_chain(
    statements: tuple[str, ...], archive: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for statement in statements:
        spoil(archive, statement)
    code, document = audit(archive, made, capsys)
    assert code == 3
    assert {40, 41} & {item["number"] for item in document["broken"]}


def test_an_archive_that_was_written_anew_is_seen_by_whoever_noted_the_head_and_by_nobody_else(
    archive: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = noted_head(archive)
    spoil(archive, BACK_DATED)
    chained_anew(archive)
    assert audit(archive, made, capsys)[0] == 0  # the chain alone says nothing about when
    assert audit(archive, made, capsys, "--head", noted_head(archive))[0] == 0
    code, document = audit(archive, made, capsys, "--head", head)
    assert (code, document["head_found"]) == (3, False)


def test_a_head_that_was_noted_early_pins_what_was_there_then(
    archive: Path, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Archive(str(archive)) as opened:
        early = [entry.hash for entry in opened.entries()][29]
    assert audit(archive, made, capsys, "--head", early)[0] == 0
    spoil(archive, "UPDATE entries SET added_at = added_at - 86400 WHERE number = 20")
    chained_anew(archive)
    assert audit(archive, made, capsys, "--head", early)[0] == 3


@pytest.mark.parametrize(
    "attack",
    [
        f"DELETE FROM entries WHERE number > {COUNT - 5}",
        BACK_DATED,
        "DELETE FROM entries WHERE number = 40",
        "UPDATE entries SET rest = x'00' WHERE number = 40",
        "UPDATE entries SET rest = (SELECT rest FROM entries WHERE number = 41) WHERE number = 40",
    ],
    ids=["the newest removed", "back-dated", "one removed", "a bundle spoiled", "another bundle in its place"],
)
def test_a_journal_vouches_for_no_entry_that_the_archive_lost_since(
    attack: str, archive: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--journal", str(tmp_path / "journal"), "--head", noted_head(archive))
    assert audit(archive, made, capsys, *flags)[0] == 0
    assert audit(archive, made, capsys, *flags)[0] == 0
    spoil(archive, attack)
    code, document = audit(archive, made, capsys, *flags)
    assert code == 3
    assert document["broken"]
    assert "since the journal was written" in document["broken"][0]["what"]


def test_a_journal_does_not_hide_what_the_index_was_made_to_say_since(
    archive: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--journal", str(tmp_path / "journal"))
    assert audit(archive, made, capsys, *flags)[0] == 0
    spoil(archive, "UPDATE entries SET version = '9.9.9' WHERE number = 40")
    code, document = audit(archive, made, capsys, *flags)
    assert (code, [item["number"] for item in document["broken"]]) == (3, [40])
    assert "the index says something else" in document["broken"][0]["what"]


def test_a_journal_of_another_version_of_this_tool_is_refused(
    archive: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an older version took for genuine, this one may not."""
    command = ["audit", str(archive), "--jobs", "1", "--journal", str(tmp_path / "journal"), *root(made)]
    assert main(command) == 0
    monkeypatch.setattr("twinproof.cli.audit.__version__", "99.0.0")
    assert main(command) == 2


def test_a_verdict_that_changed_is_reported(archive: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = archive.parent / "policy.toml"
    policy.write_text('[policy]\nversion = "9.9.9"\n', encoding="ascii")
    code, document = audit(archive, made, capsys, "--policy", str(policy))
    assert (code, document["counts"]) == (4, {"changed": COUNT})
    assert "policy.version" in document["changed"][0]["what"]
    assert main(["audit", str(archive), "--jobs", "1"]) == 3  # under Intel's root none of it is genuine


def test_an_interrupted_audit_goes_on_and_counts_nothing_twice(
    archive: Path, made: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    flags = ("--journal", str(journal))
    assert audit(archive, made, capsys, *flags)[1]["counts"] == {"holds": COUNT}
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    assert len(lines) == COUNT + 1
    before = "".join(lines[:30]).replace('"version": "1.2.0"', '"version": "0.9.0"')  # told by the journal alone
    journal.write_text(before + lines[30][:17], encoding="utf-8")
    document = audit(archive, made, capsys, *flags)[1]
    assert document["counts"] == {"holds": COUNT}
    assert [document["versions"][name]["count"] for name in ("0.9.0", "1.2.0")] == [29, COUNT - 29]
    assert len(journal.read_text(encoding="utf-8").splitlines()) == COUNT + 1


def test_a_journal_of_another_audit_is_refused(archive: Path, made: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    command = ["audit", str(archive), "--jobs", "1", "--journal", str(journal)]
    assert main([*command, *root(made)]) == 0
    assert main(command) == 2


def test_times_and_versions_without_a_proof_are_reported(
    archive: Path, made: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    later = tmp_path / "later.json"
    later.write_text(bundle_to_json(Instance().evidence(at=AT + 7200)), encoding="ascii")
    assert main(["archive", "add", str(archive), str(later), *root(made)]) == 0
    assert audit(archive, made, capsys, "--max-gap", "7200")[0] == 0
    code, document = audit(archive, made, capsys, "--max-gap", "3600")
    assert (code, document["gaps"]) == (4, [{"from": AT, "to": AT + 7200}])


def test_a_file_that_is_no_evidence_costs_no_other_its_place(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "bundles"
    folder.mkdir()
    (folder / "1.json").write_text("{", encoding="ascii")
    (folder / "2.json").write_text(bundle_to_json(Instance().evidence()), encoding="ascii")
    (folder / "3.json").write_text(bundle_to_json(edited(Instance().evidence(), collateral=None)), encoding="ascii")
    assert main(["archive", "add", str(tmp_path / "new"), str(folder), *root(made)]) == 3
    captured = capsys.readouterr()
    assert captured.out == "1  added, accepted\n"
    assert captured.err.count("not added") == 2


def test_what_is_kept_though_it_was_not_accepted_says_so(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, archive = str(made / "bundles" / "000.json"), str(tmp_path / "new")
    assert main(["archive", "add", archive, bundle]) == 0  # without the root that it hangs from
    assert main(["archive", "add", archive, bundle, "--json"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == "1  added, not genuine"
    line = described("archive-add.v1", second)
    assert (line["number"], line["new"], line["exit_code"]) == (1, False, 3)


def test_what_is_exported_is_what_was_added(
    archive: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out"
    assert main(["archive", "export", str(archive), "--to", str(target)]) == 0
    added = [path.read_bytes() for path in sorted((made / "bundles").iterdir())]
    assert [path.read_bytes() for path in sorted(target.iterdir())] == added
    capsys.readouterr()
    assert main(["archive", "export", str(archive), "3", "--to", str(tmp_path / "one"), "--json"]) == 0
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["000003.json"]
    assert described("archive-export.v1", capsys.readouterr().out)["file"] == str(tmp_path / "one" / "000003.json")


def test_an_export_names_what_it_cannot_take_out(archive: Path, tmp_path: Path) -> None:
    spoil(archive, "UPDATE entries SET rest = x'00' WHERE number = 2")
    assert main(["archive", "export", str(archive), "--to", str(tmp_path / "out")]) == 3
    assert len(list((tmp_path / "out").iterdir())) == COUNT - 1


def test_a_list_shows_the_newest_first(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["archive", "list", str(archive), "--limit", "2", "--json"]) == 0
    found = [described("archive-list.v1", line) for line in capsys.readouterr().out.splitlines()]
    assert [entry["number"] for entry in found] == [COUNT, COUNT - 1]
    assert found[0]["summary"]["version"] == "1.2.0"


def test_a_line_of_the_list_fits_80_columns_and_names_version_and_compose_hash(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Archive(str(archive)) as opened:
        (newest,) = opened.entries(newest=1)
    capsys.readouterr()
    assert main(["archive", "list", str(archive), "--limit", "2"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(f"accepted       prod9-{COUNT - 1}.example  1.2.0 {newest.judged.compose_hash[:12]}")
    assert max(len(first), len(second)) <= 80


@pytest.mark.parametrize("flags", [["--jobs", "0"], ["--scheduler", "tcp://127.0.0.1:1", "--jobs", "1"]])
def test_engines_that_cannot_be_are_refused(archive: Path, flags: list[str]) -> None:
    assert main(["audit", str(archive), *flags]) == 2


class Shuffling(Executor):
    """Work is done well, and the answers are given for each other's questions."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs)[::-1])
        return future


def test_workers_that_answer_about_other_entries_are_not_believed(
    made: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("twinproof.cli.audit.local", lambda _jobs: nullcontext(Engine(Shuffling(), 1)))
    assert main(["audit", str(archive), *root(made)]) == 5
    said = capsys.readouterr()
    assert "answered about another entry" in said.err
    assert said.out == ""
