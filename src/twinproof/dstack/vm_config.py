"""The VM's declared shape: image, CPUs, memory. The host wrote it; it means something only where a register agrees.

A versioned attestation of form V0 may carry the whole sys-config instead, with the VM configuration nested in it as a
JSON text; then the sys-config's `mr_config` document is kept as well.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

from twinproof.errors import Malformed
from twinproof.memo import remembered
from twinproof.wire import Fields, parse_object

__all__ = ["TdxMeasurement", "VmConfig", "parse_vm_config"]

MAX_VM_CONFIG_BYTES = 1 << 20
MAX_FILE_CHARS = 128 << 10


class TdxMeasurement(NamedTuple):
    """Two files of the image, which "TDX lite" guests carry: what its registers follow from."""

    checksum_file: bytes
    measurement: bytes


class VmConfig(NamedTuple):
    """`text` is the configuration as received, after unwrapping. Members that the text lacks are None."""

    text: str
    os_image_hash: bytes | None
    cpu_count: int | None
    memory_size: int | None
    """Bytes."""
    num_gpus: int | None
    qemu_version: str | None
    image: str | None
    tdx_attestation_variant: str | None
    two_pass: bool | None = None
    """The member `qemu_single_pass_add_pages`: dstack takes true for two passes, against its name."""
    tdx_measurement: TdxMeasurement | None = None
    mr_config: str | None = None

    @property
    def shape(self) -> str:
        """The declared shape in words, for a reader who wonders why RTMR0 differs."""
        parts = []
        if self.cpu_count is not None:
            parts.append(f"{self.cpu_count} vCPU")
        if self.memory_size is not None:
            parts.append(f"{self.memory_size / (1 << 30):g} GiB")
        if self.num_gpus:
            parts.append(f"{self.num_gpus} GPU")
        if self.qemu_version is not None:
            parts.append(f"QEMU {self.qemu_version}")
        return ", ".join(parts) or "no shape declared"


@remembered
def parse_vm_config(text: str) -> VmConfig:
    """Read the members used here; others are the VMM's. Raises Malformed."""
    fields = parse_object(text, "vm_config", max_bytes=MAX_VM_CONFIG_BYTES)
    if "vm_config" not in fields:
        return _read(fields, text, None)
    mr_config = fields.optional_text("mr_config") if fields.raw.get("mr_config") is not None else None
    nested = fields.text("vm_config")
    inner = parse_object(nested, "vm_config.vm_config", max_bytes=MAX_VM_CONFIG_BYTES)
    if "vm_config" in inner:
        raise Malformed("a sys-config inside a sys-config", where="vm_config.vm_config")
    return _read(inner, nested, mr_config)


def _read(fields: Fields, text: str, mr_config: str | None) -> VmConfig:
    image_hash = fields.hex("os_image_hash", max_size=32) if _set(fields, "os_image_hash") else None
    if image_hash is not None and len(image_hash) not in (0, 32):
        raise Malformed("neither 32 bytes nor empty", where=f"{fields.where}.os_image_hash")
    return VmConfig(
        text=text,
        os_image_hash=image_hash or None,
        cpu_count=fields.integer("cpu_count", high=1 << 20) if _set(fields, "cpu_count") else None,
        memory_size=fields.integer("memory_size") if _set(fields, "memory_size") else None,
        num_gpus=fields.integer("num_gpus", high=1 << 16) if _set(fields, "num_gpus") else None,
        qemu_version=_short(fields, "qemu_version"),
        image=_short(fields, "image"),
        tdx_attestation_variant=_short(fields, "tdx_attestation_variant"),
        two_pass=fields.boolean("qemu_single_pass_add_pages") if _set(fields, "qemu_single_pass_add_pages") else None,
        tdx_measurement=_measurement(fields.child("tdx_measurement")) if _set(fields, "tdx_measurement") else None,
        mr_config=mr_config,
    )


def _measurement(fields: Fields) -> TdxMeasurement:
    return TdxMeasurement(_base64(fields, "checksum_file"), _base64(fields, "measurement"))


def _base64(fields: Fields, name: str) -> bytes:
    """Standard alphabet, padded, and nothing that decodes to the same bytes in another spelling."""
    text, where = fields.text(name, max_chars=MAX_FILE_CHARS), f"{fields.where}.{name}"
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:  # ValueError: not ASCII
        raise Malformed("not base64", where=where) from error
    if base64.b64encode(data).decode() != text:
        raise Malformed("not the canonical form of base64", where=where)
    return data


def _set(fields: Fields, name: str) -> bool:
    """Optional members of this format are absent or null."""
    return fields.raw.get(name) is not None


def _short(fields: Fields, name: str) -> str | None:
    return fields.text(name, max_chars=256) if _set(fields, name) else None
