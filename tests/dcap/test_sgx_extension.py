"""The SGX extension of a PCK certificate: read member by member, in the one way in which DER spells it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.dcap.der import DerReader
from twinproof.dcap.pck import parse_pck_extension
from twinproof.errors import Malformed
from twinproof_devnet.der import integer, octet_string, oid, sequence
from twinproof_devnet.machine import Machine
from twinproof_devnet.sgx_extension import SGX_EXTENSION_OID, encode_members, members, tcb_members

MACHINE = Machine.named("prod9")
PROCESSOR = replace(MACHINE, ca="processor")
svns = st.integers(0, 255)
machines = st.builds(
    Machine,
    ppid=st.binary(min_size=16, max_size=16),
    fmspc=st.binary(min_size=6, max_size=6),
    pce_id=st.binary(min_size=2, max_size=2),
    components=st.tuples(*[svns] * 16),
    pce_svn=st.integers(0, 65535),
    sgx_type=st.integers(0, 2),
    ca=st.sampled_from(["platform", "processor"]),
    platform_instance_id=st.binary(min_size=16, max_size=16),
    dynamic_platform=st.booleans(),
    cached_keys=st.booleans(),
    smt_enabled=st.booleans(),
)


@given(machines)
def test_every_machine_is_read_as_it_was_written(machine: Machine) -> None:
    pck = parse_pck_extension(encode_members(machine))
    assert (pck.ppid, pck.fmspc, pck.pce_id, pck.cpu_svn) == (
        machine.ppid,
        machine.fmspc,
        machine.pce_id,
        machine.cpu_svn,
    )
    assert (pck.components, pck.pce_svn, pck.sgx_type) == (machine.components, machine.pce_svn, machine.sgx_type)
    assert pck.device_id == machine.device_id
    assert pck.from_platform_ca == (machine.ca == "platform")
    if pck.from_platform_ca:
        assert pck.platform_instance_id == machine.platform_instance_id
        assert (pck.dynamic_platform, pck.cached_keys, pck.smt_enabled) == (
            machine.dynamic_platform,
            machine.cached_keys,
            machine.smt_enabled,
        )


def test_a_cpusvn_that_is_not_the_components_is_refused() -> None:
    """Some verifiers compare the components with the TCB levels, some the CPUSVN: they would judge two platforms."""
    tcb = list(tcb_members(MACHINE))
    tcb[17] = tcb_members(replace(MACHINE, components=(9,) * 16))[17]
    with pytest.raises(Malformed, match="not the CPUSVN"):
        parse_pck_extension(_with(1, _pair("2", sequence(*tcb))))


@pytest.mark.parametrize("index", range(7))
def test_no_member_may_be_missing_doubled_or_out_of_order(index: int) -> None:
    good = list(members(MACHINE))
    _refused(good[:index] + good[index + 1 :])
    _refused([*good[: index + 1], *good[index:]])
    if index:
        _refused([*good[: index - 1], good[index], good[index - 1], *good[index + 1 :]])


@pytest.mark.parametrize("index", range(18))
def test_no_part_of_the_tcb_may_be_missing_or_doubled(index: int) -> None:
    tcb = list(tcb_members(MACHINE))
    for wrong in (tcb[:index] + tcb[index + 1 :], [*tcb[: index + 1], *tcb[index:]]):
        with pytest.raises(Malformed):
            parse_pck_extension(_with(1, _pair("2", sequence(*wrong))))


def test_an_unknown_member_is_refused() -> None:
    _refused([*members(MACHINE), _pair("8", octet_string(bytes(4)))])
    _refused([*members(PROCESSOR), _pair("8", octet_string(bytes(4)))])
    _refused(list(members(MACHINE))[:6])


@pytest.mark.parametrize(
    "value",
    [
        b"\x02\x02\x01\x00",  # 256
        b"\x02\x01\xff",  # -1
        b"\x02\x02\x00\x04",  # 4, in two bytes
        b"\x02\x00",
        b"\x02\x81\x01\x04",  # a length that is not in its shortest form
        b"\x0a\x01\x04",  # ENUMERATED
        b"\x02\x01\x04\x00",  # a byte after the value
        b"\x02\x09" + b"\x01" * 9,
    ],
    ids=bytes.hex,
)
def test_an_svn_is_an_integer_of_0_to_255_in_its_shortest_form(value: bytes) -> None:
    tcb = list(tcb_members(MACHINE))
    tcb[0] = _pair("2.1", value)
    with pytest.raises(Malformed):
        parse_pck_extension(_with(1, _pair("2", sequence(*tcb))))


@pytest.mark.parametrize("pce_svn", [65536, -1, 1 << 40])
def test_the_pcesvn_has_16_bits(pce_svn: int) -> None:
    tcb = list(tcb_members(MACHINE))
    tcb[16] = _pair("2.17", integer(pce_svn) if pce_svn >= 0 else b"\x02\x01\xff")
    with pytest.raises(Malformed, match="out of range"):
        parse_pck_extension(_with(1, _pair("2", sequence(*tcb))))


@pytest.mark.parametrize(("index", "number", "size"), [(0, "1", 15), (2, "3", 3), (3, "4", 5), (5, "6", 17)])
def test_an_identity_of_another_length_is_refused(index: int, number: str, size: int) -> None:
    with pytest.raises(Malformed, match="wrong length"):
        parse_pck_extension(_with(index, _pair(number, octet_string(bytes(size)))))


def test_bytes_after_the_extension_are_refused() -> None:
    with pytest.raises(Malformed, match="left over"):
        parse_pck_extension(encode_members(MACHINE) + b"\x00")


def test_a_boolean_is_all_or_nothing() -> None:
    good = encode_members(MACHINE)
    at = good.rindex(b"\x01\x01\xff")
    with pytest.raises(Malformed, match="not a boolean"):
        parse_pck_extension(good[: at + 2] + b"\x01" + good[at + 3 :])


@pytest.mark.parametrize("machine", [MACHINE, PROCESSOR], ids=["platform", "processor"])
def test_an_extension_cut_short_anywhere_is_malformed(machine: Machine) -> None:
    whole = encode_members(machine)
    for size in range(len(whole)):
        with pytest.raises(Malformed):
            parse_pck_extension(whole[:size])


@pytest.mark.parametrize("machine", [MACHINE, PROCESSOR], ids=["platform", "processor"])
def test_every_flipped_bit_is_refused_or_read_as_another_machine(machine: Machine) -> None:
    """There is one spelling for each machine: no flip goes unnoticed."""
    whole = encode_members(machine)
    honest = parse_pck_extension(whole)
    for bit in range(len(whole) * 8):
        spoiled = bytearray(whole)
        spoiled[bit // 8] ^= 1 << bit % 8
        try:
            assert parse_pck_extension(bytes(spoiled)) != honest
        except Malformed:
            continue


@given(st.binary(max_size=400))
def test_random_bytes_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_pck_extension(data)


@given(st.binary(max_size=300))
def test_the_reader_of_der_ends_in_a_value_or_in_malformed(data: bytes) -> None:
    for read in ("element", "sequence", "boolean"):
        try:
            getattr(DerReader(data, "DER"), read)("value")
        except Malformed:
            continue


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65535, 65536])
def test_lengths_of_every_form_are_read(size: int) -> None:
    reader = DerReader(octet_string(bytes(size)), "DER")
    assert reader.octets(size, "value") == bytes(size)
    reader.end()


@pytest.mark.parametrize(
    "head", ["0480", "048100", "04817f", "04820001", "0482007f", "0484000000", "04850000000001"], ids=str
)
def test_lengths_that_der_does_not_have_are_malformed(head: str) -> None:
    with pytest.raises(Malformed):
        DerReader(bytes.fromhex(head) + bytes(200), "DER").element("value")


def _pair(number: str, value: bytes) -> bytes:
    return sequence(oid(f"{SGX_EXTENSION_OID}.{number}"), value)


def _with(index: int, member: bytes) -> bytes:
    good = list(members(MACHINE))
    good[index] = member
    return sequence(*good)


def _refused(parts: list[bytes]) -> None:
    with pytest.raises(Malformed):
        parse_pck_extension(sequence(*parts))
