"""From the files of an OS image to the registers of a TD that boots it: MRTD, RTMR1 and RTMR2.

RTMR0 is not among them: it holds what the host decides, the memory map and the ACPI tables of this one VM's shape.

Source: dstack `dstack-mr`, `verifier`; meta-dstack `mkimage.sh` (behaviour).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from twinproof.dstack.authenticode import authenticode_sha384
from twinproof.dstack.checksum_list import CHECKSUMS, parse_checksums
from twinproof.dstack.image_document import ImageDigests, check_image_document
from twinproof.dstack.image_logs import cmdline_digest, rtmr1_log, rtmr2_log
from twinproof.dstack.image_metadata import METADATA, ImageMetadata, parse_metadata
from twinproof.dstack.kernel import STABLE_MEMORY, is_stable_memory, patched_kernel
from twinproof.dstack.measurement_document import DOCUMENT_NAME
from twinproof.dstack.os_image import OsImage
from twinproof.dstack.tdvf import mrtd_values, parse_tdvf
from twinproof.errors import Contradiction, Forged, Malformed
from twinproof.tdx.rtmr import replay
from twinproof.wire import shown

__all__ = ["DIGEST", "ImageFile", "ImageMeasurements", "KernelValue", "measure_image"]

DIGEST = "digest.txt"
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One file: its size in bytes and digests (32 and 48 bytes); `content` is None for a file too large to keep."""

    size: int
    sha256: bytes
    sha384: bytes
    content: bytes | None


@dataclass(frozen=True, slots=True)
class KernelValue:
    """The digest (48 bytes) of the kernel as the firmware gets it, and when it gets that."""

    when: str
    authenticode: bytes

    @property
    def rtmr1(self) -> bytes:
        return replay(rtmr1_log(self.authenticode))


@dataclass(frozen=True, slots=True)
class ImageMeasurements:
    """`lite`: the image lists a measurement document, so evidence of it can be verified without its registers.

    The document agrees with the files, unless `unknown_document` is the number of a version that could not be compared.
    """

    os_image_hash: bytes
    metadata: ImageMetadata
    mrtd_single_pass: bytes
    mrtd_two_pass: bytes
    kernels: tuple[KernelValue, ...]
    rtmr2: bytes
    lite: bool
    unknown_document: int | None
    unlisted: tuple[str, ...]
    """Files beside the listed ones: os_image_hash says nothing about them."""

    @property
    def image(self) -> OsImage:
        """The allow-list entry, with every legitimate value of each register."""
        return OsImage(
            hash=self.os_image_hash,
            version=self.metadata.version,
            dev=self.metadata.dev,
            mrtd=_distinct((self.mrtd_single_pass, self.mrtd_two_pass)),
            rtmr1=_distinct(kernel.rtmr1 for kernel in self.kernels),
            rtmr2=(self.rtmr2,),
        )


def measure_image(files: Mapping[str, ImageFile], *, memory_sizes: Sequence[int] = ()) -> ImageMeasurements:
    """Check every listed file, then compute the registers. `files` is by name.

    `memory_sizes` (bytes) adds the RTMR1 of VMs of such sizes; the value of 2 GiB and of 2816 MiB or more is always
    there. Raises Malformed for what is missing or unreadable, Forged for a file that is not the listed one,
    Contradiction for a measurement document that is not about these files.
    """
    checksums = _content(files, CHECKSUMS)
    listed = parse_checksums(checksums)
    os_image_hash = hashlib.sha256(checksums).digest()
    for name, expected in listed.items():
        _check_listed(files, name, expected)
    _check_digest_file(files, os_image_hash)
    metadata = parse_metadata(_content(files, METADATA, listed))
    roles = (CHECKSUMS, METADATA, metadata.firmware, metadata.kernel, metadata.initrd)
    if len(set(roles)) != len(roles):
        raise Malformed("one file in two roles", where=METADATA, got=", ".join(roles))
    single_pass, two_pass = mrtd_values(parse_tdvf(_content(files, metadata.firmware, listed)))
    initrd = _file(files, metadata.initrd, listed)
    kernels = _kernels(_content(files, metadata.kernel, listed), initrd.size, memory_sizes)
    digests = ImageDigests(
        mrtd_single_pass=single_pass,
        mrtd_two_pass=two_pass,
        kernel_authenticode=kernels[0].authenticode,
        cmdline_sha384=cmdline_digest(metadata.command_line),
        initrd_sha384=initrd.sha384,
    )
    lite = DOCUMENT_NAME in listed
    return ImageMeasurements(
        os_image_hash=os_image_hash,
        metadata=metadata,
        mrtd_single_pass=single_pass,
        mrtd_two_pass=two_pass,
        kernels=kernels,
        rtmr2=replay(rtmr2_log(digests.cmdline_sha384, digests.initrd_sha384)),
        lite=lite,
        unknown_document=check_image_document(_content(files, DOCUMENT_NAME), digests) if lite else None,
        unlisted=tuple(sorted(set(files) - set(listed) - {CHECKSUMS, DIGEST})),
    )


def _kernels(kernel: bytes, initrd_size: int, memory_sizes: Sequence[int]) -> tuple[KernelValue, ...]:
    """First the one that does not depend on memory."""
    sizes = {f"{size // MIB} MiB of memory": size for size in memory_sizes if not is_stable_memory(size)}
    patched = {"2048 MiB of memory, or 2816 MiB and more": STABLE_MEMORY, **sizes}
    served = {when: patched_kernel(kernel, initrd_size=initrd_size, memory_size=size) for when, size in patched.items()}
    served["QEMU 10.2 and newer, any memory"] = kernel
    return tuple(KernelValue(when, authenticode_sha384(data)) for when, data in served.items())


def _check_listed(files: Mapping[str, ImageFile], name: str, expected: bytes) -> None:
    if name not in files:
        raise Malformed("a listed file is missing", where=CHECKSUMS, got=name)
    if files[name].sha256 != expected:
        raise Forged("not the listed file", where=name, got=files[name].sha256.hex(), expected=expected.hex())


def _check_digest_file(files: Mapping[str, ImageFile], os_image_hash: bytes) -> None:
    """An image may carry its own hash; nothing protects it, so it can only be wrong."""
    content = files[DIGEST].content if DIGEST in files else None
    if content is not None and content.strip() != os_image_hash.hex().encode():
        raise Contradiction(
            f"another hash than that of {CHECKSUMS}",
            where=DIGEST,
            got=shown(content.decode("latin-1").strip()),
            expected=os_image_hash.hex(),
        )


def _file(files: Mapping[str, ImageFile], name: str, listed: Mapping[str, bytes] | None = None) -> ImageFile:
    if listed is not None and name not in listed:
        raise Malformed("a measured file is not listed", where=CHECKSUMS, got=name)
    if name not in files:
        raise Malformed("no such file in the image", where=name)
    return files[name]


def _content(files: Mapping[str, ImageFile], name: str, listed: Mapping[str, bytes] | None = None) -> bytes:
    file = _file(files, name, listed)
    if file.content is None:
        raise Malformed("too large to be measured", where=name, got=f"{file.size} bytes")
    return file.content


def _distinct(values: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(values))
