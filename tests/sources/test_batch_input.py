"""What a batch reads: lines however they are cut, names in order, and nothing held that is not needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import Malformed, Unavailable, UsageError
from twinproof.sources import batch_input
from twinproof.sources.batch_input import Item, bytes_of, items_of_lines, open_batch


def lines(*blocks: bytes, waits: bool = True) -> Iterator[Item | None]:
    left = iter((*blocks, b""))
    return items_of_lines(lambda: next(left), lambda: not waits, "x")


def items(name: str) -> list[Item]:
    with open_batch(name) as batch:
        return [item for chunk in batch.chunks if chunk is not None for item in chunk.items]


@given(st.lists(st.binary(min_size=1, max_size=4).map(lambda data: data.replace(b"[", b"!").replace(b"{", b"!"))))
def test_lines_are_the_same_however_they_are_cut(blocks: list[bytes]) -> None:
    expected = [
        Item(f"x:{number}", line) for number, line in enumerate(b"".join(blocks).split(b"\n"), 1) if line.strip()
    ]
    if expected:
        assert list(lines(*blocks)) == expected
    else:
        with pytest.raises(UsageError, match="nothing to verify"):
            list(lines(*blocks))


def test_a_last_line_without_its_end_is_a_line() -> None:
    assert [item and item.data for item in lines(b"one\ntw", b"o")] == [b"one", b"two"]


def test_empty_lines_are_left_out_and_still_counted() -> None:
    assert [item and item.name for item in lines(b"\n\r\none\n  \ntwo")] == ["x:3", "x:5"]


def test_a_line_that_is_too_long_is_an_error_of_that_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_input, "MAX_BUNDLE_BYTES", 5)
    long, short = lines(b"123", b"456", b"789\n", b"12345\n")
    assert long is not None
    assert short == Item("x:2", b"12345")
    with pytest.raises(Malformed, match="x:1: line too long: got 9, expected at most 5"):
        bytes_of(long)


def test_of_a_line_that_is_too_long_nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_input, "MAX_BUNDLE_BYTES", 5)
    line = batch_input._Line()
    for _ in range(1000):
        line.append(b"123")
    assert line._parts == []


def test_where_nothing_waits_to_be_read_it_is_said() -> None:
    assert [item and item.data for item in lines(b"1\n2", b"\n", waits=False)] == [None, b"1", None, b"2", None]


@pytest.mark.parametrize("first", [b"{\n", b" [ \r\n"])
def test_indented_json_is_a_mistake_of_the_command(first: bytes) -> None:
    with pytest.raises(UsageError, match="indented JSON") as error:
        list(lines(first, b"1\n"))
    assert "jq -c" in error.value.hint


def test_files_come_in_the_order_of_their_names_without_hidden_ones(tmp_path: Path) -> None:
    names = [f"{number:03}" for number in range(100)]
    for name in reversed([*names, ".hidden"]):
        (tmp_path / name).write_bytes(name.encode())
    assert [(item.name, bytes_of(item)) for item in items(str(tmp_path))] == [
        (str(tmp_path / name), name.encode()) for name in names
    ]


def test_chunks_grow_so_that_a_few_items_keep_every_worker_busy(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"1\n" * 1000)
    with open_batch(str(path)) as batch:
        sizes = [len(chunk.items) for chunk in batch.chunks if chunk is not None]
        assert batch.fraction() == 1
    assert sizes[:7] == [1] * 7
    assert sizes == sorted(sizes[:-1]) + sizes[-1:]
    assert max(sizes) == batch_input.MAX_ITEMS


def test_a_chunk_is_cut_by_its_size_too(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes((b"1" * batch_input.MAX_CHUNK_BYTES + b"\n") * 40)
    with open_batch(str(path)) as batch:
        assert [chunk.size for chunk in batch.chunks if chunk is not None] == [batch_input.MAX_CHUNK_BYTES] * 40


def test_a_file_that_cannot_be_read_is_an_error_of_that_item(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    found = items(str(tmp_path))
    for item, reason in zip(found, ("not a file", "not a file", "No such file"), strict=True):
        with pytest.raises(Unavailable, match=reason):
            bytes_of(item)


def test_a_file_that_is_too_large_is_an_error_of_that_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_input, "MAX_EVIDENCE_BYTES", 3)
    (tmp_path / "file").write_bytes(b"1234")
    (item,) = items(str(tmp_path))
    with pytest.raises(Unavailable, match="file too large"):
        bytes_of(item)


@pytest.mark.parametrize("name", ["missing", "no\0name"])
def test_an_input_that_cannot_be_read_is_a_usage_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        items(str(tmp_path / name))


def test_an_empty_directory_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / ".hidden").touch()
    with pytest.raises(UsageError, match="nothing to verify: no file in it"):
        items(str(tmp_path))
