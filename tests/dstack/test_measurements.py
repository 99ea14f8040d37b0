"""The values dstack derives from the registers, recomputed by hand."""

from __future__ import annotations

import hashlib

import pytest

from small_boot import KMS, Boot, extend, v1_digest
from twinproof.dstack.event_log import parse_event_log
from twinproof.dstack.measurements import boottime_rtmr3, mr_aggregated, mr_image, mr_key_provider, mr_system
from twinproof.errors import Malformed
from twinproof.tdx.report import TdReport

REPORT = Boot().report


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def test_no_key_provider_counts_as_zeros() -> None:
    assert mr_key_provider(None) == bytes(32)
    assert mr_key_provider(KMS) == sha256(KMS)


def test_mr_system_covers_firmware_kernel_and_key_provider_but_not_the_app() -> None:
    r = REPORT
    assert mr_system(r, KMS) == sha256(r.mrtd + r.rtmr0 + r.rtmr1 + r.rtmr2 + sha256(KMS))
    assert mr_system(r._replace(rtmr3=b"\x01" * 48), KMS) == mr_system(r, KMS)


def test_mr_aggregated_leaves_out_configuration_ids_that_are_all_zero() -> None:
    r = REPORT
    assert mr_aggregated(r) == sha256(r.mrtd + r.rtmr0 + r.rtmr1 + r.rtmr2 + r.rtmr3)


@pytest.mark.parametrize(
    "r",
    [
        REPORT._replace(mr_config_id=b"\x09" * 48),
        REPORT._replace(mr_owner=b"\x09" * 48),
        REPORT._replace(mr_owner_config=b"\x09" * 48),
    ],
    ids=["mr_config_id", "mr_owner", "mr_owner_config"],
)
def test_mr_aggregated_takes_in_all_three_as_soon_as_one_is_set(r: TdReport) -> None:
    registers = r.mrtd + r.rtmr0 + r.rtmr1 + r.rtmr2 + r.rtmr3
    assert mr_aggregated(r) == sha256(registers + r.mr_config_id + r.mr_owner + r.mr_owner_config)


def test_the_boot_time_register_stops_at_boot_mr_done() -> None:
    register = bytes(48)
    for name, payload in Boot().events[:5]:
        register = extend(register, v1_digest(name, payload))
    assert boottime_rtmr3(parse_event_log(Boot().log())) == register


def test_without_boot_mr_done_there_is_no_boot_time_register() -> None:
    with pytest.raises(Malformed, match="boot-mr-done"):
        boottime_rtmr3(parse_event_log(Boot().without("boot-mr-done").log()))


def test_the_image_digest_does_not_depend_on_the_shape_of_the_vm() -> None:
    assert mr_image(REPORT._replace(rtmr0=b"\x01" * 48)) == mr_image(REPORT)
    assert mr_image(REPORT._replace(rtmr2=b"\x01" * 48)) != mr_image(REPORT)
