"""The measurement document of an OS image, which "TDX lite" guests carry in vm_config together with its checksum file.

    os_image_hash       SHA-256 of the image's checksum file
    checksum file       lines "<sha256 in hex>  <file name>"; one of them is the document's
    document (CBOR)     version 3
                        image  cmdline_sha384, kernel_authenticode, initrd_sha384    48 bytes each
                        tdvf   ovmf: text; mrtd: single_pass, two_pass (48 bytes each); td_hob: witness bytes

Host and guest supply all of it, so it proves nothing about itself: it says which registers the image of that hash has.

Source: dstack-types `tdx.rs`, dstack-mr `tdx.rs`.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from twinproof.dstack.cbor import CborMap, CborValue, read_cbor
from twinproof.dstack.checksum_list import parse_checksums
from twinproof.dstack.td_hob import HobWitness, parse_witness
from twinproof.errors import Contradiction, Malformed
from twinproof.memo import remembered
from twinproof.tdx.rtmr import REGISTER_SIZE
from twinproof.wire import shown

__all__ = [
    "DOCUMENT_NAME",
    "MAX_DOCUMENT_BYTES",
    "MeasurementDocument",
    "check_checksum_file",
    "parse_measurement_document",
]

DOCUMENT_NAME = "measurement.tdx.cbor"
MAX_DOCUMENT_BYTES = 16 << 10
VERSION = 3
CHECKSUM_FILE, DOCUMENT = "checksum_file", "measurement"


class MeasurementDocument(NamedTuple):
    """The digests have 48 bytes. `ovmf` names the layout of RTMR0's events."""

    cmdline_sha384: bytes
    kernel_authenticode: bytes
    initrd_sha384: bytes
    ovmf: str
    mrtd_single_pass: bytes
    mrtd_two_pass: bytes
    td_hob: HobWitness


@remembered
def check_checksum_file(checksum_file: bytes, document: bytes, os_image_hash: bytes) -> None:
    """Hold the checksum file against the image's hash (32 bytes), and the document against the checksum file.

    Raises Contradiction, and Malformed for a file that is no list of checksums, names a file twice, or this one never.
    """
    computed = hashlib.sha256(checksum_file).digest()
    if computed != os_image_hash:
        raise Contradiction(
            "the checksum file is not the one of the image that vm_config names",
            where=CHECKSUM_FILE,
            got=computed.hex(),
            expected=os_image_hash.hex(),
        )
    listed = parse_checksums(checksum_file).get(DOCUMENT_NAME)
    if listed is None:
        raise Malformed(f"no line for {DOCUMENT_NAME}", where=CHECKSUM_FILE, expected="exactly one")
    computed = hashlib.sha256(document).digest()
    if computed != listed:
        raise Contradiction(
            "the measurement document is not the one that the checksum file lists",
            where=DOCUMENT,
            got=computed.hex(),
            expected=listed.hex(),
        )


def parse_measurement_document(data: bytes) -> MeasurementDocument | int:
    """The document, or the number of a version that is not known here: its members may mean anything.

    Raises Malformed.
    """
    top = _map(read_cbor(data, DOCUMENT, max_bytes=MAX_DOCUMENT_BYTES), DOCUMENT)
    version = top.get("version")
    if not isinstance(version, int):
        raise Malformed("no version", where=f"{DOCUMENT}.version", expected="a number")
    if version != VERSION:
        return version
    _only(top, ("version", "image", "tdvf"), DOCUMENT)
    image, tdvf = (_map(top.get(name), f"{DOCUMENT}.{name}") for name in ("image", "tdvf"))
    _only(image, ("cmdline_sha384", "kernel_authenticode", "initrd_sha384"), f"{DOCUMENT}.image")
    _only(tdvf, ("ovmf", "mrtd", "td_hob"), f"{DOCUMENT}.tdvf")
    mrtd = _map(tdvf.get("mrtd"), f"{DOCUMENT}.tdvf.mrtd")
    _only(mrtd, ("single_pass", "two_pass"), f"{DOCUMENT}.tdvf.mrtd")
    ovmf = tdvf.get("ovmf")
    if not isinstance(ovmf, str):
        raise Malformed("not a text", where=f"{DOCUMENT}.tdvf.ovmf")
    return MeasurementDocument(
        cmdline_sha384=_digest(image, "cmdline_sha384", f"{DOCUMENT}.image"),
        kernel_authenticode=_digest(image, "kernel_authenticode", f"{DOCUMENT}.image"),
        initrd_sha384=_digest(image, "initrd_sha384", f"{DOCUMENT}.image"),
        ovmf=ovmf,
        mrtd_single_pass=_digest(mrtd, "single_pass", f"{DOCUMENT}.tdvf.mrtd"),
        mrtd_two_pass=_digest(mrtd, "two_pass", f"{DOCUMENT}.tdvf.mrtd"),
        td_hob=parse_witness(_bytes(tdvf, "td_hob", f"{DOCUMENT}.tdvf"), f"{DOCUMENT}.tdvf.td_hob"),
    )


def _map(value: CborValue | None, where: str) -> CborMap:
    if not isinstance(value, dict):
        raise Malformed("not a map", where=where, got="nothing" if value is None else type(value).__name__)
    return value


def _only(members: CborMap, names: tuple[str, ...], where: str) -> None:
    unknown = next((name for name in members if name not in names), None)
    if unknown is not None:
        raise Malformed("unknown member", where=where, got=shown(unknown, 40), expected=", ".join(names))


def _bytes(members: CborMap, name: str, where: str) -> bytes:
    value = members.get(name)
    if not isinstance(value, bytes):
        raise Malformed(
            "not a byte string", where=f"{where}.{name}", got="nothing" if value is None else "another type"
        )
    return value


def _digest(members: CborMap, name: str, where: str) -> bytes:
    value = _bytes(members, name, where)
    if len(value) != REGISTER_SIZE:
        raise Malformed("wrong length", where=f"{where}.{name}", got=f"{len(value)} bytes", expected="48 bytes")
    return value
