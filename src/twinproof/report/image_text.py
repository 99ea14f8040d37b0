"""An OS image's measurements as an allow-list entry, as JSON, and the allow-list as lines."""

from __future__ import annotations

from collections.abc import Iterable

from twinproof.dstack.image_measurements import ImageMeasurements
from twinproof.dstack.measurement_document import DOCUMENT_NAME
from twinproof.dstack.os_image import REGISTERS, OsImage

__all__ = ["image_json", "image_line", "image_toml", "images_text"]


def image_toml(measured: ImageMeasurements) -> str:
    """`[[policy.images]]`, ready to be pasted into twinproof.toml; what a reader wants to know stands in comments."""
    image = measured.image
    facts = [
        f"dstack OS image {image.title}",
        f"root file system: dm-verity {measured.metadata.rootfs_hash.hex()}",
        f"kernel command line: {measured.metadata.command_line}",
    ]
    if measured.lite:
        facts.append(f"carries {DOCUMENT_NAME}, {_agreement(measured)}")
    if measured.unlisted:
        facts.append(f"not in sha256sum.txt: {', '.join(measured.unlisted)}")
    if image.dev:
        facts.append("whoever runs the machine can log in: refused unless allow_dev_images = true")
    return "\n".join((*(f"# {fact}" for fact in facts), *_entry(measured, image))) + "\n"


def _agreement(measured: ImageMeasurements) -> str:
    if measured.unknown_document is not None:
        return f"of version {measured.unknown_document}, which is not known here: it was not compared with the files"
    return "which agrees with the files: its evidence is verified without the registers below"


def _entry(measured: ImageMeasurements, image: OsImage) -> list[str]:
    mrtd = {
        "each page measured as it is added (QEMU 9 and newer)": measured.mrtd_single_pass,
        "all pages of a section added first (QEMU 8)": measured.mrtd_two_pass,
    }
    rtmr1 = {kernel.when: kernel.rtmr1 for kernel in measured.kernels}
    return [
        "[[policy.images]]",
        f'hash = "{image.hash.hex()}"',
        f'version = "{image.version}"',
        f"dev = {'true' if image.dev else 'false'}",
        *_values("mrtd", mrtd),
        *_values("rtmr1", rtmr1),
        *_values("rtmr2", {"the same for every VM": measured.rtmr2}),
    ]


def _values(name: str, values: dict[str, bytes]) -> list[str]:
    """One line for each value; values that are equal share it."""
    when = {value: " / ".join(text for text, other in values.items() if other == value) for value in values.values()}
    return [f"{name} = [", *(f'  "{value.hex()}", # {text}' for value, text in when.items()), "]"]


def image_json(measured: ImageMeasurements) -> dict[str, object]:
    """The entry under `image`, with the same names as in TOML, and what each value stands for."""
    return {
        "schema": "twinproof/image-measure/v1",
        "image": measured.image.to_json(),
        "command_line": measured.metadata.command_line,
        "rootfs_hash": measured.metadata.rootfs_hash.hex(),
        "mrtd_single_pass": measured.mrtd_single_pass.hex(),
        "mrtd_two_pass": measured.mrtd_two_pass.hex(),
        "rtmr1": [{"when": kernel.when, "value": kernel.rtmr1.hex()} for kernel in measured.kernels],
        "measurement_document": measured.lite,
        "unknown_document_version": measured.unknown_document,
        "unlisted": list(measured.unlisted),
    }


def image_line(image: OsImage) -> str:
    """Hash, version, kind, and how evidence is matched with it."""
    kind = "development" if image.dev else "production"
    matched = ", ".join(f"{len(getattr(image, name))} {name}" for name in REGISTERS) if image.measured else "by hash"
    return f"{image.hash.hex()}  {image.version:<12}  {kind:<11}  {matched}"


def images_text(images: Iterable[OsImage]) -> str:
    return "".join(f"{image_line(image)}\n" for image in images)
