"""Values that dstack derives from the quote's registers. All are SHA-256 over concatenations; nothing is trusted.

Source: dstack `dstack-attest`, `decode_app_info` and the KMS boot info; checked against real quotes.
"""

from __future__ import annotations

import hashlib

from twinproof.dstack.event_log import EventLog
from twinproof.errors import Malformed
from twinproof.tdx.report import TdReport
from twinproof.tdx.rtmr import REGISTER_SIZE, replay

__all__ = ["boottime_rtmr3", "mr_aggregated", "mr_image", "mr_key_provider", "mr_system"]


_UNCONFIGURED = bytes(3 * REGISTER_SIZE)


def _sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def mr_key_provider(payload: bytes | None) -> bytes:
    """SHA-256 of the exact `key-provider` payload, or 32 zero bytes when there is none."""
    return bytes(32) if payload is None else _sha256(payload)


def mr_system(report: TdReport, key_provider: bytes | None) -> bytes:
    """SHA-256(MRTD || RTMR0 || RTMR1 || RTMR2 || mr_key_provider); the boot-time form has no key provider."""
    return _sha256(report.mrtd, report.rtmr0, report.rtmr1, report.rtmr2, mr_key_provider(key_provider))


def mr_aggregated(report: TdReport, rtmr3: bytes | None = None) -> bytes:
    """SHA-256 over MRTD and RTMR0-3, and the three configuration ids unless all are zero.

    `rtmr3` replaces the quote's for the boot-time form (`boottime_rtmr3`).
    """
    configuration = report.mr_config_id + report.mr_owner + report.mr_owner_config
    return _sha256(
        report.mrtd,
        report.rtmr0,
        report.rtmr1,
        report.rtmr2,
        report.rtmr3 if rtmr3 is None else rtmr3,
        configuration if configuration != _UNCONFIGURED else b"",
    )


def boottime_rtmr3(log: EventLog) -> bytes:
    """RTMR3 as it stood after the first `boot-mr-done`, 48 bytes. Raises Malformed when there was none."""
    names = [event.event for event in log.runtime]
    if "boot-mr-done" not in names:
        raise Malformed("no boot-mr-done event", where="event log")
    return replay(event.measured for event in log.runtime[: names.index("boot-mr-done") + 1])


def mr_image(report: TdReport) -> bytes:
    """SHA-256(MRTD || RTMR1 || RTMR2): firmware, kernel, command line and initrd, whatever the VM's shape.

    TDX has no MRENCLAVE; this 32-byte value stands in the row that readers know under that name.
    """
    return _sha256(report.mrtd, report.rtmr1, report.rtmr2)
