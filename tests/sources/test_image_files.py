"""An image comes from a folder or an archive; anything an image has no use for is refused while it is read."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from small_image import archive, as_files, image
from twinproof.errors import Malformed, TwinproofError, UsageError
from twinproof.sources import image_files
from twinproof.sources.image_files import read_image

FILES = image()
ARCHIVE = archive(FILES)


def saved(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "image.tar.gz"
    path.write_bytes(data)
    return str(path)


def folder(tmp_path: Path) -> Path:
    path = tmp_path / "image"
    path.mkdir()
    for name, data in FILES.items():
        (path / name).write_bytes(data)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, "sha256sum.txt" if kind in {b"1", b"2"} else ""
    return info


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("top", ["", "./", "dstack-0.5.4/"])
def test_an_archive_of_any_format_holds_the_files(tmp_path: Path, tar_format: int, mode: str, top: str) -> None:
    folders = [member(top, tarfile.DIRTYPE)] if top else []
    data = archive(FILES, tar_format=tar_format, mode=mode, folder=top, members=folders)
    assert read_image(saved(tmp_path, data)) == as_files(FILES)


def test_a_folder_holds_the_listed_files_and_nothing_else(tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / "rootfs.img.verity").write_bytes(b"not listed")
    (path / "link").symlink_to("/etc/passwd")
    assert read_image(str(path)) == as_files(FILES)


def test_a_large_file_is_hashed_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "MAX_KEPT_BYTES", 60_000)
    read = read_image(saved(tmp_path, ARCHIVE))
    assert read["initramfs.cpio.gz"].content is None
    assert read["initramfs.cpio.gz"].sha384 == as_files(FILES)["initramfs.cpio.gz"].sha384
    assert read["bzImage"].content == FILES["bzImage"]


def test_no_more_than_so_much_is_kept_in_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "MAX_KEPT_TOTAL", 60_000)
    kept = [file.content for file in read_image(saved(tmp_path, ARCHIVE)).values() if file.content is not None]
    assert sum(map(len, kept)) <= 60_000


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        (member("link", tarfile.SYMTYPE), "a symbolic link"),
        (member("link", tarfile.LNKTYPE), "a hard link"),
        (member("null", tarfile.CHRTYPE), "a device"),
        (member("disk", tarfile.BLKTYPE), "a device"),
        (member("pipe", tarfile.FIFOTYPE), "a pipe"),
        (member("file", tarfile.CONTTYPE), "of type"),
        (member("../ovmf.fd"), "leads out"),
        (member("/etc/passwd"), "leads out"),
        (member("a/../ovmf.fd"), "leads out"),
        (member("a//ovmf.fd"), "leads out"),
        (member("a\\ovmf.fd"), "leads out"),
        (member("a\nb"), "leads out"),
        (member("././a"), "leads out"),
        (member(""), "leads out"),
        (member("."), "not the name"),
        (member("-rf"), "not the name"),
        (member(".hidden"), "not the name"),
        (member("caf\xe9"), "not ASCII"),
        (member("../x/", tarfile.DIRTYPE), "leads out"),
        (member("x/y/", tarfile.DIRTYPE), "no image has"),
        (member("other/file"), "more than one folder"),
        (member("a/b/file"), "more than one folder"),
        (member("ovmf.fd"), "stored twice"),
        (member("n" * 150), "a long name"),
        (member("a" * 120 + "/" + "b"), "a long name"),
    ],
)
def test_a_member_that_no_image_has_is_refused(tmp_path: Path, info: tarfile.TarInfo, reason: str) -> None:
    with pytest.raises(Malformed, match=reason) as caught:
        read_image(saved(tmp_path, archive(FILES, members=[info])))
    assert caught.value.where.startswith("archive member ")


@pytest.mark.parametrize("key", ["path", "size", "linkpath", "GNU.sparse.map", "hdrcharset"])
def test_an_extended_header_that_changes_the_next_member_is_refused(tmp_path: Path, key: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={key: "1"}) as tar:
        tar.addfile(member("ovmf.fd"))
    with pytest.raises(Malformed, match="extended header"):
        read_image(saved(tmp_path, buffer.getvalue()))


def test_an_extended_header_is_small(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "x" * 70_000}
    ) as tar:
        tar.addfile(member("ovmf.fd"))
    with pytest.raises(Malformed, match="extended header too large"):
        read_image(saved(tmp_path, buffer.getvalue()))


def test_an_archive_of_too_many_members_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="too many members"):
        read_image(saved(tmp_path, archive({f"f{number}": b"" for number in range(257)})))
    assert len(read_image(saved(tmp_path, archive({f"f{number}": b"" for number in range(256)})))) == 256


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = archive({"rootfs.img": bytes(256 << 20)})
    assert len(bomb) < 1 << 20
    with pytest.raises(Malformed, match="unpacks to too much"):
        read_image(saved(tmp_path, bomb))


def test_zeros_after_the_end_are_part_of_the_bomb(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="unpacks to too much"):
        read_image(saved(tmp_path, gzip.compress(archive({"a": b""}, mode="w") + bytes(256 << 20))))


def test_an_archive_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "MAX_ARCHIVE_BYTES", 100_000)
    with pytest.raises(Malformed, match="unpacks to too much"):
        read_image(saved(tmp_path, archive(FILES, mode="w")))


@pytest.mark.parametrize("cut", [1, 8, 600, len(ARCHIVE) // 2, len(ARCHIVE) - 30])
def test_a_cut_archive_is_told(tmp_path: Path, cut: int) -> None:
    with pytest.raises(Malformed, match=r"damaged|ends early"):
        read_image(saved(tmp_path, ARCHIVE[:-cut]))


def test_a_tar_that_is_cut_between_two_members_is_told(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="ends early"):
        read_image(saved(tmp_path, archive({"a": bytes(512)}, mode="w")[:1024]))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "ends early"),
        (b"\xfd7zXZ\x00" + bytes(1024), "packed with xz"),
        (b"PK\x03\x04" + bytes(1024), "packed with zip"),
        (b"\x28\xb5\x2f\xfd" + bytes(1024), "packed with zstd"),
        (b"<html>" + b" " * 1024, "not a tar header"),
        (gzip.compress(b"x" * 600), "not a tar header"),
        (b"\x1f\x8b\x08\x00garbage", "damaged"),
        (gzip.compress(archive({"a": b""}, mode="w")) + b"more", "after its end"),
        (gzip.compress(b"") * 2, "after its end"),
        (gzip.compress(archive({"a": b""}, mode="w"))[:-4] + bytes(4), "incorrect length"),
        (bytes(512) + b"x" + bytes(511), "single block"),
        (archive({"a": b"x"}, mode="w") + b"x", "after the end"),
    ],
)
def test_what_is_no_tar_archive_is_malformed(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read_image(saved(tmp_path, data))


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (124, struct.pack(">Q", 1 << 63).ljust(12, b"\0"), "not an octal number"),
        (124, b"-0000000001\0", "not an octal number"),
        (124, b"77777777777\0", "ends early"),
        (148, b"0000000\0", "wrong checksum"),
        (257, b"pax", "not a tar header"),
        (515, b"x", "padding"),
    ],
)
def test_a_wrong_header_is_malformed(tmp_path: Path, at: int, value: bytes, reason: str) -> None:
    data = bytearray(archive({"a": b"xyz"}, mode="w"))
    data[at : at + len(value)] = value
    if at not in {148, 515}:
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
    with pytest.raises(Malformed, match=reason):
        read_image(saved(tmp_path, bytes(data)))


def test_a_folder_without_the_list_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="no such file") as caught:
        read_image(str(tmp_path))
    assert "folder of an OS image" in caught.value.hint


@pytest.mark.parametrize("name", ["sha256sum.txt", "bzImage"])
def test_links_in_a_folder_are_not_followed(tmp_path: Path, name: str) -> None:
    path = folder(tmp_path)
    (path / name).rename(tmp_path / "elsewhere")
    (path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Malformed, match="not a regular file"):
        read_image(str(path))


@pytest.mark.parametrize("name", ["sha256sum.txt", "bzImage"])
def test_pipes_and_folders_in_a_folder_are_refused_at_once(tmp_path: Path, name: str) -> None:
    path = folder(tmp_path)
    (path / name).unlink()
    os.mkfifo(path / name)
    with pytest.raises(Malformed, match="not a regular file"):
        read_image(str(path))
    (path / name).unlink()
    (path / name).mkdir()
    with pytest.raises(Malformed, match="not a regular file"):
        read_image(str(path))


@pytest.mark.parametrize("name", ["/nonexistent", "/dev/zero", "nul\0l", ""])
def test_what_cannot_be_opened_is_the_users_to_mend(name: str) -> None:
    with pytest.raises(UsageError, match="image "):
        read_image(name)


def test_progress_ends_at_the_end(tmp_path: Path) -> None:
    for name in (saved(tmp_path, ARCHIVE), str(folder(tmp_path))):
        seen: list[tuple[int, int]] = []
        read_image(name, lambda done, total, seen=seen: seen.append((done, total)))  # type: ignore[misc]
        assert seen == sorted(seen)
        assert seen[-1][0] == seen[-1][1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=6), st.booleans())
def test_a_mutated_archive_is_read_or_malformed(tmp_path: Path, changes: list[tuple[int, int]], packed: bool) -> None:
    data = bytearray(ARCHIVE if packed else archive(FILES, mode="w"))
    for at, value in changes:
        data[at % len(data)] = value
        if not packed:
            data[at % 4 * 512 + at // 4 % 512] = value
    with suppress(TwinproofError):
        read_image(saved(tmp_path, bytes(data)))
