"""A file is there with all of its content, or not at all."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from twinproof.sources.disk import PRIVATE, make_private_directory, write_new, write_over


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_over(path, b"old")

    def full(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    for write in (write_over, write_new):
        with pytest.raises(OSError, match="disk full"):
            write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "file"
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    write_new(path, b"old")
    for taken in (path, tmp_path / "link"):
        with pytest.raises(FileExistsError):
            write_new(taken, b"new")
    assert path.read_bytes() == b"old"
    assert not (tmp_path / "nowhere").exists()


def test_of_many_writers_one_wins_whole(tmp_path: Path) -> None:
    path, won = tmp_path / "file", []

    def write(content: bytes) -> None:
        try:
            write_new(path, content)
        except FileExistsError:
            return
        won.append(content)

    threads = [threading.Thread(target=write, args=(bytes([n]) * 100_000,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes()] == won
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", cannot)
    write_new(tmp_path / "file", b"content")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "file", b"other")
    assert (tmp_path / "file").read_bytes() == b"content"


def test_the_users_umask_is_respected_and_private_is_private(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_new(tmp_path / "public", b"")
        write_over(tmp_path / "private", b"", PRIVATE)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "public").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600


def test_a_name_as_long_as_names_may_be_can_be_written(tmp_path: Path) -> None:
    write_new(tmp_path / ("x" * 255), b"content")


def test_a_private_directory_may_be_there_already(tmp_path: Path) -> None:
    make_private_directory(tmp_path)
    make_private_directory(tmp_path / "a" / "b")
    make_private_directory(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
