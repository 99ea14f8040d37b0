"""`dstack.image_registers`: all four registers recomputed, the first event that differs named, every gap said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from small_boot import NO_PROVIDER, Boot, judged
from small_cbor import Value, checksums, digest, document, image, in_vm_config, tdvf
from small_lite import ACPI, COMMAND_LINE, GIB, INITRD, KERNEL, LAYOUT, LiteVm
from twinproof.dstack.attestation import parse_versioned_attestation
from twinproof.dstack.get_quote import parse_quote_answer
from twinproof.dstack.lite_registers import adds_in_two_passes, qemu_release
from twinproof.dstack.plan import PLAN
from twinproof.dstack.verify import DstackAppraisal, appraise
from twinproof.ledger import Ledger
from twinproof.tdx.quote import parse_quote
from twinproof.tdx.report import TdReport
from twinproof.verdict import Check, Status

ALL_FOUR = ("recomputed", "MRTD, RTMR0, RTMR1, RTMR2")
ACPI_SHAPE = ("ACPI tables", "digests taken from the log, shape not verified")
REAL_IMAGE = "e6f5cfec20c02e7b97baa213d0f718020b55e040172d90ccbcb946d56c8b09db"


def check(vm: LiteVm, boot: Boot | None = None, log: str | None = "") -> tuple[DstackAppraisal | None, Check]:
    appraisal, checks = judged(boot or vm.boot, log, vm_config=vm.vm_config)
    return appraisal, checks["image_registers"]


def refused(vm: LiteVm, boot: Boot | None = None) -> Check:
    appraisal, found = check(vm, boot)
    assert appraisal is None
    assert found.status is Status.FAIL
    return found


def unproved(vm: LiteVm, boot: Boot | None = None, log: str | None = "") -> str:
    appraisal, found = check(vm, boot, log)
    assert found.status is Status.NOT_CHECKED
    assert appraisal is None or appraisal.recomputed_image is None
    return found.reason


def real(vectors: Path, name: str) -> tuple[DstackAppraisal | None, dict[str, Check]]:
    answer = parse_quote_answer((vectors / "dstack/verifier" / name).read_text())
    quote, log, config = answer.quote, answer.event_log, answer.vm_config
    ledger = Ledger(PLAN)
    if answer.attestation is not None:
        attestation = parse_versioned_attestation(answer.attestation)
        report = parse_quote(attestation.quote).report
        assert isinstance(report, TdReport)
        appraisal = appraise(report, attestation.event_log, attestation.config, None, None, ledger=ledger)
    else:
        assert quote is not None
        report = parse_quote(quote).report
        assert isinstance(report, TdReport)
        appraisal = appraise(report, log, config, None, None, ledger=ledger)
    return appraisal, {item.id: item for item in ledger.checks()}


@pytest.mark.vectors
@pytest.mark.parametrize("name", ["tdx-lite-getquote.json", "tdx-lite-attestation.json"])
def test_all_four_registers_of_a_real_lite_guest_are_recomputed_from_its_document(vectors: Path, name: str) -> None:
    appraisal, checks = real(vectors, name)
    found = checks["dstack.image_registers"]
    assert (found.status, found.got) == (Status.PASS, REAL_IMAGE)
    assert found.detail == (ALL_FOUR, ACPI_SHAPE)
    assert appraisal is not None
    assert appraisal.recomputed_image == bytes.fromhex(REAL_IMAGE)


@pytest.mark.vectors
def test_where_the_kms_named_another_image_the_report_says_which_one_booted(vectors: Path) -> None:
    _, checks = real(vectors, "tdx-lite-getquote.json")
    named = checks["dstack.os_image_hash"]
    assert named.status is Status.WARN
    assert named.reason.endswith("the first booted: its registers were recomputed")
    assert named.reason.index(REAL_IMAGE) < named.reason.index("07a2388c")


@pytest.mark.vectors
def test_a_real_legacy_guest_cannot_be_recomputed_and_says_so(vectors: Path) -> None:
    appraisal, checks = real(vectors, "quote-report.json")
    found = checks["dstack.image_registers"]
    assert found.status is Status.NOT_CHECKED
    assert "no measurement document (tdx_measurement), as legacy images have none" in found.reason
    assert appraisal is not None
    assert appraisal.recomputed_image is None


@pytest.mark.parametrize("memory", [2 * GIB, 0xB0000000, 4 * GIB, 64 * GIB])
@pytest.mark.parametrize("qemu", ["8.2.2", "9.2.1", None])
def test_the_image_is_proved_in_every_shape_that_the_document_speaks_for(memory: int, qemu: str | None) -> None:
    vm = LiteVm(memory, qemu)
    appraisal, found = check(vm)
    assert (found.status, found.detail) == (Status.PASS, (ALL_FOUR, ACPI_SHAPE))
    assert appraisal is not None
    assert appraisal.recomputed_image == appraisal.os_image_hash == vm.image_hash


def test_a_guest_without_a_kms_answer_has_its_image_proved_all_the_same() -> None:
    vm = LiteVm()
    boot = vm.boot.without("os-image-hash").with_payload("key-provider", NO_PROVIDER)
    _, checks = judged(boot, vm_config=vm.vm_config, app_compose=None)
    assert checks["image_registers"].status is Status.PASS
    assert checks["os_image_hash"].status is Status.NOT_CHECKED
    assert checks["os_image_hash"].reason.endswith("the registers prove it")


@pytest.mark.parametrize(
    ("index", "where"),
    [
        (0, "RTMR0 event 0, td_hob"),
        (1, "RTMR0 event 1, firmware volume"),
        (2, "RTMR0 event 2, variable SecureBoot"),
        (3, "RTMR0 event 3, variable PK"),
        (4, "RTMR0 event 4, variable KEK"),
        (5, "RTMR0 event 5, variable db"),
        (6, "RTMR0 event 6, variable dbx"),
        (7, "RTMR0 event 7, separator"),
        (11, "RTMR0 event 11, variable BootOrder"),
        (12, "RTMR0 event 12, variable Boot0000"),
        (KERNEL, "RTMR1 event 0, kernel"),
        (14, "RTMR1 event 1, boot option called"),
        (15, "RTMR1 event 2, separator"),
        (16, "RTMR1 event 3, exit boot services"),
        (17, "RTMR1 event 4, exit boot services done"),
        (COMMAND_LINE, "RTMR2 event 0, kernel command line"),
        (INITRD, "RTMR2 event 1, initrd"),
    ],
)
def test_one_flipped_byte_in_a_measured_digest_is_found_and_named(index: int, where: str) -> None:
    vm = LiteVm()
    boot = vm.boot
    honest = boot.measured[index]
    boot.measured[index] = honest[:20] + bytes([honest[20] ^ 1]) + honest[21:]
    found = refused(vm, boot)
    assert found.error == "Contradiction"
    assert found.reason.startswith(f"{where}: the quote's {where[:5]} is not what this image produces: ")
    assert (found.got, found.expected) == (boot.measured[index].hex(), honest.hex())


@pytest.mark.parametrize("index", ACPI)
def test_other_acpi_tables_are_not_told_apart_and_the_check_says_so(index: int) -> None:
    vm = LiteVm()
    boot = vm.boot
    boot.measured[index] = digest("tables of another shape")
    _, found = check(vm, boot)
    assert found.status is Status.PASS
    assert ACPI_SHAPE in found.detail


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        (document(image=image(kernel_authenticode=digest("other"))), "RTMR1 event 0, kernel"),
        (document(image=image(cmdline_sha384=digest("other"))), "RTMR2 event 0, kernel command line"),
        (document(image=image(initrd_sha384=digest("other"))), "RTMR2 event 1, initrd"),
        (document(tdvf=tdvf(td_hob=bytes.fromhex("80100901000a"))), "RTMR0 event 0, td_hob"),
        (document(tdvf=tdvf(mrtd={"single_pass": digest("single pass"), "two_pass": digest("other")})), "MRTD"),
    ],
)
def test_the_document_of_another_image_is_a_contradiction(changed: dict[str, Value], where: str) -> None:
    vm = LiteVm(document=changed)
    found = refused(vm, vm.boot)
    assert (found.error, found.reason.split(":")[0]) == ("Contradiction", where)


def test_another_memory_size_than_the_declared_one_shows_in_the_td_hob() -> None:
    booted = LiteVm(4 * GIB)
    found = refused(LiteVm(8 * GIB), booted.boot)
    assert found.reason.startswith("RTMR0 event 0, td_hob")
    assert "the memory has another size than vm_config declares" in found.reason


def test_the_other_page_order_is_told_from_another_firmware() -> None:
    found = refused(LiteVm(qemu="9.2.1"), LiteVm(qemu="8.2.2").boot)
    assert found.reason.startswith("MRTD: ")
    assert "another QEMU runs than vm_config declares" in found.reason
    stranger = replace(LiteVm().boot, mrtd=digest("somebody's firmware"))
    assert "another firmware was loaded than the image's" in refused(LiteVm(), stranger).reason


@pytest.mark.parametrize(("two_pass", "qemu"), [(True, "9.2.1"), (False, "8.2.2")])
def test_the_member_single_pass_means_two_passes(two_pass: bool, qemu: str) -> None:
    """`qemu_single_pass_add_pages: true` chooses two passes in dstack, and overrides the QEMU version."""
    boot = LiteVm(qemu="8.2.2" if two_pass else "9.2.1").boot
    vm = LiteVm(qemu=qemu, declared={"qemu_single_pass_add_pages": two_pass})
    assert check(vm, boot)[1].status is Status.PASS
    refused(LiteVm(qemu=qemu, declared={"qemu_single_pass_add_pages": not two_pass}), boot)


def test_the_page_order_follows_the_qemu_version() -> None:
    releases = [qemu_release(text) for text in ("8.0.0", "8.2.2", "9.0.0", "10.1.0", None)]
    assert [release and adds_in_two_passes(release, None) for release in releases] == [True, True, False, False, False]
    assert [qemu_release(text) for text in ("7.2.0", "8.2", "8.2.2+ds", "", "x", "٨.2.2")] == [None] * 6


def in_document(vm: LiteVm, **changes: object) -> LiteVm:
    members = in_vm_config(vm.encoded)["tdx_measurement"]
    assert isinstance(members, dict)
    return replace(vm, declared={**vm.declared, "tdx_measurement": {**members, **changes}})


def test_an_image_that_is_not_the_checksum_files_is_a_contradiction() -> None:
    found = refused(LiteVm(declared={"os_image_hash": "22" * 32}))
    assert found.error == "Contradiction"
    assert "the checksum file is not the one of the image that vm_config names" in found.reason


def test_a_document_that_the_checksum_file_does_not_list_is_a_contradiction() -> None:
    listed_elsewhere = checksums(b"another document")
    found = refused(LiteVm(declared=in_vm_config(LiteVm().encoded, listed_elsewhere)))
    assert found.error == "Contradiction"
    assert "not the one that the checksum file lists" in found.reason


def test_a_doubled_line_in_the_checksum_file_is_malformed_whatever_hash_it_has() -> None:
    vm = LiteVm()
    found = refused(LiteVm(declared=in_vm_config(vm.encoded, checksums(vm.encoded) * 2)))
    assert (found.error, "a file listed twice" in found.reason) == ("Malformed", True)


def test_another_line_in_the_checksum_file_makes_another_image_that_no_list_knows() -> None:
    vm = LiteVm()
    longer = checksums(vm.encoded) + f"{'0' * 64}  something\n".encode()
    appraisal, found = check(LiteVm(declared=in_vm_config(vm.encoded, longer)))
    assert found.status is Status.PASS
    assert appraisal is not None
    assert appraisal.recomputed_image not in (None, vm.image_hash)


@pytest.mark.parametrize("text", ["AAA", "AAAB*", "AAB=", " AAAB", "AAAB\n", "ä"])
def test_a_document_in_another_spelling_of_base64_is_malformed(text: str) -> None:
    appraisal, checks = judged(LiteVm().boot, vm_config=in_document(LiteVm(), measurement=text).vm_config)
    assert appraisal is None
    assert checks["os_image_hash"].error == "Malformed"
    assert checks["image_registers"].status is Status.NOT_CHECKED
    assert checks["image_registers"].reason == "blocked by dstack.os_image_hash"


def test_a_malformed_document_is_refused() -> None:
    broken = document(tdvf=tdvf(td_hob=b"\x80"))
    found = refused(LiteVm(document=broken))
    assert (found.error, "measurement.tdvf.td_hob" in found.reason) == ("Malformed", True)


@pytest.mark.parametrize("memory", [GIB, 2 * GIB + 4096, 0xB0000000 - 4096, (1 << 52) + 4096])
def test_other_memory_sizes_are_not_proved_and_the_reason_names_the_registers(memory: int) -> None:
    reason = unproved(LiteVm(declared={"memory_size": memory}))
    assert reason.startswith("MRTD, RTMR2 are this image's; RTMR0: the memory size is not one")
    assert "RTMR1: the memory size" in reason


def test_what_can_be_compared_is_compared_even_when_the_image_cannot_be_proved() -> None:
    vm = LiteVm(declared={"memory_size": GIB})
    boot = vm.boot
    boot.measured[INITRD] = digest("another initrd")
    assert refused(vm, boot).reason.startswith("RTMR2 event 1, initrd")


def test_no_memory_size_declared_proves_nothing() -> None:
    assert "RTMR0: the memory size" in unproved(LiteVm(declared={"memory_size": None}))


def test_an_unknown_qemu_version_leaves_mrtd_open() -> None:
    reason = unproved(LiteVm(declared={"qemu_version": "8.2.2-ubuntu\x1b"}))
    assert reason.startswith("RTMR0, RTMR1, RTMR2 are this image's; MRTD: QEMU 8.2.2-ubuntu? adds pages")


def test_the_unpatched_kernel_of_newer_qemu_is_a_gap_and_no_lie() -> None:
    vm = LiteVm(qemu="10.2.0")
    assert check(vm)[1].status is Status.PASS
    boot = vm.boot
    boot.measured[KERNEL] = digest("the kernel as it is in the file")
    assert "RTMR1: QEMU 10.2 and newer serve the kernel unpatched" in unproved(vm, boot)


def test_the_17_events_of_newer_firmware_are_a_gap_that_is_named() -> None:
    vm = LiteVm()
    boot = vm.boot
    layout = [*LAYOUT[:2], (0, 10), (0, 10), *LAYOUT[2:7], (0, 0x80000001), *LAYOUT[7:13], (0, 0x80000002)]
    measured = {len(layout) + index - 13: boot.measured[index] for index in range(13, 20)}
    boot = replace(boot, firmware=[*layout, *LAYOUT[13:]], measured=measured)
    reason = unproved(vm, boot)
    assert reason.startswith(
        "MRTD, RTMR1, RTMR2 are this image's; RTMR0: the log's events (the 17 of edk2-stable202505)"
    )


def test_a_firmware_variant_that_is_not_known_is_a_gap() -> None:
    reason = unproved(LiteVm(document=document(tdvf=tdvf(ovmf="stable202505"))))
    assert "RTMR0: the events of firmware variant stable202505 are not known" in reason


def test_a_document_of_another_version_is_a_gap() -> None:
    assert unproved(LiteVm(document={"version": 4})) == (
        "the measurement document is of version 4, which is not known here"
    )


def test_without_an_event_log_the_rest_is_compared() -> None:
    assert unproved(LiteVm(), log=None).startswith("MRTD, RTMR1, RTMR2 are this image's; RTMR0: no event log")


def test_a_log_stripped_to_the_acpi_events_is_enough() -> None:
    vm = LiteVm()
    stripped = [item for index, item in enumerate(vm.boot.entries()) if item["imr"] == 3 or index in ACPI]
    _, found = check(vm, log=json.dumps(stripped))
    assert found.status is Status.PASS


def test_a_log_without_events_cannot_name_the_one_that_differs() -> None:
    vm = LiteVm()
    boot = vm.boot
    boot.measured[KERNEL] = digest("another kernel")
    stripped = [item for index, item in enumerate(boot.entries()) if item["imr"] == 3 or index in ACPI]
    _, found = check(vm, boot, json.dumps(stripped))
    assert found.status is Status.FAIL
    assert found.reason.startswith("RTMR1: the quote's RTMR1 is not what this image produces: the log has 0 events")


@pytest.mark.parametrize("config", [None, ""])
def test_without_a_vm_config_there_is_no_document(config: str | None) -> None:
    _, checks = judged(Boot(), vm_config=config)
    assert checks["image_registers"].reason == "no vm_config in this evidence, so no measurement document of the image"


def test_a_document_without_a_named_image_proves_nothing() -> None:
    assert unproved(LiteVm(declared={"os_image_hash": None})).startswith("vm_config names no image")
