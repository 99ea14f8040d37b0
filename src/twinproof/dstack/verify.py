"""What runs in this VM? The second question, asked only of a quote that was already found genuine.

1. dstack.event_log_format    2. dstack.event_digests    3. dstack.rtmr3_replay    4. dstack.rtmr0_2_replay
5. dstack.boot_events         6. dstack.compose_hash     7. dstack.mr_config_id    8. dstack.app_id
9. dstack.os_image_hash      10. dstack.key_provider    11. dstack.unmeasured_inputs   12. dstack.guest_claims

1, 2, 3 and 5 are a straight line: the first that fails ends it. The rest are independent questions about a boot that is
then known, so each is answered even when another fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from twinproof.dstack.app_compose import AppCompose
from twinproof.dstack.boot import Boot, read_boot
from twinproof.dstack.compose_steps import check_compose_hash, check_mr_config_id, list_unmeasured, read_compose
from twinproof.dstack.event_log import Event, EventLog, parse_event_log
from twinproof.dstack.identity_steps import check_app_id, check_key_provider
from twinproof.dstack.image_steps import check_os_image
from twinproof.dstack.known_boots import (
    KnownDeployment,
    KnownFirmware,
    KnownLog,
    deployment_key,
    find_deployment,
    keep_deployment,
)
from twinproof.dstack.measurements import mr_aggregated
from twinproof.dstack.plan import NO_EVENT_LOG, PLAN
from twinproof.dstack.replay import check_firmware_registers, check_runtime_register
from twinproof.dstack.unmeasured import Notice
from twinproof.dstack.vm_config import VmConfig
from twinproof.ledger import Ledger
from twinproof.tdx.report import TdReport
from twinproof.wire import shown

if TYPE_CHECKING:  # most evidence has no Info answer
    from twinproof.dstack.guest_info import GuestInfo

__all__ = ["PLAN", "DstackAppraisal", "appraise"]

NEED_THE_LOG = tuple(
    f"dstack.{name}"
    for name in (
        "event_log_format",
        "event_digests",
        "rtmr3_replay",
        "rtmr0_2_replay",
        "boot_events",
        "app_id",
        "key_provider",
    )
)
OF_THE_LOG = ("dstack.event_log_format", "dstack.event_digests", "dstack.rtmr3_replay", "dstack.boot_events")
OF_THE_DEPLOYMENT = tuple(
    f"dstack.{name}"
    for name in (
        "compose_hash",
        "mr_config_id",
        "app_id",
        "os_image_hash",
        "image_registers",
        "key_provider",
        "unmeasured_inputs",
    )
)
NO_GUEST_INFO = "no Info answer of the guest agent in this evidence"


class DstackAppraisal(NamedTuple):
    """What was measured. Hashes are 32 bytes."""

    boot: Boot
    app_compose: AppCompose | None
    """The measured text, read; None when it was not given or cannot be read."""
    vm_config: VmConfig | None
    mr_aggregated: bytes
    notices: tuple[Notice, ...]
    recomputed_image: bytes | None = None
    """os_image_hash of the image that the registers prove (32 bytes); None when they were not recomputed."""

    @property
    def compose_hash(self) -> bytes:
        return self.boot.compose_hash

    @property
    def os_image_hash(self) -> bytes | None:
        """The measured one. The hash in `vm_config` is the host's word and stays there."""
        return self.boot.os_image_hash

    @property
    def app_events(self) -> tuple[Event, ...]:
        return self.boot.app_events


def appraise(
    report: TdReport,
    event_log: EventLog | str | None,
    vm_config: str | None,
    app_compose: str | None,
    guest_info: GuestInfo | None,
    *,
    ledger: Ledger,
    device_id: bytes | None = None,
) -> DstackAppraisal | None:
    """Run the plan over a report whose quote is genuine; None when a step failed or there is no event log.

    `event_log` as text is parsed here, so that its errors belong to step 1. `device_id` is SHA-256 of the PPID, to hold
    the guest's claim against. An `app_compose` in the guest's answer serves when none is given: its hash must be the
    measured one anyway. Raises nothing because of the evidence.
    """
    if app_compose is None and guest_info is not None:
        app_compose = guest_info.app_compose
    log, boot = _read_log(report, event_log, ledger)
    if event_log is not None and boot is None:
        return None
    compose, vm, recomputed_image, notices = _read_deployment(
        report, log, boot, ledger, vm_config=vm_config, app_compose=app_compose
    )
    if guest_info is None:
        ledger.not_checked("dstack.guest_claims", NO_GUEST_INFO)
    else:
        with ledger.line("dstack.guest_claims") as entry:  # 13
            from twinproof.dstack.guest_claims import check_guest_claims  # noqa: PLC0415  (as above)

            compared = check_guest_claims(guest_info, report, log, boot, device_id)
            entry.explain("compared", ", ".join(compared))
    if boot is None or ledger.failed("dstack."):
        return None
    return DstackAppraisal(
        boot=boot,
        app_compose=compose,
        vm_config=vm,
        mr_aggregated=mr_aggregated(report),
        notices=notices,
        recomputed_image=recomputed_image,
    )


def _read_deployment(
    report: TdReport,
    log: EventLog | None,
    boot: Boot | None,
    ledger: Ledger,
    *,
    vm_config: str | None,
    app_compose: str | None,
) -> tuple[AppCompose | None, VmConfig | None, bytes | None, tuple[Notice, ...]]:
    """Steps 6 to 12."""
    key = None if log is None or boot is None else deployment_key(report, log, vm_config, app_compose, boot)
    known = find_deployment(key)
    if known is not None:
        ledger.adopt(known.checks)
        return known.app_compose, known.vm_config, known.recomputed_image, known.notices
    compose_is_measured = check_compose_hash(app_compose, boot, ledger)
    vm, recomputed_image = check_os_image(report, log, vm_config, boot, ledger)
    compose_is_configured = check_mr_config_id(report, app_compose, boot, vm, ledger)
    compose = read_compose(app_compose) if compose_is_measured or compose_is_configured else None
    if boot is not None:
        check_app_id(boot, compose, ledger)
        check_key_provider(boot, compose, ledger)
    notices = list_unmeasured(app_compose, compose_is_measured or compose_is_configured, ledger)
    if vm is not None and not ledger.failed("dstack."):
        checks = ledger.recorded(OF_THE_DEPLOYMENT)
        keep_deployment(key, KnownDeployment(checks, compose, vm, recomputed_image, notices))
    return compose, vm, recomputed_image, notices


def _read_log(
    report: TdReport, event_log: EventLog | str | None, ledger: Ledger
) -> tuple[EventLog | None, Boot | None]:
    """Steps 1 to 5."""
    if event_log is None:
        for step_id in NEED_THE_LOG:
            ledger.not_checked(step_id, NO_EVENT_LOG)
        return None, None
    if isinstance(event_log, EventLog):
        known = event_log.once(KnownLog)
        if known.boot is not None and known.rtmr3 == report.rtmr3:
            ledger.adopt(known.checks)
            _check_firmware(report, event_log, ledger)
            return event_log, known.boot
    with ledger.line("dstack.event_log_format") as line:  # 1
        log = parse_event_log(event_log) if isinstance(event_log, str) else event_log
        line.step("dstack.event_digests")  # 2
        supplied = log.once(EventLog.check_digests)
        line.explain("supplied", f"{supplied} of {len(log.runtime)} digests; all were recomputed")
        line.step("dstack.rtmr3_replay")  # 3
        check_runtime_register(report, log, line)
        _check_firmware(report, log, ledger)  # 4
        line.step("dstack.boot_events")  # 5
        boot = log.once(read_boot)
        line.explain("guest version by its events", " or ".join(boot.generations))
        for event in boot.app_events:
            line.explain(f"the app's own event {shown(event.event, 40)}", shown(event.payload.hex(), 200))
        if boot.app_events and (imitations := boot.imitations):
            line.warning = (
                f"after system-ready the app used the names of boot events again: {', '.join(imitations)};"
                " they were not used"
            )
        known = log.once(KnownLog)
    if not ledger.passed(*OF_THE_LOG):
        return None, None
    known.rtmr3, known.checks, known.boot = report.rtmr3, ledger.recorded(OF_THE_LOG), boot
    return log, boot


def _check_firmware(report: TdReport, log: EventLog, ledger: Ledger) -> None:
    """Step 4."""
    registers = (report.rtmr0, report.rtmr1, report.rtmr2)
    known = log.firmware.once(KnownFirmware)
    if known.registers == registers:
        ledger.adopt(known.checks)
        return
    with ledger.line("dstack.rtmr0_2_replay") as entry:
        check_firmware_registers(report, log, entry)
    if ledger.passed("dstack.rtmr0_2_replay"):
        known.checks, known.registers = ledger.recorded(("dstack.rtmr0_2_replay",)), registers
