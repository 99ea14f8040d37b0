"""What firmware and kernel measure before the guest is up: MRTD and the events of RTMR0, RTMR1 and RTMR2.

Layout, names and fixed values are those of a dstack guest with firmware before edk2-stable202505. The ACPI tables do
not exist here: their digests are hashes of the shape that they would describe.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from dataclasses import dataclass
from uuid import UUID

from twinproof_devnet.event_log import Event
from twinproof_devnet.image import Image, synthetic
from twinproof_devnet.td_hob import td_hob_digest

__all__ = ["Shape", "firmware_events", "vm_config"]

_GLOBAL_VARIABLE = UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
_IMAGE_SECURITY = UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
_TD_HOB, _FIRMWARE_BLOB, _VARIABLE, _BOOT_VARIABLE = 0x8000000B, 0x8000000A, 0x80000001, 0x80000002
_SEPARATOR, _PLATFORM_CONFIG, _EVENT_TAG = 4, 10, 6
_BOOT_APPLICATION, _ACTION = 0x80000003, 0x80000007
ACPI_NAMES = ("acpi-loader", "acpi-rsdp", "acpi-tables")
_EMPTY_VARIABLE_STORE = bytes.fromhex(
    "344bc51c980ba621aaa00da3ed7436f7d6e549197dfe699515dfa2c6583d95e6412af21c097d473155875ffd561d6790"
)
_BOOT_FROM_KERNEL = bytes.fromhex(
    "23ada07f5261f12f34a0bd8e46760962d6b4d576a416f1fea1c64bc656b1d28eacf7047ae6e967c58fd2a98bfa74c298"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The virtual machine that the host built. `memory_size` is in bytes."""

    cpu_count: int = 2
    memory_size: int = 4 << 30
    qemu_version: str = "9.2.1"

    def mrtd(self, image: Image) -> bytes:
        """QEMU 8 adds all pages of a section before it measures them."""
        return image.mrtd(two_pass=self.qemu_version.startswith("8."))


def _variable(vendor: UUID, name: str) -> Event:
    """One that is not set."""
    payload = vendor.bytes_le + len(name).to_bytes(8, "little") + bytes(8) + name.encode("utf-16-le")
    return _hashed(0, _VARIABLE, payload)


def _hashed(imr: int, kind: int, payload: bytes) -> Event:
    return Event(imr, kind, hashlib.sha384(payload).digest(), payload=payload)


def firmware_events(image: Image, shape: Shape) -> tuple[Event, ...]:
    """In the order in which they are logged; the registers are interleaved as on real machines."""
    hardware = f"{shape.cpu_count} cpus, {shape.memory_size} bytes, qemu {shape.qemu_version}"
    acpi = [Event(0, _PLATFORM_CONFIG, synthetic("ACPI", name, hardware), name, b"ACPI DATA") for name in ACPI_NAMES]
    return (
        Event(0, _TD_HOB, td_hob_digest(shape.memory_size), payload=b"\tTdxTable\x00"),
        Event(0, _FIRMWARE_BLOB, _EMPTY_VARIABLE_STORE, payload=b"CFV"),
        _variable(_GLOBAL_VARIABLE, "SecureBoot"),
        _variable(_GLOBAL_VARIABLE, "PK"),
        _variable(_GLOBAL_VARIABLE, "KEK"),
        _variable(_IMAGE_SECURITY, "db"),
        _variable(_IMAGE_SECURITY, "dbx"),
        _hashed(0, _SEPARATOR, bytes(4)),
        *acpi,
        Event(1, _BOOT_APPLICATION, image.booted_kernel_digest, payload=b"bzImage"),
        _hashed(0, _BOOT_VARIABLE, bytes(2)),
        Event(0, _BOOT_VARIABLE, _BOOT_FROM_KERNEL, payload=b"Boot0000"),
        _hashed(1, _ACTION, b"Calling EFI Application from Boot Option"),
        _hashed(1, _SEPARATOR, bytes(4)),
        Event(2, _EVENT_TAG, image.command_line_digest, payload=b"LOADED_IMAGE::LoadOptions"),
        Event(2, _EVENT_TAG, image.initrd_digest, payload=b"Linux initrd"),
        _hashed(1, _ACTION, b"Exit Boot Services Invocation"),
        _hashed(1, _ACTION, b"Exit Boot Services Returned with Success"),
    )


def vm_config(image: Image, shape: Shape) -> str:
    """The host's description of the VM, JSON text."""
    members: dict[str, object] = {
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
    }
    if not image.legacy:
        measurement = {"checksum_file": _base64(image.checksum_file), "measurement": _base64(image.document)}
        members |= {"tdx_attestation_variant": "lite", "tdx_measurement": measurement}
    return json.dumps(members, separators=(",", ":"))


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
