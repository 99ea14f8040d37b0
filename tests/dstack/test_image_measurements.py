"""The registers of an image's files, and images that contradict themselves."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_cbor import cbor
from small_image import (
    COMMAND_LINE,
    ROOTFS_HASH,
    as_files,
    checksums,
    expected_registers,
    image,
    measurement_document,
)
from twinproof.dstack.image_measurements import measure_image
from twinproof.dstack.os_image import read_os_image
from twinproof.errors import Contradiction, Forged, Malformed, TwinproofError
from twinproof.wire import Fields

GIB = 1 << 30


def test_an_image_gives_every_legitimate_value_of_its_registers() -> None:
    files, expected = image(), expected_registers()
    measured = measure_image(as_files(files))
    assert measured.os_image_hash == hashlib.sha256(files["sha256sum.txt"]).digest()
    assert measured.image.mrtd == (expected["mrtd_single_pass"], expected["mrtd_two_pass"])
    assert measured.image.rtmr1 == (expected["rtmr1"], expected["rtmr1_unpatched"])
    assert measured.image.rtmr2 == (expected["rtmr2"],)
    assert (measured.image.version, measured.image.dev, measured.lite) == ("0.5.4", False, False)
    assert measured.metadata.rootfs_hash.hex() == ROOTFS_HASH


def test_the_entry_is_one_that_a_policy_reads() -> None:
    entry = measure_image(as_files(image({"is_dev": True, "version": "0.6.0-rc.1"}))).image
    assert read_os_image(Fields(json.loads(json.dumps(entry.to_json())), "images[0]")) == entry
    assert entry.dev


def test_vms_of_other_memory_sizes_are_measured_when_they_are_named() -> None:
    measured = measure_image(as_files(image()), memory_sizes=(GIB, 2 * GIB, 4 * GIB))
    values = {kernel.when: kernel.rtmr1 for kernel in measured.kernels}
    assert values["1024 MiB of memory"] == expected_registers()["rtmr1_of_1_gib"]
    assert len(values) == len(measured.image.rtmr1) == 3


def test_an_image_with_a_measurement_document_says_so() -> None:
    measured = measure_image(as_files(image(listed={"measurement.tdx.cbor": measurement_document()})))
    assert (measured.lite, measured.unknown_document) == (True, None)


@pytest.mark.parametrize("name", ["single_pass", "two_pass", "kernel_authenticode", "cmdline_sha384", "initrd_sha384"])
def test_a_measurement_document_about_other_files_is_a_contradiction(name: str) -> None:
    listed = {"measurement.tdx.cbor": measurement_document(**{name: bytes(48)})}
    with pytest.raises(Contradiction, match="not that of the image's files") as caught:
        measure_image(as_files(image(listed=listed)))
    assert caught.value.where.endswith(name)


def test_a_measurement_document_of_an_unknown_version_is_not_compared() -> None:
    measured = measure_image(as_files(image(listed={"measurement.tdx.cbor": cbor({"version": 4})})))
    assert (measured.lite, measured.unknown_document) == (True, 4)


def test_a_measurement_document_that_is_none_is_malformed() -> None:
    with pytest.raises(Malformed):
        measure_image(as_files(image(listed={"measurement.tdx.cbor": b"\xa0"})))


def test_files_that_are_not_listed_are_named() -> None:
    files = {**image(), "rootfs.img.verity": b"anything"}
    assert measure_image(as_files(files)).unlisted == ("rootfs.img.verity",)


def test_a_digest_file_that_agrees_is_no_news() -> None:
    files = image()
    digest = hashlib.sha256(files["sha256sum.txt"]).hexdigest().encode()
    measure_image(as_files({**files, "digest.txt": digest + b"\n"}))
    with pytest.raises(Contradiction, match="another hash"):
        measure_image(as_files({**files, "digest.txt": digest[::-1]}))


@pytest.mark.parametrize("name", ["ovmf.fd", "bzImage", "initramfs.cpio.gz", "metadata.json"])
def test_a_file_that_is_not_the_listed_one_is_a_forgery(name: str) -> None:
    files = image()
    with pytest.raises(Forged, match="not the listed file") as caught:
        measure_image(as_files({**files, name: files[name] + b"\0"}))
    assert caught.value.where == name


@pytest.mark.parametrize("name", ["ovmf.fd", "bzImage", "initramfs.cpio.gz", "metadata.json", "sha256sum.txt"])
def test_a_missing_file_is_malformed(name: str) -> None:
    files = image()
    del files[name]
    with pytest.raises(Malformed, match=r"missing|no such file"):
        measure_image(as_files(files))


@pytest.mark.parametrize("name", ["ovmf.fd", "bzImage", "initramfs.cpio.gz", "metadata.json"])
def test_a_measured_file_that_is_not_listed_is_malformed(name: str) -> None:
    files = image()
    del files["sha256sum.txt"]
    files["sha256sum.txt"] = checksums({key: data for key, data in files.items() if key != name})
    with pytest.raises(Malformed, match="not listed"):
        measure_image(as_files(files))


def test_a_file_too_large_to_keep_cannot_be_measured() -> None:
    files = as_files(image())
    files["bzImage"] = replace(files["bzImage"], content=None)
    with pytest.raises(Malformed, match="too large to be measured"):
        measure_image(files)


def test_an_initrd_is_measured_without_its_content() -> None:
    files = as_files(image())
    expected = measure_image(files)
    files["initramfs.cpio.gz"] = replace(files["initramfs.cpio.gz"], content=None)
    assert measure_image(files) == expected


@pytest.mark.parametrize(
    ("member", "value", "reason"),
    [
        ("is_dev", None, "missing member"),
        ("is_dev", "false", "wrong type"),
        ("version", None, "missing member"),
        ("version", "0.5.4\n", "not a version"),
        ("version", '0.5.4"', "not a version"),
        ("version", [0, 5, 4], "wrong type"),
        ("kernel", "../bzImage", "not the name of a file"),
        ("kernel", "/bzImage", "not the name of a file"),
        ("kernel", "nothing", "not listed"),
        ("kernel", "metadata.json", "two roles"),
        ("kernel", "initramfs.cpio.gz", "two roles"),
        ("kernel", "sha256sum.txt", "two roles"),
        ("bios", "bzImage", "two roles"),
        ("initrd", "", "not the name of a file"),
        ("cmdline", "console=ttyS0", "not exactly one dstack.rootfs_hash"),
        ("cmdline", COMMAND_LINE + f" dstack.rootfs_hash={'00' * 32}", "not exactly one"),
        ("cmdline", COMMAND_LINE.replace("5a5a", "5a5"), "not exactly one"),
        ("cmdline", COMMAND_LINE.replace(" dstack.rootfs_hash", ' x="dstack.rootfs_hash'), "not exactly one"),
        ("cmdline", COMMAND_LINE + " vga=791", "a video mode"),
        ("cmdline", COMMAND_LINE + "\n", "not printable ASCII"),
        ("cmdline", COMMAND_LINE + " ä", "not printable ASCII"),
        ("cmdline", COMMAND_LINE + " " * 2048, "too long"),
    ],
)
def test_metadata_that_cannot_be_right_is_malformed(member: str, value: object, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        measure_image(as_files(image({member: value})))


LINE = "ab" * 32


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no checksums"),
        ("\n\n", "no checksums"),
        (f"{LINE}  ovmf.fd\n{LINE}  ovmf.fd\n", "listed twice"),
        (f"{LINE}  ../ovmf.fd\n", "not the name"),
        (f"{LINE}  ./ovmf.fd\n", "not the name"),
        (f"{LINE}  /ovmf.fd\n", "not the name"),
        (f"{LINE}  a\\ovmf.fd\n", "not the name"),
        (f"{LINE}  -rf\n", "not the name"),
        (f"{LINE}  ovmf.fd \n", "not the name"),
        (f"{LINE}  ovmf.fd\r\n", "not the name"),
        (f"{LINE}  \n", "not the name"),
        (f"{LINE} ovmf.fd\n", "not a line"),
        (f"{LINE}\n", "not a line"),
        (f"{LINE[:-2]}  ovmf.fd\n", "wrong length"),
        (f"{LINE}ab  ovmf.fd\n", "too long"),
        (f"{LINE[:-1]}x  ovmf.fd\n", "not hex"),
        ("\xe4\n", "not ASCII"),
        (f"{LINE}  ovmf.fd\n" * 2000, "too large"),
        ("".join(f"{LINE}  f{i}\n" for i in range(257)), "too many files"),
    ],
)
def test_a_wrong_list_of_checksums_is_malformed(text: str, reason: str) -> None:
    files = {**image(), "sha256sum.txt": text.encode("latin-1")}
    with pytest.raises(Malformed, match=reason):
        measure_image(as_files(files))


@given(st.data())
def test_a_mutated_image_is_measured_or_refused(data: st.DataObject) -> None:
    """Even where the list of checksums was made to fit."""
    files = image()
    del files["sha256sum.txt"]
    name = data.draw(st.sampled_from([*files, "sha256sum.txt"]))
    if name == "sha256sum.txt":
        files[name] = checksums(files)
    content = bytearray(files[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(content), 2048) - 1))
        if data.draw(st.booleans()):
            at = len(content) - 1 - at
        content[at] = data.draw(st.integers(0, 255))
    files[name] = bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    if name != "sha256sum.txt":
        files["sha256sum.txt"] = checksums(files)
    with suppress(TwinproofError):
        measure_image(as_files(files))
