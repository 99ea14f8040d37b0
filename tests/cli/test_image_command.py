"""`twinproof image`: what it prints is what the policy reads."""

from __future__ import annotations

import io
import sys
import tomllib
from pathlib import Path

import pytest

from published_schemas import described, schemas
from small_cbor import cbor
from small_image import archive, as_files, image, measurement_document
from twinproof.cli.image import QUIET_SECONDS, _Progress
from twinproof.cli.main import main
from twinproof.dstack.image_measurements import measure_image
from twinproof.dstack.os_image import KEYS, read_os_image
from twinproof.policy_file import read_policy
from twinproof.sources import image_files
from twinproof.wire import Fields

MEASURED = measure_image(as_files(image()))


@pytest.fixture
def tarball(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "dstack-0.5.4.tar.gz"
    path.write_bytes(archive({**image(), "rootfs.img.verity": b"root"}, folder="dstack-0.5.4/"))
    return str(path)


def test_the_entry_can_be_pasted_into_the_policy(tarball: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "measure", tarball]) == 0
    text = capsys.readouterr().out
    policy = read_policy(Fields(tomllib.loads(text), "x").child("policy"))
    assert policy.images == (MEASURED.image,)
    assert "# not in sha256sum.txt: rootfs.img.verity" in text
    assert f'"{MEASURED.mrtd_two_pass.hex()}", # all pages of a section added first (QEMU 8)' in text


def test_what_was_measured_is_listed(tarball: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["image", "measure", tarball])
    Path("twinproof.toml").write_text(capsys.readouterr().out, encoding="utf-8")
    assert main(["image", "list"]) == 0
    line = capsys.readouterr().out
    assert line == f"{MEASURED.os_image_hash.hex()}  0.5.4         production   2 mrtd, 2 rtmr1, 1 rtmr2\n"
    assert main(["image", "list", "--json", "--policy", "twinproof.toml"]) == 0
    listed = described("image-list.v1", capsys.readouterr().out)
    assert listed == [{"schema": "twinproof/image-list/v1", **MEASURED.image.to_json()}]


def test_a_folder_gives_the_same_entry_as_an_archive(
    tarball: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, data in image().items():
        (tmp_path / name).write_bytes(data)
    assert main(["image", "measure", "--json", tarball]) == main(["image", "measure", "--json", str(tmp_path)]) == 0
    first, second = (described("image-measure.v1", part + "}") for part in capsys.readouterr().out.split("\n}\n")[:2])
    assert first["image"] == second["image"] == MEASURED.image.to_json()
    assert read_os_image(Fields(first["image"], "image")) == MEASURED.image
    assert first["unlisted"] == ["rootfs.img.verity"]


def test_the_schemas_describe_the_members_of_a_policys_entry() -> None:
    image = schemas()["image-measure.v1"]["properties"]["image"]["properties"]
    listed = schemas()["image-list.v1"]["items"]["properties"]
    assert listed == {"schema": listed["schema"], **image}
    assert set(image) == set(KEYS)


def test_memory_sizes_are_measured_once_each(tarball: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "measure", tarball, "--memory", "1024", "--memory", "4096", "--memory", "1024"]) == 0
    text = capsys.readouterr().out
    assert text.count("# 1024 MiB of memory") == 1
    assert "4096 MiB" not in text


def test_development_images_and_equal_values_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, data in image({"is_dev": True}, listed={"measurement.tdx.cbor": measurement_document()}).items():
        Path(name).write_bytes(data)
    assert main(["image", "measure", "."]) == 0
    text = capsys.readouterr().out
    assert "dev = true" in text
    assert "allow_dev_images" in text
    assert "# carries measurement.tdx.cbor, which agrees with the files" in text
    for name, data in image(listed={"measurement.tdx.cbor": cbor({"version": 9})}).items():
        Path(name).write_bytes(data)
    assert main(["image", "measure", ".", "--json"]) == 0
    assert described("image-measure.v1", capsys.readouterr().out)["unknown_document_version"] == 9
    assert main(["image", "measure", "."]) == 0
    assert "# carries measurement.tdx.cbor, of version 9" in capsys.readouterr().out


def test_an_empty_list_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["image", "list"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, "no OS image is listed" in captured.err) == ("", True)
    assert main(["image", "list", "--json"]) == 0
    assert described("image-list.v1", capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["measure"], 2, "required"),
        ([], 2, "required"),
        (["remove"], 2, "invalid choice"),
        (["measure", "/nonexistent"], 2, "cannot be read"),
        (["measure", "IMAGE", "--memory", "0"], 2, "not a memory size"),
        (["measure", "IMAGE", "--memory", "many"], 2, "invalid int"),
        (["measure", "IMAGE", *["--memory", "512"] * 9], 2, "too many sizes"),
        (["measure", "."], 3, "no such file in the image"),
        (["list", "--policy", "/nonexistent"], 2, "cannot be read"),
        (["list", "--config", "IMAGE"], 2, "not a TOML file"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], code: int, text: str, tarball: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", *(tarball if word == "IMAGE" else word for word in arguments)]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert text in captured.err
    assert "Traceback" not in captured.err


def test_a_changed_file_is_exit_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(archive({**image(), "bzImage": b"other"}, mode="w"))
    assert main(["image", "measure", str(path)]) == 3
    assert "bzImage: not the listed file" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_long_reading_is_told_on_a_terminal_only(
    tarball: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("twinproof.cli.image.QUIET_SECONDS", 0.0)
    monkeypatch.setattr("twinproof.cli.image.INTERVAL", 0.0)
    monkeypatch.setattr(image_files, "CHUNK", 4096)
    main(["image", "measure", tarball])
    assert capsys.readouterr().err == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main(["image", "measure", tarball]) == 0
    assert "100%" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_nothing_is_shown_in_the_first_second(capsys: pytest.CaptureFixture[str]) -> None:
    assert QUIET_SECONDS == 1.0
    progress = _Progress()
    progress(1, 2)
    progress.clear()
    assert capsys.readouterr().err == ""
