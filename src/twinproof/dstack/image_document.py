"""An image's measurement document, held against what its own files come to.

Evidence of such an image is believed by that document; one that says something else than the files is a trap.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from twinproof.dstack.measurement_document import DOCUMENT_NAME, parse_measurement_document
from twinproof.errors import Contradiction

__all__ = ["ImageDigests", "check_image_document"]


@dataclass(frozen=True, slots=True)
class ImageDigests:
    """What the files come to, 48 bytes each, under the names of the document's members."""

    mrtd_single_pass: bytes
    mrtd_two_pass: bytes
    kernel_authenticode: bytes
    """Of the kernel as QEMU patches it for VMs whose memory makes no difference."""
    cmdline_sha384: bytes
    initrd_sha384: bytes


def check_image_document(data: bytes, computed: ImageDigests) -> int | None:
    """None when all agrees; the document's version where it is not known here, so that nothing was compared.

    Raises Malformed, and Contradiction for the first member that is not what the files come to.
    """
    document = parse_measurement_document(data)
    if isinstance(document, int):
        return document
    for member in fields(computed):
        said, found = getattr(document, member.name), getattr(computed, member.name)
        if said != found:
            raise Contradiction(
                "the measurement document is not that of the image's files",
                where=f"{DOCUMENT_NAME} {member.name}",
                got=said.hex(),
                expected=found.hex(),
            )
    return None
