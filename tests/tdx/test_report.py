"""Where each field of a report lies: every byte of a body is another value, and each field has to hold its own."""

from __future__ import annotations

import pytest

from twinproof.tdx.report import BODY_SIZES, parse_enclave_report, parse_td_report

ENCLAVE_FIELDS = {
    "cpu_svn": (0, 16),
    "attributes": (48, 16),
    "mrenclave": (64, 32),
    "mrsigner": (128, 32),
    "report_data": (320, 64),
}
ENCLAVE_NUMBERS = {"misc_select": (16, 4), "isv_prod_id": (256, 2), "isv_svn": (258, 2)}
TD_FIELDS = {
    "tee_tcb_svn": (0, 16),
    "mrseam": (16, 48),
    "mrsignerseam": (64, 48),
    "seam_attributes": (112, 8),
    "td_attributes": (120, 8),
    "xfam": (128, 8),
    "mrtd": (136, 48),
    "mr_config_id": (184, 48),
    "mr_owner": (232, 48),
    "mr_owner_config": (280, 48),
    "rtmr0": (328, 48),
    "rtmr1": (376, 48),
    "rtmr2": (424, 48),
    "rtmr3": (472, 48),
    "report_data": (520, 64),
}
LATER_FIELDS = {"tee_tcb_svn2": (584, 16), "mr_service_td": (600, 48)}
EXTENDED_FIELDS = {
    "td_id": (649, 32),
    "device_info_hash": (681, 48),
    "init_service_td_hash": (729, 48),
    "init_service_td_attributes": (777, 8),
    "init_cpu_svn": (785, 16),
    "init_tee_tcb_svn": (801, 16),
    "init_tee_fmspc": (817, 12),
    "current_service_td_hash": (829, 48),
    "current_service_td_attributes": (877, 8),
}


def body(size: int) -> bytes:
    """No two places of eight bytes are alike."""
    return b"".join(place.to_bytes(2, "big") for place in range(1, size // 2 + 2))[:size]


def assert_fields(report: object, data: bytes, fields: dict[str, tuple[int, int]]) -> None:
    for name, (at, size) in fields.items():
        assert getattr(report, name) == data[at : at + size], name


def test_of_an_enclave() -> None:
    data = body(384)
    report = parse_enclave_report(data)
    assert_fields(report, data, ENCLAVE_FIELDS)
    for name, (at, size) in ENCLAVE_NUMBERS.items():
        assert getattr(report, name) == int.from_bytes(data[at : at + size], "little"), name


@pytest.mark.parametrize("bit", range(128))
def test_debug_is_the_second_attribute_bit_and_no_other(bit: int) -> None:
    data = bytes(48) + (1 << bit).to_bytes(16, "little") + bytes(320)
    assert parse_enclave_report(data).debug == (bit == 1)


@pytest.mark.parametrize(("body_type", "name"), [(2, "TD1.0"), (3, "TD1.5"), (4, "TD1.5ex")])
def test_of_a_td(body_type: int, name: str) -> None:
    data = body(BODY_SIZES[body_type])
    report = parse_td_report(data, body_type)
    assert report.body_type == name
    assert_fields(report, data, TD_FIELDS)
    if name == "TD1.0":
        assert (report.tee_tcb_svn2, report.mr_service_td, report.extended) == (None, None, None)
        return
    assert_fields(report, data, LATER_FIELDS)
    if name == "TD1.5":
        assert report.extended is None
        return
    assert report.extended is not None
    assert report.extended.vm_id == data[648]
    assert_fields(report.extended, data, EXTENDED_FIELDS)


@pytest.mark.parametrize(
    ("fields", "size"),
    [(TD_FIELDS, 584), (TD_FIELDS | LATER_FIELDS, 648), (TD_FIELDS | LATER_FIELDS | EXTENDED_FIELDS, 884)],
)
def test_no_byte_of_a_td_report_is_left_unread(fields: dict[str, tuple[int, int]], size: int) -> None:
    """The VM id is the one byte that stands in no table here."""
    assert sum(length for _, length in fields.values()) == size
