"""The first event that drifted is named, with what it varies with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from small_boot import FIRMWARE, Boot
from small_cbor import digest
from small_lite import COMMAND_LINE, GIB, INITRD, KERNEL, LiteVm
from twinproof.dstack.drift import Drift, first_drift
from twinproof.dstack.event_log import EventLog, parse_event_log


def log(boot: Boot) -> EventLog:
    return parse_event_log(boot.log())


def changed(*indexes: int) -> EventLog:
    boot = LiteVm().boot
    for index in indexes:
        boot.measured[index] = digest(f"another {index}")
    return log(boot)


HONEST = log(LiteVm().boot)


@pytest.mark.parametrize("imr", [0, 1, 2])
def test_one_boot_does_not_drift_from_itself(imr: int) -> None:
    assert first_drift(imr, HONEST, HONEST) is None


@pytest.mark.parametrize(
    ("index", "imr", "event", "varies_with"),
    [
        (0, 0, "td_hob", "memory size"),
        (1, 0, "firmware volume", "the firmware or its settings"),
        (2, 0, "variable SecureBoot", "the firmware or its settings"),
        (8, 0, "acpi-loader", "vCPU count, memory size, GPUs and other devices, QEMU version"),
        (9, 0, "acpi-rsdp", "vCPU count, memory size, GPUs and other devices, QEMU version"),
        (10, 0, "acpi-tables", "vCPU count, memory size, GPUs and other devices, QEMU version"),
        (12, 0, "variable Boot0000", "the firmware or its settings"),
        (KERNEL, 1, "kernel", "image; memory size below 2.75 GiB, and from QEMU 10.2 on the QEMU version"),
        (14, 1, "boot option called", "the firmware or its settings"),
        (COMMAND_LINE, 2, "kernel command line", "image, whose root file system it names"),
        (INITRD, 2, "initrd", "image"),
    ],
)
def test_each_event_is_named_with_what_it_varies_with(index: int, imr: int, event: str, varies_with: str) -> None:
    place = index - {0: 0, 1: KERNEL, 2: COMMAND_LINE}[imr]
    assert first_drift(imr, HONEST, changed(index)) == Drift(place, event, varies_with)
    assert [first_drift(other, HONEST, changed(index)) for other in {0, 1, 2} - {imr}] == [None, None]


def test_only_the_first_of_several_is_told() -> None:
    found = first_drift(0, HONEST, changed(12, 9, 10))
    assert str(found).startswith("event 9, acpi-rsdp (varies with: vCPU count")


def test_more_memory_shows_in_the_td_hob_first() -> None:
    found = first_drift(0, HONEST, log(LiteVm(4 * GIB).boot))
    assert found == Drift(0, "td_hob", "memory size")


@pytest.mark.parametrize(
    ("place", "event"), [(0, "td_hob"), (1, "separator"), (2, "ACPI tables or QEMU's settings"), (5, "kernel")]
)
def test_in_another_layout_events_are_known_by_their_type(place: int, event: str) -> None:
    boot = Boot()
    other = replace(boot, measured={place: digest("another")})
    found = first_drift(FIRMWARE[place][0], log(boot), log(other))
    assert found is not None
    assert found.event == event


def test_an_event_that_only_one_has_is_where_they_part() -> None:
    longer = Boot(firmware=[*FIRMWARE, (2, 6), (0, 0x800000E0)])
    assert first_drift(2, log(Boot()), log(longer)) == Drift(2, "kernel command line or initrd", "image")
    found = first_drift(0, log(longer), log(Boot()))
    assert found is not None
    assert (found.index, found.event) == (5, "variable authority")


def test_a_type_that_nobody_knows_is_told_by_its_number() -> None:
    boot = Boot(firmware=[(0, 0x1234)])
    found = first_drift(0, log(boot), log(replace(boot, measured={0: digest("another")})))
    assert found is not None
    assert (found.event, found.varies_with) == ("type 0x1234", "the firmware or its settings")
