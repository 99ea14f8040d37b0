"""Attributes of a genuine report are policy: what is not allowed is Refused by name, and never called forged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from simulated import REPORT_DATA, host, judge, members
from twinproof.dcap.attributes import AttributeRules, check_report_attributes
from twinproof.errors import Refused
from twinproof.tdx.quote import parse_quote
from twinproof.tdx.report import EnclaveReport, TdReport
from twinproof_devnet.host import TdMeasurements

STRICT = AttributeRules()
SEPT_VE_DISABLE = 1 << 28
ACCEPTED_BITS = {16, 18, 19, 20, 21, 22, 27, 28, 30, 31, 62, 63}
DEBUGGING_BITS = {0, 4, 5, 6}
SERVICE_TD_BIT, MIGRATABLE_BIT = 17, 29


def report(bits: int = SEPT_VE_DISABLE, *, body: str = "TD1.5", **more: Any) -> TdReport:
    td = replace(TdMeasurements(), td_attributes=bits, **more)
    parsed = parse_quote(host().quote(td, REPORT_DATA, 5, body=body)).report
    assert isinstance(parsed, TdReport)
    return parsed


def refused(what: TdReport | EnclaveReport, rules: AttributeRules = STRICT) -> str:
    try:
        check_report_attributes(what, rules)
    except Refused as error:
        return str(error)
    return ""


@pytest.mark.parametrize("body", ["TD1.0", "TD1.5", "TD1.5ex"])
def test_the_attributes_of_a_dstack_guest_are_accepted(body: str) -> None:
    assert refused(report(body=body, xfam=0x000602E7)) == ""


@pytest.mark.parametrize("bit", range(64))
def test_every_attribute_bit_has_its_rule(bit: int) -> None:
    assert (refused(report(SEPT_VE_DISABLE | 1 << bit)) == "") == (bit in ACCEPTED_BITS)


@pytest.mark.parametrize("bit", sorted(set(range(64)) - ACCEPTED_BITS - DEBUGGING_BITS - {SERVICE_TD_BIT}))
def test_migration_and_reserved_bits_cannot_be_allowed_one_by_one(bit: int) -> None:
    every_rule = AttributeRules(**{name: True for name in AttributeRules._fields if name != "allow_any"})
    assert refused(report(SEPT_VE_DISABLE | 1 << bit), every_rule) != ""


def test_only_the_profile_intel_judges_no_attribute_at_all() -> None:
    assert refused(report((1 << 64) - 1), AttributeRules(allow_any=True)) == ""


@pytest.mark.parametrize("bit", sorted(DEBUGGING_BITS))
def test_debugging_and_profiling_are_allowed_by_name(bit: int) -> None:
    assert "--allow" not in refused(report(SEPT_VE_DISABLE | 1 << bit))  # the hint stands beside the text
    assert refused(report(SEPT_VE_DISABLE | 1 << bit), AttributeRules(allow_debug=True)) == ""


def test_sept_ve_disable_clear_is_allowed_by_name() -> None:
    assert "SEPT_VE_DISABLE" in refused(report(0))
    assert refused(report(0), AttributeRules(allow_sept_ve_disable_clear=True)) == ""


def test_a_service_td_is_allowed_by_name_and_only_where_a_report_can_name_it() -> None:
    rules = AttributeRules(allow_service_td=True)
    bound = report(mr_service_td=b"\x05" * 48)
    extended = SEPT_VE_DISABLE | 1 << SERVICE_TD_BIT
    assert "MRSERVICETD" in refused(bound)
    assert refused(bound, rules) == ""
    assert refused(report(extended), rules) == ""
    assert refused(report(extended, body="TD1.0"), rules) != ""


@pytest.mark.parametrize("xfam", [0, 1, 2, 0x000602E7 | 1 << 3, 0x000602E7 | 1 << 19, 0x000602E7 | 1 << 63])
def test_extended_features_that_no_processor_has_are_refused(xfam: int) -> None:
    assert "XFAM" in refused(report(xfam=xfam))


def test_a_debug_enclave_is_refused_and_allowed_by_name() -> None:
    debug = parse_quote(host().sgx_quote(host().enclave(debug=True))).report
    assert "debug enclave" in refused(debug)
    assert refused(debug, AttributeRules(allow_debug=True)) == ""
    assert refused(parse_quote(host().sgx_quote(host().enclave())).report) == ""


def test_a_debug_td_is_genuine_all_the_same() -> None:
    """Signed by real hardware about a TD that the host can read: not forged, and not to be trusted."""
    td = replace(TdMeasurements(), td_attributes=SEPT_VE_DISABLE | 1)
    judgement = judge(host().quote(td, REPORT_DATA), members())
    assert judgement.genuine
    assert refused(judgement.good.quote.report) != ""
