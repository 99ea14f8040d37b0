"""The steps about the OS image: which one is named, and do the registers prove it?

All four are recomputed. The image's own measurement document travels with the evidence, so a pass says which image
booted, and not that it is a good one: that is for the relying party's list of images to say.
"""

from __future__ import annotations

from collections.abc import Sequence

from twinproof.dstack.event_log import Event, EventLog
from twinproof.dstack.image_logs import RTMR1_EVENTS, RTMR2_EVENTS
from twinproof.dstack.known_boots import Deployment
from twinproof.dstack.lite_registers import (
    RTMR0_EVENTS,
    ImageRegisters,
    acpi_digests,
    adds_in_two_passes,
    image_registers,
    qemu_release,
)
from twinproof.dstack.measurement_document import check_checksum_file
from twinproof.dstack.plan import NO_EVENT_LOG
from twinproof.dstack.td_hob import supported_memory
from twinproof.dstack.vm_config import VmConfig, parse_vm_config
from twinproof.errors import Contradiction
from twinproof.ledger import Ledger, Line
from twinproof.tdx.report import TdReport
from twinproof.wire import shown

__all__ = ["check_image_registers", "check_os_image"]

NAMED, STEP = "dstack.os_image_hash", "dstack.image_registers"
NO_VM_CONFIG = "no vm_config in this evidence, so no measurement document of the image"
LEGACY = (
    "vm_config carries no measurement document (tdx_measurement), as legacy images have none: only known register"
    " values of the image, or its files, tell which one booted"
)
UNPROVED = "only a pinned image or recomputed registers tell which one booted"
UNNAMED = "vm_config names no image to hold its measurement document against"
OTHER_SIZE = "the memory size is not one that the document speaks for (exactly 2 GiB, or 2.75 GiB and more)"
SHAPE = "digests taken from the log, shape not verified"
KNOWN_OVMF = "pre202505"
EVENTS_SINCE_202505 = 17
UNPATCHED_KERNEL_SINCE = (10, 2, 0)
_MEANS = {
    "td_hob": "the memory has another size than vm_config declares, or the firmware is another",
    "kernel": "another kernel booted than the image's",
    "kernel command line": "another command line than the image's, which names the root file system",
    "initrd": "another initrd booted than the image's",
}


def check_os_image(
    report: TdReport, log: EventLog | None, vm_config: str | None, boot: Deployment | None, ledger: Ledger
) -> tuple[VmConfig | None, bytes | None]:
    """Steps 9 and 10; the VM configuration, read, and the image that the registers prove.

    The guest agent sends an empty text when the app keeps its configuration private.
    """
    measured = boot.os_image_hash if boot else None
    if not vm_config:
        ledger.not_checked(NAMED, "no vm_config in this evidence: nothing but the host could name the image")
        ledger.not_checked(STEP, NO_VM_CONFIG)
        return None, None
    vm = proved = None
    with ledger.line(NAMED) as entry:
        vm = parse_vm_config(vm_config)
        # Asked first: a contradiction between the two names reads differently once one of them is proved.
        proved = check_image_registers(report, log, vm, ledger)
        entry.explain("declared shape", vm.shape)
        entry.expected = measured.hex() if measured else ""
        entry.got = vm.os_image_hash.hex() if vm.os_image_hash else ""
        if measured is None:
            word = "the registers prove it" if proved else "the image is the host's word"
            entry.not_checked = f"no os-image-hash event (only a KMS answers one): {word}"
        elif vm.os_image_hash is None:
            entry.not_checked = "the vm_config names no image"
        elif vm.os_image_hash != measured:
            which = "the first booted: its registers were recomputed" if proved else UNPROVED
            entry.warning = f"the host names image {vm.os_image_hash.hex()}, the KMS allowed {measured.hex()}: {which}"
    return vm, proved


def check_image_registers(report: TdReport, log: EventLog | None, vm: VmConfig | None, ledger: Ledger) -> bytes | None:
    """Step 10; the os_image_hash (32 bytes) that the registers prove, or None. Whatever can be compared is compared."""
    if vm is None or vm.tdx_measurement is None or vm.os_image_hash is None:
        ledger.not_checked(STEP, _nothing_to_recompute(vm))
        return None
    proved = None
    with ledger.line(STEP) as entry:
        entry.got = vm.os_image_hash.hex()
        check_checksum_file(vm.tdx_measurement.checksum_file, vm.tdx_measurement.measurement, vm.os_image_hash)
        if _compare(report, log, vm, vm.tdx_measurement.measurement, entry):
            proved = vm.os_image_hash
    return proved


def _nothing_to_recompute(vm: VmConfig | None) -> str:
    if vm is None:
        return NO_VM_CONFIG
    return LEGACY if vm.tdx_measurement is None else UNNAMED


def _compare(report: TdReport, log: EventLog | None, vm: VmConfig, document: bytes, entry: Line) -> bool:
    """Whether all four registers are the image's. Raises Contradiction for the first that is not."""
    memory = vm.memory_size if vm.memory_size is not None and supported_memory(vm.memory_size) else None
    acpi = acpi_digests(log.of(0)) if log is not None else None
    image = image_registers(document, memory, acpi)
    if isinstance(image, int):
        entry.not_checked = f"the measurement document is of version {image}, which is not known here"
        return False
    same: list[str] = []
    gaps: list[str] = []
    for register, gap in (
        ("MRTD", _mrtd(report, vm, image)),
        ("RTMR0", _rtmr0(report, log, image, memory)),
        ("RTMR1", _rtmr1(report, log, vm, image, memory)),
        ("RTMR2", _rtmr2(report, log, image)),
    ):
        if gap:
            gaps.append(f"{register}: {gap}")
        else:
            same.append(register)
    entry.explain("recomputed", ", ".join(same) or "nothing")
    entry.explain("ACPI tables", SHAPE)
    if gaps:
        alike = f"{', '.join(same)} are this image's; " if same else ""
        entry.not_checked = f"{alike}{'; '.join(gaps)}"
    return not gaps


def _mrtd(report: TdReport, vm: VmConfig, image: ImageRegisters) -> str:
    release = qemu_release(vm.qemu_version)
    if release is None:
        return f"QEMU {shown(vm.qemu_version, 40)} adds pages in an order that is not known"
    expected, other = image.document.mrtd_single_pass, image.document.mrtd_two_pass
    if adds_in_two_passes(release, vm.two_pass):
        expected, other = other, expected
    if report.mrtd != expected:
        why = "the pages were added in the other order, so another QEMU runs than vm_config declares"
        raise Contradiction(
            _what("MRTD", why if report.mrtd == other else "another firmware was loaded than the image's"),
            where="MRTD",
            got=report.mrtd.hex(),
            expected=expected.hex(),
        )
    return ""


def _rtmr0(report: TdReport, log: EventLog | None, image: ImageRegisters, memory: int | None) -> str:
    if image.document.ovmf != KNOWN_OVMF:
        return f"the events of firmware variant {shown(image.document.ovmf, 40)} are not known"
    if log is None:
        return f"{NO_EVENT_LOG}, which has the digests of the ACPI tables"
    if memory is None:
        return OTHER_SIZE
    if image.rtmr0 is None or image.rtmr0_log is None:
        events = log.of(0)
        layout = "the 17 of edk2-stable202505" if len(events) == EVENTS_SINCE_202505 else f"{len(events)}"
        return f"the log's events ({layout}) are not the {len(RTMR0_EVENTS)} whose ACPI digests could be taken"
    if report.rtmr0 != image.rtmr0:
        raise _difference("RTMR0", RTMR0_EVENTS, log.of(0), image.rtmr0_log, got=report.rtmr0, expected=image.rtmr0)
    return ""


def _rtmr1(report: TdReport, log: EventLog | None, vm: VmConfig, image: ImageRegisters, memory: int | None) -> str:
    if memory is None:
        return OTHER_SIZE
    if report.rtmr1 != image.rtmr1:
        if (qemu_release(vm.qemu_version) or ()) >= UNPATCHED_KERNEL_SINCE:
            return "QEMU 10.2 and newer serve the kernel unpatched, and the document has the patched one's digest"
        events = log.of(1) if log is not None else ()
        raise _difference("RTMR1", RTMR1_EVENTS, events, image.rtmr1_log, got=report.rtmr1, expected=image.rtmr1)
    return ""


def _rtmr2(report: TdReport, log: EventLog | None, image: ImageRegisters) -> str:
    if report.rtmr2 != image.rtmr2:
        events = log.of(2) if log is not None else ()
        raise _difference("RTMR2", RTMR2_EVENTS, events, image.rtmr2_log, got=report.rtmr2, expected=image.rtmr2)
    return ""


def _difference(
    register: str, names: Sequence[str], events: Sequence[Event], log: Sequence[bytes], *, got: bytes, expected: bytes
) -> Contradiction:
    """The error, at the first event that is not the image's where the log has them all."""
    if len(events) == len(log):
        for index, (name, event, digest) in enumerate(zip(names, events, log, strict=True)):
            if event.digest != digest:
                return Contradiction(
                    _what(register, _MEANS.get(name, "the firmware or its settings are not the image's")),
                    where=f"{register} event {index}, {name}",
                    got=event.digest.hex(),
                    expected=digest.hex(),
                )
    why = f"the log has {len(events)} events of it where the image makes {len(log)}, so none can be named"
    return Contradiction(_what(register, why), where=register, got=got.hex(), expected=expected.hex())


def _what(register: str, why: str) -> str:
    return f"the quote's {register} is not what this image produces: {why}"
