"""What firmware and kernel measure before the guest is up: MRTD and the events of RTMR0, RTMR1 and RTMR2.

Layout, names and fixed values are those of a dstack guest; the digests of things that do not exist here (kernel,
initrd, ACPI tables) are hashes of their names, so one image always gives the same registers.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from uuid import UUID

from twinproof_devnet.event_log import Event

__all__ = ["Image", "Shape", "firmware_events", "vm_config"]

_GLOBAL_VARIABLE = UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
_IMAGE_SECURITY = UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
_TD_HOB, _FIRMWARE_BLOB, _VARIABLE, _BOOT_VARIABLE = 0x8000000B, 0x8000000A, 0x80000001, 0x80000002
_SEPARATOR, _PLATFORM_CONFIG, _EVENT_TAG = 4, 10, 6
_BOOT_APPLICATION, _ACTION = 0x80000003, 0x80000007
ACPI_NAMES = ("acpi-loader", "acpi-rsdp", "acpi-tables")


def _digest(*parts: str) -> bytes:
    return hashlib.sha384(("twinproof devnet\x00" + "\x00".join(parts)).encode()).digest()


@dataclass(frozen=True, slots=True)
class Image:
    """A guest image, by its name; `dev` images are another image of the same version."""

    version: str = "0.5.8"
    dev: bool = False

    @property
    def name(self) -> str:
        return f"dstack-{'dev-' if self.dev else ''}{self.version}"

    @property
    def os_image_hash(self) -> bytes:
        """SHA-256 of the image's list of checksums, 32 bytes."""
        files = ("bzImage", "initramfs.cpio.gz", "metadata.json", "ovmf.fd")
        lines = (f"{hashlib.sha256(f'{self.name}/{name}'.encode()).hexdigest()}  {name}\n" for name in files)
        return hashlib.sha256("".join(lines).encode()).digest()

    @property
    def command_line(self) -> str:
        rootfs = hashlib.sha256(f"{self.name}/rootfs".encode()).hexdigest()
        return f"console=ttyS0 init=/init panic=1 dstack.rootfs_hash={rootfs}"


@dataclass(frozen=True, slots=True)
class Shape:
    """The virtual machine that the host built. `memory_size` is in bytes."""

    cpu_count: int = 2
    memory_size: int = 4 << 30
    qemu_version: str = "9.2.1"

    def mrtd(self, image: Image) -> bytes:
        """Depends on the order in which QEMU adds the firmware's pages."""
        return _digest("MRTD", image.name, "two pass" if self.qemu_version.startswith("8.") else "single pass")


def _variable(vendor: UUID, name: str, kind: int = _VARIABLE, data: bytes = b"") -> Event:
    text = name.encode("utf-16-le")
    sizes = len(name).to_bytes(8, "little") + len(data).to_bytes(8, "little")
    payload = vendor.bytes_le + sizes + text + data
    return Event(0, kind, hashlib.sha384(payload).digest(), payload=payload)


def _hashed(imr: int, kind: int, payload: bytes) -> Event:
    return Event(imr, kind, hashlib.sha384(payload).digest(), payload=payload)


def firmware_events(image: Image, shape: Shape) -> tuple[Event, ...]:
    """In the order in which they are logged; the registers are interleaved as on real machines."""
    hardware = f"{shape.cpu_count} cpus, {shape.memory_size} bytes, qemu {shape.qemu_version}"
    acpi = [Event(0, _PLATFORM_CONFIG, _digest("ACPI", name, hardware), name, b"ACPI DATA") for name in ACPI_NAMES]
    command_line = (image.command_line + " initrd=initrd").encode("utf-16-le") + bytes(2)
    return (
        Event(0, _TD_HOB, _digest("TD HOB", str(shape.memory_size)), payload=b"\tTdxTable\x00"),
        Event(0, _FIRMWARE_BLOB, _digest("CFV", image.name), payload=b"CFV"),
        _variable(_GLOBAL_VARIABLE, "SecureBoot"),
        _variable(_GLOBAL_VARIABLE, "PK"),
        _variable(_GLOBAL_VARIABLE, "KEK"),
        _variable(_IMAGE_SECURITY, "db"),
        _variable(_IMAGE_SECURITY, "dbx"),
        _hashed(0, _SEPARATOR, bytes(4)),
        *acpi,
        Event(1, _BOOT_APPLICATION, _digest("kernel", image.name), payload=b"bzImage"),
        _variable(_GLOBAL_VARIABLE, "BootOrder", _BOOT_VARIABLE, bytes(2)),
        _variable(_GLOBAL_VARIABLE, "Boot0000", _BOOT_VARIABLE, image.name.encode()),
        _hashed(1, _ACTION, b"Calling EFI Application from Boot Option"),
        _hashed(1, _SEPARATOR, bytes(4)),
        Event(2, _EVENT_TAG, hashlib.sha384(command_line).digest(), payload=b"LOADED_IMAGE::LoadOptions"),
        Event(2, _EVENT_TAG, _digest("initrd", image.name), payload=b"Linux initrd"),
        _hashed(1, _ACTION, b"Exit Boot Services Invocation"),
        _hashed(1, _ACTION, b"Exit Boot Services Returned with Success"),
    )


def vm_config(image: Image, shape: Shape) -> str:
    """The host's description of the VM, JSON text."""
    return json.dumps(
        {
            "spec_version": 1,
            "os_image_hash": image.os_image_hash.hex(),
            "cpu_count": shape.cpu_count,
            "memory_size": shape.memory_size,
            "qemu_version": shape.qemu_version,
            "pci_hole64_size": 0,
            "hugepages": False,
            "num_gpus": 0,
            "num_nvswitches": 0,
            "hotplug_off": False,
            "image": image.name,
        },
        separators=(",", ":"),
    )
