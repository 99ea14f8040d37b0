"""The measurement document and its checksum file: one reading, and a reason for every other."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_cbor import Value, cbor, checksums, digest, document, image, tdvf
from twinproof.dstack.measurement_document import (
    MAX_DOCUMENT_BYTES,
    MeasurementDocument,
    check_checksum_file,
    parse_measurement_document,
)
from twinproof.errors import Contradiction, EvidenceError, Malformed

DOCUMENT = cbor(document())
LINE = f"{hashlib.sha256(DOCUMENT).hexdigest()}  measurement.tdx.cbor"


def check(text: str | bytes, data: bytes = DOCUMENT) -> None:
    checksum_file = text.encode() if isinstance(text, str) else text
    check_checksum_file(checksum_file, data, hashlib.sha256(checksum_file).digest())


def test_a_document_of_version_3_is_read() -> None:
    read = parse_measurement_document(DOCUMENT)
    assert isinstance(read, MeasurementDocument)
    assert (read.cmdline_sha384, read.initrd_sha384) == (digest("command line"), digest("initrd"))
    assert read.kernel_authenticode == digest("kernel")
    assert (read.mrtd_single_pass, read.mrtd_two_pass) == (digest("single pass"), digest("two pass"))
    assert (read.ovmf, read.td_hob.address, len(read.td_hob.ranges)) == ("pre202505", 0x809000, 4)


@pytest.mark.parametrize("version", [0, 2, 4, 1 << 40])
def test_another_version_is_told_by_its_number_and_not_read_further(version: int) -> None:
    assert parse_measurement_document(cbor({"version": version, "whatever": b""})) == version


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (7, "measurement: not a map: got int"),
        ({}, "measurement.version: no version"),
        ({"version": "3"}, "measurement.version: no version"),
        (document(extra=1), "unknown member: got extra"),
        ({"version": 3, "tdvf": tdvf()}, "measurement.image: not a map: got nothing"),
        (document(image=b""), "measurement.image: not a map: got bytes"),
        (document(image=image(more=b"")), "measurement.image: unknown member: got more"),
        (document(image=image(initrd_sha384="x")), "image.initrd_sha384: not a byte string"),
        (document(image=image(kernel_authenticode=bytes(32))), "kernel_authenticode: wrong length: got 32 bytes"),
        (document(image=image(cmdline_sha384=bytes(49))), "cmdline_sha384: wrong length: got 49 bytes"),
        (document(tdvf=tdvf(ovmf=1)), "measurement.tdvf.ovmf: not a text"),
        (document(tdvf=tdvf(mrtd=b"")), "measurement.tdvf.mrtd: not a map"),
        (document(tdvf=tdvf(mrtd={"single_pass": bytes(48)})), "mrtd.two_pass: not a byte string: got nothing"),
        (document(tdvf=tdvf(td_hob=b"")), "measurement.tdvf.td_hob: ends before its ranges"),
        (document(tdvf=tdvf(td_hob=7)), "measurement.tdvf.td_hob: not a byte string"),
    ],
)
def test_a_document_with_one_defect_is_malformed_at_its_place(value: Value, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse_measurement_document(cbor(value))


def test_a_large_document_is_refused_before_it_is_read() -> None:
    with pytest.raises(Malformed, match="too large"):
        parse_measurement_document(bytes(MAX_DOCUMENT_BYTES + 1))


@given(st.integers(0, len(DOCUMENT) - 1), st.integers(1, 255))
def test_a_changed_byte_is_another_document_or_malformed(at: int, mask: int) -> None:
    changed = bytearray(DOCUMENT)
    changed[at] ^= mask
    with suppress(Malformed):
        assert parse_measurement_document(bytes(changed)) != parse_measurement_document(DOCUMENT)
    with pytest.raises(Contradiction, match="not the one that the checksum file lists"):
        check(LINE, bytes(changed))


@pytest.mark.parametrize("text", [LINE, f"{LINE}\n", f"\n\n{LINE}\n\n", f"{'0' * 64}  ovmf.fd\n{LINE}\n"])
def test_a_checksum_file_that_lists_the_document_once_is_accepted(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no checksums"),
        (f"{'0' * 64}  ovmf.fd\n", "no line for measurement.tdx.cbor: expected exactly one"),
        (f"{LINE}.bak\n", "no line for measurement.tdx.cbor"),
        (f"{LINE}\n{LINE}\n", "line 2: a file listed twice: got measurement.tdx.cbor"),
        (f"{'0' * 64}  measurement.tdx.cbor\n{LINE}\n", "line 2: a file listed twice"),
        (f"{LINE}\n{'0' * 64}\n", "line 2: not a line of sha256sum"),
        (f"{'0' * 64}  \n{LINE}\n", "line 1: not the name of a file"),
        (f"{LINE}  more\n", "line 1: not the name of a file"),
        (f"{'0' * 64}  ../{LINE[66:]}\n", "line 1: not the name of a file"),
        (f"{'0' * 62}  measurement.tdx.cbor\n", "line 1: wrong length"),
        (f"{'g' * 64}  measurement.tdx.cbor\n", "line 1: not hex text"),
        ("".join(f"{'0' * 64}  file{i}\n" for i in range(1000)) + LINE, "too"),
        (b"\xff\xfe " + LINE.encode(), "not ASCII text"),
    ],
)
def test_a_checksum_file_that_lists_it_otherwise_is_malformed(text: str | bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        check(text)


def test_a_checksum_file_of_another_image_is_a_contradiction() -> None:
    with pytest.raises(Contradiction, match="not the one of the image that vm_config names"):
        check_checksum_file(checksums(DOCUMENT), DOCUMENT, bytes(32))


@given(st.binary(max_size=200))
def test_any_checksum_file_is_judged(data: bytes) -> None:
    with suppress(EvidenceError):
        check(data)
        assert hashlib.sha256(DOCUMENT).hexdigest().encode() in data
