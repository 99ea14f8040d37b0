"""The archive: what was acknowledged is there, byte for byte; what was touched is named; shared texts are kept once."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_files import new_entry, root_file
from small_instance import AT, Instance, verifier
from twinproof.errors import Malformed, UsageError
from twinproof.evidence.bundle import bundle_to_json, parse_bundle
from twinproof.sources.archive.entry import FIRST
from twinproof.sources.archive.pieces import Pieces, cut, join
from twinproof.sources.archive.store import Archive, New


def bundle(index: int = 0) -> New:
    evidence = Instance(index=index, said={"signup_count": index}).evidence(at=AT + index)
    return new_entry(evidence, verifier())


@pytest.fixture(scope="module")
def bundles() -> list[New]:
    return [bundle(index) for index in range(4)]


@pytest.fixture
def archive(tmp_path: Path, bundles: list[New]) -> Path:
    folder = tmp_path / "archive"
    with Archive(str(folder), write=True) as opened:
        assert list(opened.add(bundles, clock=lambda: AT)) == [(1, True), (2, True), (3, True), (4, True)]
    return folder


def test_what_was_added_comes_out_byte_for_byte(archive: Path, bundles: list[New]) -> None:
    with Archive(str(archive)) as opened:
        assert [opened.bundle(number) for number in range(1, 5)] == [item.text for item in bundles]


def test_the_same_bundle_is_kept_once(archive: Path, bundles: list[New]) -> None:
    with Archive(str(archive), write=True) as opened:
        head = opened.head
        assert list(opened.add([bundles[2]], clock=lambda: AT + 99)) == [(3, False)]
        assert (opened.head, len(opened)) == (head, 4)


def test_collateral_and_compose_files_that_bundles_share_are_kept_once(archive: Path) -> None:
    assert len([path for path in (archive / "objects").rglob("*") if path.is_file()]) == 2
    with closing(sqlite3.connect(archive / "index.sqlite", isolation_level=None)) as database:
        sizes = [row[0] for row in database.execute("SELECT length(rest) FROM entries")]
    assert max(sizes) < 8192


def test_entries_are_chained_from_the_first_to_the_head(archive: Path) -> None:
    previous = FIRST
    with Archive(str(archive)) as opened:
        for entry in opened.entries():
            assert entry.follows(previous)
            previous = entry.hash
        assert opened.head == previous


@pytest.mark.parametrize("column", ["added_at", "source", "digest", "summary"])
def test_an_entry_that_was_edited_breaks_the_chain(archive: Path, column: str) -> None:
    value = AT - 10**6 if column == "added_at" else "x"
    with closing(sqlite3.connect(archive / "index.sqlite", isolation_level=None)) as database:
        database.execute(f"UPDATE entries SET {column} = ? WHERE number = 2", (value,))
    with Archive(str(archive)) as opened:
        entries = list(opened.entries())
    follows = [
        entry.follows(before) for entry, before in zip(entries, [FIRST, *(e.hash for e in entries)], strict=False)
    ]
    assert follows == [True, False, True, True]


def test_an_entry_that_was_removed_breaks_the_chain_behind_it(archive: Path) -> None:
    with closing(sqlite3.connect(archive / "index.sqlite", isolation_level=None)) as database:
        database.execute("DELETE FROM entries WHERE number = 2")
    with Archive(str(archive)) as opened:
        first, third, fourth = opened.entries()
    assert (first.follows(FIRST), third.follows(first.hash), fourth.follows(third.hash)) == (True, False, True)


@pytest.mark.parametrize("damage", ["removed", "cut short", "edited", "empty", "another"])
def test_a_damaged_shared_text_is_missing_and_can_be_put_back(archive: Path, bundles: list[New], damage: str) -> None:
    first, second = sorted(path for path in (archive / "objects").rglob("*") if path.is_file())
    data = first.read_bytes()
    if damage == "removed":
        first.unlink()
    else:
        new = {
            "cut short": data[:-9],
            "edited": zlib.compress(zlib.decompress(data) + b" "),
            "empty": b"",
            "another": second.read_bytes(),
        }
        first.chmod(0o600)
        first.write_bytes(new[damage])
    with Archive(str(archive)) as opened, pytest.raises(Malformed, match="missing or was changed"):
        opened.bundle(1)
    with Archive(str(archive), write=True) as opened:
        list(opened.add([bundle(9)], clock=lambda: AT))
        assert opened.bundle(1) == bundles[0].text


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _bomb(path: Path) -> None:
    path.write_bytes(zlib.compress(bytes(100 << 20), 1))


@pytest.mark.parametrize("put", [_pipe, _endless, _bomb])
def test_what_never_ends_in_the_place_of_a_shared_text_is_not_read(
    archive: Path, bundles: list[New], put: Callable[[Path], None]
) -> None:
    for path in [item for item in (archive / "objects").rglob("*") if item.is_file()]:
        path.unlink()
        put(path)
    with Archive(str(archive)) as opened, pytest.raises(Malformed, match="missing or was changed"):
        opened.bundle(1)
    with Archive(str(archive), write=True) as opened:
        list(opened.add([bundle(99)], clock=lambda: AT))
        assert opened.bundle(1) == bundles[0].text


@pytest.mark.parametrize("number", [0, -1, 1 << 63, 1 << 200])
def test_a_number_that_no_entry_can_have_is_a_usage_error(archive: Path, number: int) -> None:
    with Archive(str(archive)) as opened, pytest.raises(UsageError, match="no such entry"):
        opened.bundle(number)


def test_a_row_cannot_have_a_file_outside_of_the_archive_read(archive: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "outside")
    with closing(sqlite3.connect(archive / "index.sqlite", isolation_level=None)) as database:
        database.execute("UPDATE entries SET places = ?", (json.dumps([[0, "../" * 20 + str(tmp_path / "outside")]]),))
    with Archive(str(archive)) as opened, pytest.raises(Malformed, match="missing or was changed"):
        opened.bundle(1)


@pytest.mark.parametrize("rest", [b"", b"\x00", zlib.compress(b"{}"), zlib.compress(b"x" * 10)[:-3]])
def test_a_damaged_entry_is_named(archive: Path, rest: bytes) -> None:
    with closing(sqlite3.connect(archive / "index.sqlite", isolation_level=None)) as database:
        database.execute("UPDATE entries SET rest = ? WHERE number = 3", (rest,))
    with Archive(str(archive)) as opened:
        with pytest.raises(Malformed, match=r"entry 3|objects/"):
            opened.bundle(3)
        assert parse_bundle(opened.bundle(4)).source


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\x00" + bytes(100)])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "index.sqlite").write_bytes(content)
    with pytest.raises(UsageError):
        Archive(str(tmp_path))


def test_reading_makes_no_archive(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no archive here"):
        Archive(str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_gaps_are_the_times_between_accepted_proofs(tmp_path: Path, bundles: list[New]) -> None:
    times = [100, 5000, 200, 5100, 9000]
    items = [
        New(b'{\n "n": %d\n}\n' % n, "x", replace(bundles[0].summary, at=at, exit_code=code))
        for n, (at, code) in enumerate(zip(times, [0, 0, 0, 0, 3], strict=True))
    ]
    with Archive(str(tmp_path / "a"), write=True) as opened:
        list(opened.add(items, clock=lambda: AT))
        assert list(opened.gaps(1000)) == [(200, 5000)]
        assert list(opened.gaps(5000)) == []


@given(
    st.dictionaries(
        st.sampled_from(["app_compose", "collateral", "quote", "a", "z"]),
        st.text() | st.dictionaries(st.text(), st.text()),
    )
)
def test_cutting_and_joining_is_the_identity(members: dict[str, object]) -> None:
    text = (json.dumps(members, indent=1, sort_keys=True) + "\n").encode()
    pieces, shared = cut(text)
    assert join(pieces, shared) == text
    assert len(pieces.places) == len({"app_compose", "collateral"} & members.keys())


@pytest.mark.parametrize("places", [((5, "aa"),), ((-1, "bb"),), ((3, "bb"), (2, "bb")), ((99, "bb"),)])
def test_places_that_are_none_are_refused(places: tuple[tuple[int, str], ...]) -> None:
    with pytest.raises(Malformed):
        join(Pieces(b"rest", places), {"bb": b"x"})


ADDING = """\
import sys
from twinproof.cli.main import main
sys.exit(main(["archive", "add", *sys.argv[1:]]))
"""


@pytest.mark.parametrize("acknowledged", [1, 300])
def test_a_process_that_is_killed_loses_nothing_that_it_acknowledged(tmp_path: Path, acknowledged: int) -> None:
    """Killed as soon as it has printed so many numbers, while it goes on adding."""
    files, folder, root = tmp_path / "bundles", tmp_path / "archive", root_file(tmp_path)
    files.mkdir()
    evidence = Instance().evidence()
    for number in range(400):
        text = bundle_to_json(evidence).replace('"source": "', f'"source": "{number}-')
        (files / f"{number:04}.json").write_text(text, encoding="ascii")
    command = [sys.executable, "-c", ADDING, str(folder), str(files), "--trust-root", str(root)]
    numbers = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            numbers.append(int(line.split()[0]))
            if len(numbers) == acknowledged:
                process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=60) == -signal.SIGKILL
    with Archive(str(folder)) as opened:
        assert len(opened) >= len(numbers) >= acknowledged
        previous = FIRST
        for entry in opened.entries():
            assert entry.follows(previous)
            assert parse_bundle(opened.bundle(entry.number)).source == entry.source
            previous = entry.hash
    again = subprocess.run([*command, "--json"], check=False, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    with Archive(str(folder)) as opened:
        assert len(opened) == 400
