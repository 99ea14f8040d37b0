"""A guest image: its files by their digests, the document that says which registers they lead to, and its hash.

    os_image_hash = SHA-256(sha256sum.txt), and sha256sum.txt lists measurement.tdx.cbor

Firmware, kernel and initrd do not exist here: their digests are hashes of their names, so one image always leads to the
same registers. The document about them is a real one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeAlias

from twinproof_devnet.td_hob import witness

__all__ = ["Image", "cbor", "synthetic"]

Cbor: TypeAlias = "int | str | bytes | dict[str, Cbor]"
_FILES = ("bzImage", "initramfs.cpio.gz", "metadata.json", "ovmf.fd")
_DOCUMENT = "measurement.tdx.cbor"


def synthetic(*parts: str) -> bytes:
    """The digest (48 bytes) of a thing that is not there, by its name."""
    return hashlib.sha384(("twinproof devnet\x00" + "\x00".join(parts)).encode()).digest()


def cbor(value: Cbor) -> bytes:
    """The four kinds that a measurement document has, each in its shortest form (RFC 8949)."""
    match value:
        case int():
            return _head(0x00, value)
        case bytes():
            return _head(0x40, len(value)) + value
        case str():
            return _head(0x60, len(value.encode())) + value.encode()
        case _:
            return _head(0xA0, len(value)) + b"".join(cbor(name) + cbor(item) for name, item in value.items())


def _head(kind: int, number: int) -> bytes:
    if number < 0x18:
        return bytes((kind | number,))
    for low, size in enumerate((1, 2, 4, 8)):
        if number >> (8 * size) == 0:
            return bytes((kind | (0x18 + low),)) + number.to_bytes(size, "big")
    raise ValueError(f"{number} needs more than 8 bytes")


@dataclass(frozen=True, slots=True)
class Image:
    """A guest image, by its name; `dev` images are another image of the same version.

    Real images carry their measurement document since 0.6, the devnet's unless they are `legacy`. With a `backdoor` the
    host boots another kernel than the one of the files, and leaves the files as they are.
    """

    version: str = "0.5.8"
    dev: bool = False
    legacy: bool = False
    backdoor: bool = False

    @property
    def name(self) -> str:
        return f"dstack-{'dev-' if self.dev else ''}{self.version}"

    @property
    def command_line(self) -> str:
        rootfs = hashlib.sha256(f"{self.name}/rootfs".encode()).hexdigest()
        return f"console=ttyS0 init=/init panic=1 dstack.rootfs_hash={rootfs}"

    @property
    def command_line_digest(self) -> bytes:
        """As the kernel gets it: with an argument that QEMU adds, UTF-16 and a final zero."""
        return hashlib.sha384(f"{self.command_line} initrd=initrd\x00".encode("utf-16-le")).digest()

    @property
    def kernel_digest(self) -> bytes:
        """Of the kernel in the image's files."""
        return synthetic("kernel", self.name)

    @property
    def booted_kernel_digest(self) -> bytes:
        return synthetic("kernel with a backdoor", self.name) if self.backdoor else self.kernel_digest

    @property
    def initrd_digest(self) -> bytes:
        return synthetic("initrd", self.name)

    def mrtd(self, *, two_pass: bool) -> bytes:
        """Depends on the order in which QEMU adds the firmware's pages."""
        return synthetic("MRTD", self.name, "two pass" if two_pass else "single pass")

    @property
    def document(self) -> bytes:
        """The image's `measurement.tdx.cbor`."""
        return cbor(
            {
                "version": 3,
                "image": {
                    "cmdline_sha384": self.command_line_digest,
                    "kernel_authenticode": self.kernel_digest,
                    "initrd_sha384": self.initrd_digest,
                },
                "tdvf": {
                    "ovmf": "pre202505",
                    "mrtd": {"single_pass": self.mrtd(two_pass=False), "two_pass": self.mrtd(two_pass=True)},
                    "td_hob": witness(),
                },
            }
        )

    @property
    def checksum_file(self) -> bytes:
        """The image's `sha256sum.txt`."""
        digests = {name: hashlib.sha256(f"{self.name}/{name}".encode()).hexdigest() for name in _FILES}
        if not self.legacy:
            digests[_DOCUMENT] = hashlib.sha256(self.document).hexdigest()
        return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()

    @property
    def os_image_hash(self) -> bytes:
        """SHA-256 of the image's list of checksums, 32 bytes."""
        return hashlib.sha256(self.checksum_file).digest()
