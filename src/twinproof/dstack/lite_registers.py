"""Which registers an image has, by its measurement document: MRTD, and the logs of RTMR0, RTMR1 and RTMR2.

The document knows the image. The shape of the VM adds three things: the size of the memory (the TD HOB), the order in
which this QEMU adds pages (MRTD), and the ACPI tables that QEMU made. Only their digests are known, from the event log,
so they are taken as they are: whoever runs the machine chose them.

RTMR0 has the 13 events of firmware before edk2-stable202505. Source: dstack-mr `tdx.rs`, `tdvf.rs`, `machine.rs`.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import NamedTuple

from twinproof.dstack.event_log import Event
from twinproof.dstack.image_logs import SEPARATOR, rtmr1_log, rtmr2_log
from twinproof.dstack.measurement_document import MeasurementDocument, parse_measurement_document
from twinproof.dstack.td_hob import td_hob_digest
from twinproof.tdx.rtmr import replay

__all__ = [
    "ACPI_POSITIONS",
    "RTMR0_EVENTS",
    "AcpiDigests",
    "ImageRegisters",
    "acpi_digests",
    "adds_in_two_passes",
    "image_registers",
    "qemu_release",
    "rtmr0_log",
]

ACPI_EVENT_TYPE = 10
ACPI_POSITIONS = slice(8, 11)
RTMR0_EVENTS = (
    "td_hob",
    "firmware volume",
    *(f"variable {name}" for name in ("SecureBoot", "PK", "KEK", "db", "dbx")),
    "separator",
    *("acpi-loader", "acpi-rsdp", "acpi-tables"),
    *("variable BootOrder", "variable Boot0000"),
)
"""What each event of RTMR0 is, for messages."""
AcpiDigests = tuple[bytes, bytes, bytes]
"""Loader, RSDP and tables, 48 bytes each."""
_GLOBAL = bytes.fromhex("61dfe48b ca93 d211 aa0d 00e098032b8c")
"""The vendor of the boot variables as UEFI stores it: 8be4df61-93ca-11d2-aa0d-00e098032b8c, little-endian."""
_SECURITY = bytes.fromhex("cbb219d7 3a3d 9645 a3bc dad00e67656f")
"""The vendor of db and dbx: d719b2cb-3d3a-4596-a3bc-dad00e67656f."""
_RELEASE = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})", re.ASCII)
_ASSUMED_RELEASE = (9, 1, 0)
_SINGLE_PASS_SINCE = (9, 0, 0)
_OLDEST_RELEASE = (8, 0, 0)


def _unset_variable(vendor: bytes, name: str) -> bytes:
    """UEFI_VARIABLE_DATA of a variable without data: GUID, u64 length of name, u64 length of data, name."""
    sizes = len(name).to_bytes(8, "little") + bytes(8)
    return hashlib.sha384(vendor + sizes + name.encode("utf-16-le")).digest()


_FIRMWARE_VOLUME = bytes.fromhex(
    "344bc51c980ba621aaa00da3ed7436f7d6e549197dfe699515dfa2c6583d95e6412af21c097d473155875ffd561d6790"
)
_BOOT0000 = bytes.fromhex(
    "23ada07f5261f12f34a0bd8e46760962d6b4d576a416f1fea1c64bc656b1d28eacf7047ae6e967c58fd2a98bfa74c298"
)
_BEFORE_ACPI = (
    _FIRMWARE_VOLUME,
    *(_unset_variable(_GLOBAL, name) for name in ("SecureBoot", "PK", "KEK")),
    *(_unset_variable(_SECURITY, name) for name in ("db", "dbx")),
    SEPARATOR,
)
_AFTER_ACPI = (hashlib.sha384(bytes(2)).digest(), _BOOT0000)


def rtmr0_log(td_hob: bytes, acpi: AcpiDigests) -> tuple[bytes, ...]:
    """Thirteen digests of 48 bytes, from those of the TD HOB and of the ACPI data."""
    return (td_hob, *_BEFORE_ACPI, *acpi, *_AFTER_ACPI)


def acpi_digests(firmware: tuple[Event, ...]) -> AcpiDigests | None:
    """Those of RTMR0's events, whole or stripped to the three; None for any other layout.

    They are found by place: five events of another layout have the same type, and older guests name none.
    """
    if len(firmware) == len(RTMR0_EVENTS):
        firmware = firmware[ACPI_POSITIONS]
    if len(firmware) != 3 or any(event.event_type != ACPI_EVENT_TYPE for event in firmware):
        return None
    loader, rsdp, tables = firmware
    return loader.digest, rsdp.digest, tables.digest


@lru_cache(maxsize=64)
def qemu_release(text: str | None) -> tuple[int, int, int] | None:
    """The declared version as numbers, that of a text that is missing, or None for one that dstack does not know."""
    if text is None:
        return _ASSUMED_RELEASE
    match = _RELEASE.fullmatch(text)
    if match is None:
        return None
    major, minor, patch = map(int, match.groups())
    return (major, minor, patch) if (major, minor, patch) >= _OLDEST_RELEASE else None


def adds_in_two_passes(release: tuple[int, int, int], two_pass: bool | None) -> bool:
    """How QEMU adds the firmware's pages: in two passes until 8, in one since 9, unless vm_config says it.

    `two_pass` is vm_config's member `qemu_single_pass_add_pages`, which dstack reads against its name.
    """
    return release < _SINGLE_PASS_SINCE if two_pass is None else two_pass


class ImageRegisters(NamedTuple):
    """48 bytes each. RTMR0 is None where memory size or ACPI digests are not known."""

    document: MeasurementDocument
    rtmr0_log: tuple[bytes, ...] | None
    rtmr0: bytes | None
    rtmr1_log: tuple[bytes, ...]
    rtmr1: bytes
    rtmr2_log: tuple[bytes, ...]
    rtmr2: bytes


@lru_cache(maxsize=64)  # one platform boots few images in few shapes, and the result depends on these bytes alone
def image_registers(document: bytes, memory_size: int | None, acpi: AcpiDigests | None) -> ImageRegisters | int:
    """Recompute from a document's bytes; the number of a version that is not known here. `memory_size` is in bytes.

    Raises Malformed, which is not kept.
    """
    parsed = parse_measurement_document(document)
    if isinstance(parsed, int):
        return parsed
    log0 = None
    if memory_size is not None and acpi is not None:
        log0 = rtmr0_log(td_hob_digest(parsed.td_hob, memory_size), acpi)
    log1 = rtmr1_log(parsed.kernel_authenticode)
    log2 = rtmr2_log(parsed.cmdline_sha384, parsed.initrd_sha384)
    return ImageRegisters(
        document=parsed,
        rtmr0_log=log0,
        rtmr0=replay(log0) if log0 is not None else None,
        rtmr1_log=log1,
        rtmr1=replay(log1),
        rtmr2_log=log2,
        rtmr2=replay(log2),
    )
