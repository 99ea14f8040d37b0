"""A small OS image: firmware, kernel, initrd, metadata and the list of their checksums; and archives of it."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping

from small_cbor import Value, cbor, document, tdvf
from small_firmware import SECTIONS, firmware, mrtd
from small_kernel import authenticode, bzimage
from twinproof.dstack.image_measurements import ImageFile

__all__ = [
    "ROOTFS_HASH",
    "archive",
    "as_files",
    "checksums",
    "expected_registers",
    "image",
    "measurement_document",
    "replayed",
]

ROOTFS_HASH = "5a" * 32
COMMAND_LINE = f"console=ttyS0 init=/init panic=1 dstack.rootfs_hash={ROOTFS_HASH} dstack.rootfs_size=4096"
INITRD = hashlib.shake_128(b"initrd").digest(70_000)
KERNEL = bzimage()


def checksums(files: Mapping[str, bytes]) -> bytes:
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()).encode()


def image(
    metadata: Mapping[str, object] | None = None, *, listed: Mapping[str, bytes] | None = None
) -> dict[str, bytes]:
    """`listed` adds or replaces listed files, `metadata` members of metadata.json; None leaves a member out."""
    described: dict[str, object] = {
        "bios": "ovmf.fd",
        "kernel": "bzImage",
        "cmdline": COMMAND_LINE,
        "initrd": "initramfs.cpio.gz",
        "rootfs": "rootfs.img.verity",
        "version": "0.5.4",
        "git_revision": "00" * 20,
        "shared_ro": True,
        "is_dev": False,
    }
    described |= metadata or {}
    files = {
        "ovmf.fd": firmware(),
        "bzImage": KERNEL,
        "initramfs.cpio.gz": INITRD,
        "metadata.json": json.dumps({key: value for key, value in described.items() if value is not None}).encode(),
        **(listed or {}),
    }
    return {**files, "sha256sum.txt": checksums(files)}


def as_files(files: Mapping[str, bytes]) -> dict[str, ImageFile]:
    """As a source gives them."""
    return {
        name: ImageFile(len(data), hashlib.sha256(data).digest(), hashlib.sha384(data).digest(), data)
        for name, data in files.items()
    }


def replayed(*digests: bytes) -> bytes:
    register = bytes(48)
    for digest in digests:
        register = hashlib.sha384(register + digest).digest()
    return register


def rtmr1(kernel: bytes) -> bytes:
    """Of a kernel as the firmware gets it: its digest between four events of the firmware."""
    events = (
        b"Calling EFI Application from Boot Option",
        bytes(4),
        b"Exit Boot Services Invocation",
        b"Exit Boot Services Returned with Success",
    )
    return replayed(authenticode(kernel), *(hashlib.sha384(event).digest() for event in events))


def patched(initrd_address: int) -> bytes:
    """The usual kernel with the fields that QEMU writes."""
    return bzimage(
        setup={
            0x210: b"\xb0\x81",
            0x218: initrd_address.to_bytes(4, "little") + len(INITRD).to_bytes(4, "little"),
            0x224: b"\x00\xfe",
            0x228: b"\x00\x00\x02\x00",
        }
    )


def expected_registers() -> dict[str, bytes]:
    """Of the usual image, by another way than the code's."""
    command_line = (COMMAND_LINE + " initrd=initrd\0").encode("utf-16-le")
    return {
        "mrtd_single_pass": mrtd(firmware(), SECTIONS, two_pass=False),
        "mrtd_two_pass": mrtd(firmware(), SECTIONS, two_pass=True),
        "rtmr1": rtmr1(patched(0x7FFD7FFF - len(INITRD) & ~0xFFF)),
        "rtmr1_of_1_gib": rtmr1(patched(0x3FFD7FFF - len(INITRD) & ~0xFFF)),
        "rtmr1_unpatched": rtmr1(KERNEL),
        "rtmr2": replayed(hashlib.sha384(command_line).digest(), hashlib.sha384(INITRD).digest()),
    }


def measurement_document(**changes: bytes) -> bytes:
    """The one of the usual image; keywords replace digests."""
    digests = {
        "cmdline_sha384": hashlib.sha384((COMMAND_LINE + " initrd=initrd\0").encode("utf-16-le")).digest(),
        "kernel_authenticode": authenticode(patched(0x7FFD7FFF - len(INITRD) & ~0xFFF)),
        "initrd_sha384": hashlib.sha384(INITRD).digest(),
        "single_pass": mrtd(firmware(), SECTIONS, two_pass=False),
        "two_pass": mrtd(firmware(), SECTIONS, two_pass=True),
        **changes,
    }
    orders: dict[str, Value] = {name: digests.pop(name) for name in ("single_pass", "two_pass")}
    return cbor(document(image=dict(digests), tdvf=tdvf(mrtd=orders)))


def archive(
    files: Mapping[str, bytes],
    *,
    folder: str = "",
    members: Iterable[tarfile.TarInfo] = (),
    tar_format: int = tarfile.GNU_FORMAT,
    mode: str = "w:gz",
) -> bytes:
    """A tar archive by Python's own writer; `members` are added first, without content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tar_format) as tar:  # type: ignore[call-overload]
        for info in members:
            tar.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(folder + name)
            info.size, info.mtime = len(data), 1_700_000_000.5 if tar_format == tarfile.PAX_FORMAT else 1_700_000_000
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
