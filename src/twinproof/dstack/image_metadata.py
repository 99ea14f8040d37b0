"""metadata.json of an OS image: its version, which file is what, and the kernel's command line."""

from __future__ import annotations

import re
from dataclasses import dataclass

from twinproof.dstack.checksum_list import is_flat_name
from twinproof.errors import Malformed
from twinproof.wire import Fields, parse_object, shown

__all__ = ["METADATA", "ImageMetadata", "parse_metadata"]

METADATA = "metadata.json"
MAX_COMMAND_LINE = 2047  # COMMAND_LINE_SIZE of x86, without its final zero
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", re.ASCII)
_COMMAND_LINE = re.compile(r"[ -~]+", re.ASCII)
_ROOTFS = re.compile(r"dstack\.rootfs_hash=([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ImageMetadata:
    """`firmware`, `kernel` and `initrd` are names of files in the image; `rootfs_hash` is dm-verity's, 32 bytes."""

    version: str
    dev: bool
    firmware: str
    kernel: str
    initrd: str
    command_line: str
    rootfs_hash: bytes


def parse_metadata(data: bytes) -> ImageMetadata:
    """Members that are not used here are the host's. Raises Malformed.

    `is_dev` has to be there: a development image that does not say so would pass for a production image.
    """
    fields = parse_object(data, METADATA)
    version = fields.text("version", max_chars=64)
    if not _VERSION.fullmatch(version):
        raise Malformed("not a version", where=f"{METADATA}.version", got=shown(version))
    command_line = fields.text("cmdline", max_chars=MAX_COMMAND_LINE)
    return ImageMetadata(
        version=version,
        dev=fields.boolean("is_dev"),
        firmware=_name(fields, "bios"),
        kernel=_name(fields, "kernel"),
        initrd=_name(fields, "initrd"),
        command_line=command_line,
        rootfs_hash=_rootfs_hash(command_line),
    )


def _name(fields: Fields, member: str) -> str:
    name = fields.text(member, max_chars=128)
    if not is_flat_name(name):
        raise Malformed("not the name of a file in the image", where=f"{METADATA}.{member}", got=shown(name))
    return name


def _rootfs_hash(command_line: str) -> bytes:
    """Read from a command line that firmware and kernel understand as it stands."""
    where = f"{METADATA}.cmdline"
    if not _COMMAND_LINE.fullmatch(command_line):
        raise Malformed("not printable ASCII", where=where, got=shown(command_line, 40))
    if "vga=" in command_line:
        raise Malformed("a video mode, which QEMU would write into the kernel", where=where, got="vga=")
    matches = [_ROOTFS.fullmatch(word) for word in command_line.split(" ") if "dstack.rootfs_hash" in word]
    if len(matches) != 1 or matches[0] is None:
        raise Malformed(
            "not exactly one dstack.rootfs_hash",
            where=where,
            got=f"{len(matches)}",
            expected="64 hex digits",
            hint="without it the registers say nothing about the root file system; images before 0.5 are like that",
        )
    return bytes.fromhex(matches[0][1])
