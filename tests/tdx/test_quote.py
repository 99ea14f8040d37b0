"""The quote parser: every field where Intel puts it, every length exact, and Malformed for anything else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulated import REPORT_DATA, TD, host, quote
from twinproof.errors import Malformed
from twinproof.tdx.quote import MAX_QUOTE_BYTES, parse_quote
from twinproof.tdx.report import EnclaveReport, TdReport
from twinproof_devnet.host import Tampering, raw_point
from twinproof_devnet.quote import CertificationData

SIGNED_BYTES = {
    (4, "TD1.0"): 632,
    (5, "TD1.0"): 638,
    (5, "TD1.5"): 702,
    (5, "TD1.5ex"): 939,
}
AUTH_LENGTH_AT = 632  # of the version 4 quote: header 48, report 584
OUTER_TYPE_AT = AUTH_LENGTH_AT + 4 + 64 + 64
QE_AUTH_LENGTH_AT = OUTER_TYPE_AT + 6 + 384 + 64
INNER_TYPE_AT = QE_AUTH_LENGTH_AT + 2 + 32


@pytest.mark.parametrize(("version", "body"), SIGNED_BYTES)
def test_a_td_quote_is_read_as_it_was_written(version: int, body: str) -> None:
    parsed = parse_quote(quote(version, body))
    report = parsed.report
    assert isinstance(report, TdReport)
    assert (parsed.tee, parsed.header.version, report.body_type) == ("TDX", version, body)
    assert len(parsed.signed) == SIGNED_BYTES[version, body]
    assert quote(version, body).startswith(parsed.signed)
    assert report.report_data == REPORT_DATA
    assert (report.rtmr0, report.rtmr3, report.mrtd) == (TD.rtmr0, TD.rtmr3, TD.mrtd)
    assert report.mrseam == host().module.mrseam
    assert report.tee_tcb_svn == host().module.tee_tcb_svn
    assert (report.td_attributes.hex(), report.xfam.hex()) == ("0000001000000000", "e702060000000000")
    assert (report.tee_tcb_svn2 is None) == (report.mr_service_td is None) == (body == "TD1.0")
    assert (report.extended is None) == (body != "TD1.5ex")
    assert parsed.attestation_key == raw_point(host().attestation_key)
    assert (parsed.certification_type, parsed.certification_data) == (5, host().pck_chain)
    assert parsed.raw == quote(version, body)
    assert parsed.trailing == b""


@pytest.mark.parametrize(("version", "signed"), [(3, 432), (4, 432), (5, 438)])
def test_an_sgx_quote_is_read_as_it_was_written(version: int, signed: int) -> None:
    enclave = host().enclave(REPORT_DATA)
    parsed = parse_quote(host().sgx_quote(enclave, version))
    assert isinstance(parsed.report, EnclaveReport)
    assert (parsed.tee, len(parsed.signed)) == ("SGX", signed)
    assert (parsed.report.mrenclave, parsed.report.mrsigner) == (enclave.mrenclave, enclave.mrsigner)
    assert (parsed.report.report_data, parsed.report.isv_svn, parsed.report.debug) == (REPORT_DATA, 1, False)
    assert parsed.qe_report.mrsigner == host().sgx_qe.mrsigner


def test_the_extended_td_report_keeps_its_members_apart() -> None:
    report = parse_quote(quote(5, "TD1.5ex")).report
    assert isinstance(report, TdReport)
    assert report.extended is not None
    assert report.extended.init_cpu_svn == host().machine.cpu_svn
    assert report.extended.init_tee_tcb_svn == host().module.tee_tcb_svn


@pytest.mark.parametrize("padding", [b"\x00" * 64, b"\xff" * 64, b"\x00"], ids=["zeros", "ones", "one NUL"])
def test_bytes_after_the_end_are_kept_apart_and_signed_by_nobody(padding: bytes) -> None:
    parsed = parse_quote(quote() + padding)
    assert parsed.raw == quote()
    assert parsed.trailing == padding
    assert parsed.signed == parse_quote(quote()).signed


@pytest.mark.parametrize(("version", "body"), SIGNED_BYTES)
def test_a_quote_cut_short_anywhere_is_malformed(version: int, body: str) -> None:
    whole = quote(version, body)
    for size in range(len(whole)):
        with pytest.raises(Malformed):
            parse_quote(whole[:size])


@pytest.mark.parametrize("at", [AUTH_LENGTH_AT, OUTER_TYPE_AT + 2, QE_AUTH_LENGTH_AT, INNER_TYPE_AT + 2])
@pytest.mark.parametrize("step", [-1, 1, 255])
def test_a_length_that_does_not_fill_its_container_is_malformed(at: int, step: int) -> None:
    spoiled = bytearray(quote())
    length = int.from_bytes(spoiled[at : at + 2], "little") + step
    spoiled[at : at + 2] = length.to_bytes(2, "little")
    with pytest.raises(Malformed, match="quote byte"):
        parse_quote(bytes(spoiled))


@pytest.mark.parametrize("version", [3, 4])
def test_bytes_hidden_inside_the_signature_data_are_malformed(version: int) -> None:
    """They fit the outer length, no signature covers them, and other verifiers skip over them."""
    whole = quote() if version == 4 else host().sgx_quote(host().enclave())
    at = AUTH_LENGTH_AT if version == 4 else 432
    length = int.from_bytes(whole[at : at + 4], "little") + 8
    with pytest.raises(Malformed, match="left over inside the signature data"):
        parse_quote(whole[:at] + length.to_bytes(4, "little") + whole[at + 4 :] + b"smuggled")


@pytest.mark.parametrize("version", [0, 1, 2, 6, 255, 0xFFFF])
def test_an_unknown_version_is_malformed(version: int) -> None:
    with pytest.raises(Malformed, match="unsupported quote version") as caught:
        parse_quote(version.to_bytes(2, "little") + quote()[2:])
    assert caught.value.where == "quote byte 0"


@pytest.mark.parametrize("tee", [1, 0x80, 0x82, 0x00810000])
def test_an_unknown_tee_is_malformed(tee: int) -> None:
    with pytest.raises(Malformed, match="unknown TEE type"):
        parse_quote(quote()[:4] + tee.to_bytes(4, "little") + quote()[8:])


def test_version_3_cannot_be_tdx() -> None:
    with pytest.raises(Malformed, match="version 3 quote is of SGX"):
        parse_quote(b"\x03\x00" + quote()[2:])


@pytest.mark.parametrize(
    ("tampering", "reason"),
    [
        (Tampering(body_type=0), "unknown body type"),
        (Tampering(body_type=5), "unknown body type"),
        (Tampering(body_type=1, body_size=384), "body type of another TEE"),
        (Tampering(body_type=2), "body size does not fit"),
        (Tampering(body_size=649), "body size does not fit"),
        (Tampering(body_size=0xFFFFFFFF), "body size does not fit"),
        (Tampering(outer_kind=5), "wrong outer certification data type"),
    ],
)
def test_a_body_descriptor_that_contradicts_itself_is_malformed(tampering: Tampering, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse_quote(host().quote(TD, REPORT_DATA, 5, body="TD1.5", tampering=tampering))


def test_an_sgx_header_over_a_td_body_is_malformed() -> None:
    whole = quote(5, "TD1.5")
    with pytest.raises(Malformed, match="body type of another TEE"):
        parse_quote(whole[:4] + bytes(4) + whole[8:])


@pytest.mark.parametrize("size", [0, 1, 1019, MAX_QUOTE_BYTES + 1])
def test_a_size_that_no_quote_has_is_refused_before_reading(size: int) -> None:
    with pytest.raises(Malformed, match="not the size of a quote"):
        parse_quote(bytes(size))


@pytest.mark.parametrize("size", [1020, 64 * 1024])
def test_the_smallest_and_the_largest_size_are_read(size: int) -> None:
    with pytest.raises(Malformed, match="unsupported quote version"):
        parse_quote(bytes(size))


@pytest.mark.parametrize(("version", "body"), SIGNED_BYTES)
def test_the_place_of_a_cut_is_named(version: int, body: str) -> None:
    """The field that is cut off starts inside of what is left, and ends outside."""
    whole = quote(version, body)
    for size in range(1020, len(whole), 7):
        spoiled = bytearray(whole[:size])
        at = SIGNED_BYTES[version, body]
        spoiled[at : at + 4] = (size - at - 4).to_bytes(4, "little")  # the outer length tells the truth
        with pytest.raises(Malformed, match="is cut off") as caught:
            parse_quote(bytes(spoiled))
        start = int(caught.value.where.removeprefix("quote byte "))
        assert start <= size < start + int(caught.value.expected.removesuffix(" bytes"))
        assert caught.value.got == f"{size - start} bytes"


def test_a_certification_length_of_four_gigabytes_is_malformed() -> None:
    at = INNER_TYPE_AT + 2
    with pytest.raises(Malformed, match="cut off"):
        parse_quote(quote()[:at] + b"\xff" * 4 + quote()[at + 4 :])


def test_other_certification_data_is_parsed_and_judged_elsewhere() -> None:
    tampering = Tampering(certification=CertificationData(3, bytes(404)))
    assert parse_quote(host().quote(TD, REPORT_DATA, tampering=tampering)).certification_type == 3


@given(st.binary(max_size=6000))
def test_random_bytes_are_malformed_and_nothing_else(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_quote(data)


@settings(max_examples=300)
@given(
    st.sampled_from([(4, "TD1.0"), (5, "TD1.5"), (5, "TD1.5ex")]),
    st.lists(st.tuples(st.integers(0, 5200), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_a_spoiled_quote_parses_or_is_malformed(kind: tuple[int, str], edits: list[tuple[int, int]]) -> None:
    spoiled = bytearray(quote(*kind))
    for at, value in edits:
        spoiled[at % len(spoiled)] = value
    try:
        parsed = parse_quote(bytes(spoiled))
    except Malformed:
        return
    assert parsed.raw + parsed.trailing == bytes(spoiled)
