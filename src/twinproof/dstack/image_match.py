"""Which allowed image has the registers of this TD? For images without a measurement document.

MRTD is the firmware, RTMR1 the kernel, RTMR2 the kernel's command line (and with it the root file system) and initrd.
All three have to be recorded values of one and the same image. RTMR0 is no part of it: see `SHAPE`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from twinproof.dstack.os_image import OsImage

__all__ = ["SHAPE", "ImageDifference", "Measured", "image_differences", "match_image"]

SHAPE = "RTMR0: ACPI digests from the log, shape not verified"
REGISTERS = {"mrtd": "firmware", "rtmr1": "kernel", "rtmr2": "kernel command line or initrd"}


class Measured(Protocol):
    """A TD report, or its registers alone; 48 bytes each."""

    @property
    def mrtd(self) -> bytes: ...
    @property
    def rtmr1(self) -> bytes: ...
    @property
    def rtmr2(self) -> bytes: ...


class ImageDifference(NamedTuple):
    """An image with recorded registers, and those of them (`mrtd`, `rtmr1`, `rtmr2`) that this TD has not."""

    image: OsImage
    registers: tuple[str, ...]

    @property
    def reason(self) -> str:
        differing = ", ".join(f"{name.upper()} ({REGISTERS[name]})" for name in self.registers)
        return f"{self.image.title}: {differing} {'differs' if len(self.registers) == 1 else 'differ'}"

    @property
    def hint(self) -> str:
        """The mistake that people make, or empty."""
        if self.registers == ("rtmr1",):
            return (
                "firmware, command line and initrd are this image's: a VM of less than 2816 MiB other than 2048 MiB has"
                " an RTMR1 of its own, which `twinproof image measure --memory MIB` records"
            )
        return ""


def match_image(report: Measured, images: Iterable[OsImage]) -> OsImage | None:
    """The first image whose recorded values hold all three registers; one without recorded values never matches."""
    return next((image for image in images if image.measured and not _differing(report, image)), None)


def image_differences(report: Measured, images: Iterable[OsImage]) -> tuple[ImageDifference, ...]:
    """Why no image matched, the nearest one first; images without recorded registers are left out."""
    found = [ImageDifference(image, _differing(report, image)) for image in images if image.measured]
    return tuple(sorted((item for item in found if item.registers), key=lambda item: len(item.registers)))


def _differing(report: Measured, image: OsImage) -> tuple[str, ...]:
    return tuple(name for name in REGISTERS if getattr(report, name) not in getattr(image, name))
