"""Comparing the event log with the quote's registers."""

from __future__ import annotations

from twinproof.dstack.event_log import EventLog
from twinproof.errors import Forged
from twinproof.ledger import Line
from twinproof.tdx.report import TdReport
from twinproof.verdict import Parts

__all__ = ["check_firmware_registers", "check_runtime_register"]

ACPI_EVENT_TYPE = 10
ACPI_EVENTS = 3
STRIPPED = (
    "this evidence carries a stripped event log (the runtime events and at most the three ACPI digests), so RTMR0-2"
    " stand in the quote but were not replayed"
)


def check_runtime_register(report: TdReport, log: EventLog, entry: Line) -> None:
    """RTMR3 from recomputed digests. Never optional: no log is stripped of its runtime events."""
    entry.parts = log.once(_measured)
    entry.expected = report.rtmr3.hex()
    entry.got = _must_lead_to(log, 3, report.rtmr3).hex()


def check_firmware_registers(report: TdReport, log: EventLog, entry: Line) -> None:
    """RTMR0-2 from the digests in the log; `not_checked` for the two forms in which dstack strips them."""
    registers = (report.rtmr0, report.rtmr1, report.rtmr2)
    entry.parts = tuple(
        [(f"RTMR{imr}", (f"{len(log.of(imr))} events, quote ", register)) for imr, register in enumerate(registers)]
    )
    if _is_stripped(log) and any(log.replay(imr) != register for imr, register in enumerate(registers)):
        entry.not_checked = STRIPPED
        return
    for imr, register in enumerate(registers):
        _must_lead_to(log, imr, register)


def _measured(log: EventLog) -> Parts:
    """What was hashed into RTMR3, event by event, for `--explain`."""
    return tuple(
        (f"event {index} {event.event}", ("SHA-384 over ", event.hashed, " = ", event.measured))
        for index, event in enumerate(log.runtime)
    )


def _is_stripped(log: EventLog) -> bool:
    """Certificates and V0 attestations keep RTMR3's events, and since 0.6 the three ACPI events of RTMR0 beside them.

    Anything in between is no form that dstack makes: a log with some of its events cut out.
    """
    firmware = log.of(0)
    acpi_only = len(firmware) == ACPI_EVENTS and all(event.event_type == ACPI_EVENT_TYPE for event in firmware)
    return (not firmware or acpi_only) and not log.of(1) and not log.of(2)


def _must_lead_to(log: EventLog, imr: int, register: bytes) -> bytes:
    """The register replayed. Raises Forged when it is not the quote's."""
    replayed = log.replay(imr)
    if replayed != register:
        raise Forged(
            f"the events do not lead to the quote's RTMR{imr}",
            where=f"event log, {len(log.of(imr))} events of RTMR{imr}",
            got=replayed.hex(),
            expected=register.hex(),
            hint="an event was changed, added, left out or moved after it was measured, or the log is another boot's",
        )
    return replayed
