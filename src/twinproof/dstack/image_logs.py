"""What an image's kernel, command line and initrd make of RTMR1 and RTMR2: the digests in the order of extension.

Both paths to an image's registers end here: the measurement document gives the three digests, an image file is hashed
for them. `tdx.rtmr.replay` turns a log into its register. Every digest is SHA-384, 48 bytes.

Source: dstack-mr `kernel.rs`; TCG PC Client Platform Firmware Profile 3.3.4 (the boot actions of UEFI).
"""

from __future__ import annotations

import hashlib

from twinproof.errors import Malformed
from twinproof.tdx.rtmr import REGISTER_SIZE

__all__ = [
    "INITRD_ARGUMENT",
    "RTMR1_EVENTS",
    "RTMR2_EVENTS",
    "SEPARATOR",
    "cmdline_digest",
    "rtmr1_log",
    "rtmr2_log",
]

INITRD_ARGUMENT = " initrd=initrd"
"""QEMU's direct kernel boot appends this to the command line of `metadata.json`."""
RTMR1_EVENTS = ("kernel", "boot option called", "separator", "exit boot services", "exit boot services done")
RTMR2_EVENTS = ("kernel command line", "initrd")
"""What each event of the logs is, for messages."""


def _sha384(data: bytes) -> bytes:
    return hashlib.sha384(data).digest()


SEPARATOR = _sha384(bytes(4))
"""The digest of the firmware's separator event: four zero bytes."""
_CALLING = _sha384(b"Calling EFI Application from Boot Option")
_EXIT = _sha384(b"Exit Boot Services Invocation")
_EXITED = _sha384(b"Exit Boot Services Returned with Success")


def cmdline_digest(cmdline: str) -> bytes:
    """SHA-384 of the command line as the kernel's EFI stub gets it: with the initrd argument, UTF-16LE, ending in zero.

    `cmdline` is the text of the image's metadata. Raises Malformed for a text that has no UTF-16 form.
    """
    try:
        return _sha384((cmdline + INITRD_ARGUMENT).encode("utf-16-le") + bytes(2))
    except UnicodeEncodeError as error:
        raise Malformed("text with half a surrogate pair", where="kernel command line") from error


def rtmr1_log(kernel_authenticode: bytes) -> tuple[bytes, ...]:
    """Five digests. `kernel_authenticode` is the PE Authenticode SHA-384 of the kernel as QEMU serves it.

    Raises Malformed when it has not 48 bytes.
    """
    return (_sized(kernel_authenticode, "kernel_authenticode"), _CALLING, SEPARATOR, _EXIT, _EXITED)


def rtmr2_log(cmdline_sha384: bytes, initrd_sha384: bytes) -> tuple[bytes, ...]:
    """Two digests, of `cmdline_digest` and of the initrd's bytes. Raises Malformed when one has not 48 bytes."""
    return (_sized(cmdline_sha384, "cmdline_sha384"), _sized(initrd_sha384, "initrd_sha384"))


def _sized(digest: bytes, where: str) -> bytes:
    if len(digest) != REGISTER_SIZE:
        raise Malformed("wrong digest length", where=where, got=f"{len(digest)} bytes", expected="48 bytes")
    return digest
