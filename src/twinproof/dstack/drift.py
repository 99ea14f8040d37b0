"""Two machines, two values of one register: at which event did they part, and what does that event vary with?

Registers only say that something differs; the log says what, because its digests lead to the register. Events are known
by their place in the layout of dstack's firmware, and in any other layout by their type.

Source: TCG PC Client Platform Firmware Profile 10.4.1 (event types); dstack-mr (what each event depends on).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest

from twinproof.dstack.event_log import Event, EventLog
from twinproof.dstack.image_logs import RTMR1_EVENTS, RTMR2_EVENTS
from twinproof.dstack.lite_registers import RTMR0_EVENTS

__all__ = ["Drift", "first_drift"]

_LAYOUTS = {0: RTMR0_EVENTS, 1: RTMR1_EVENTS, 2: RTMR2_EVENTS}
_TYPES = {
    4: "separator",
    6: "kernel command line or initrd",
    10: "ACPI tables or QEMU's settings",
    0x80000001: "variable of the firmware",
    0x80000002: "boot entry",
    0x80000003: "kernel",
    0x80000007: "step of the boot",
    0x8000000A: "firmware volume",
    0x8000000B: "td_hob",
    0x800000E0: "variable authority",
}
_FIRMWARE = "the firmware or its settings"
_HARDWARE = "vCPU count, memory size, GPUs and other devices, QEMU version"
_VARIES_WITH = {
    "td_hob": "memory size",
    "acpi-loader": _HARDWARE,
    "acpi-rsdp": _HARDWARE,
    "acpi-tables": _HARDWARE,
    _TYPES[10]: _HARDWARE,
    "kernel": "image; memory size below 2.75 GiB, and from QEMU 10.2 on the QEMU version",
    "kernel command line": "image, whose root file system it names",
    "initrd": "image",
    _TYPES[6]: "image",
}


@dataclass(frozen=True, slots=True)
class Drift:
    """`index` counts the register's own events from 0."""

    index: int
    event: str
    varies_with: str

    def __str__(self) -> str:
        return f"event {self.index}, {self.event} (varies with: {self.varies_with})"


def first_drift(imr: int, first: EventLog, other: EventLog) -> Drift | None:
    """The first event of this register that the logs do not share; None where the register's events are the same.

    For RTMR0-2. Both logs must lead to their registers: otherwise the answer is as good as whoever wrote them.
    """
    ours, theirs = first.of(imr), other.of(imr)
    named = _LAYOUTS[imr] if len(ours) == len(theirs) == len(_LAYOUTS[imr]) else ()
    for index, pair in enumerate(zip_longest(ours, theirs)):
        there = [event for event in pair if event is not None]
        if len({event.measured for event in there}) > 1 or len(there) == 1:
            event = named[index] if named else _by_type(there[0])
            return Drift(index, event, _VARIES_WITH.get(event, _FIRMWARE))
    return None


def _by_type(event: Event) -> str:
    return _TYPES.get(event.event_type, f"type {event.event_type:#x}")
