"""Versioned attestations, both forms: read back what was written, and nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import msgpack  # type: ignore[import-untyped]  # it ships neither stubs nor py.typed
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_boot import VM_CONFIG, Boot, blob, compact, v0_attestation, v1_attestation, v1_members
from twinproof.dstack.attestation import MAX_ATTESTATION_BYTES, parse_versioned_attestation
from twinproof.dstack.event_log import EventLog, parse_event_log
from twinproof.errors import Contradiction, EvidenceError, Malformed

QUOTE = b"\x04\x00 a quote, opaque here"
PAYLOADS = st.lists(st.tuples(st.text("abc-", min_size=1, max_size=8), st.binary(max_size=20)), max_size=5)


def log_of(boot: Boot) -> EventLog:
    return parse_event_log(boot.log())


@given(PAYLOADS, st.binary(min_size=64, max_size=64))
def test_v0_is_read_back_as_it_was_written(events: list[tuple[str, bytes]], report_data: bytes) -> None:
    boot = Boot(events=events)
    read = parse_versioned_attestation(v0_attestation(boot, QUOTE, report_data=report_data))
    assert (read.version, read.quote, read.report_data, read.config) == (0, QUOTE, report_data, VM_CONFIG)
    assert read.event_log == log_of(boot)


@given(PAYLOADS)
def test_v1_is_read_back_as_it_was_written(events: list[tuple[str, bytes]]) -> None:
    boot = Boot(events=events)
    read = parse_versioned_attestation(v1_attestation(v1_members(boot, QUOTE)))
    assert (read.version, read.quote, read.report_data, read.config) == (1, QUOTE, bytes(64), VM_CONFIG)
    assert read.event_log == log_of(boot)


def test_v1_bytes_may_be_bin_or_arrays_of_integers() -> None:
    members = v1_members(Boot(), QUOTE)
    members["platform"]["data"]["quote"] = QUOTE
    assert parse_versioned_attestation(v1_attestation(members)).quote == QUOTE


@pytest.mark.parametrize(
    ("platform", "name"), [(1, "gcp-tdx"), (2, "nitro-enclave"), (3, "sev-snp"), (4, "aws-nitro-tpm"), (9, "variant 9")]
)
def test_a_v0_attestation_of_another_platform_is_not_a_tdx_attestation(platform: int, name: str) -> None:
    with pytest.raises(Malformed, match=f"not a TDX attestation: got {name}"):
        parse_versioned_attestation(bytes([0, platform]) + bytes(100))


@pytest.mark.parametrize("platform", ["gcp-tdx", "nitro-enclave", "sev-snp", "aws-nitro-tpm", "TDX", ""])
def test_a_v1_attestation_of_another_platform_is_not_a_tdx_attestation(platform: str) -> None:
    with pytest.raises(Malformed, match="not a TDX attestation"):
        parse_versioned_attestation(v1_attestation(v1_members(Boot(), QUOTE), platform=platform))


def test_two_different_lists_of_runtime_events_are_a_contradiction_in_v0() -> None:
    """A verifier that replays one list and reads app-id from the other was fooled this way."""
    honest = v0_attestation(Boot(), QUOTE)
    fooling = Boot().with_payload("app-id", b"\xee" * 20)
    tail_of = len(blob(VM_CONFIG.encode())) + 64
    runtime = b"".join(blob(name.encode()) + blob(payload) for name, payload in fooling.events)
    forged = honest[: -tail_of - len(runtime)] + runtime + honest[-tail_of:]
    assert len(forged) == len(honest)
    with pytest.raises(Contradiction, match="two lists"):
        parse_versioned_attestation(forged)


@pytest.mark.parametrize("change", ["other payload", "one more", "none", "other version"])
def test_two_different_lists_of_runtime_events_are_a_contradiction_in_v1(change: str) -> None:
    members = v1_members(Boot(), QUOTE)
    runtime: list[dict[str, object]] = [{"event": name, "payload": payload} for name, payload in Boot().events]
    if change == "other payload":
        runtime[1]["payload"] = b"\xee" * 20
    elif change == "one more":
        runtime.append({"event": "x", "payload": b""})
    elif change == "none":
        runtime.clear()
    else:
        runtime[0]["version"] = 2
    members["stack"]["data"]["runtime_events"] = runtime
    with pytest.raises(Contradiction, match="two lists"):
        parse_versioned_attestation(v1_attestation(members))


def test_an_envelope_that_claims_other_report_data_than_the_quote_signs_is_a_contradiction() -> None:
    read = parse_versioned_attestation(v0_attestation(Boot(), QUOTE))
    read.check_report_data(bytes(64))
    with pytest.raises(Contradiction, match="other report data"):
        read.check_report_data(b"\x01" * 64)


def test_a_pods_payload_must_be_what_its_report_data_hashes() -> None:
    members = v1_members(Boot(), QUOTE)
    members["stack"]["data"]["report_data_payload"] = "hello"
    with pytest.raises(Contradiction, match="not the hash of its payload"):
        parse_versioned_attestation(v1_attestation(members, stack="dstack-pod"))
    members["stack"]["data"]["report_data"] = hashlib.sha512(b"app-data:hello").digest()
    read = parse_versioned_attestation(v1_attestation(members, stack="dstack-pod"))
    assert read.report_data_payload == "hello"


@pytest.mark.parametrize(
    ("part", "name", "value", "reason"),
    [
        ("platform", "quote", [256], "not an array of bytes"),
        ("platform", "quote", [True], "not an array of bytes"),
        ("platform", "quote", "text", "wrong type"),
        ("platform", "quote", bytes(1 << 17), "quote too large"),
        ("platform", "event_log", {}, "wrong type"),
        ("platform", "event_log", [[]], "not a JSON object"),
        ("platform", "tpm_quote", b"", "unknown member"),
        ("stack", "report_data", bytes(63), "wrong length"),
        ("stack", "config", b"{}", "wrong type"),
        ("stack", "report_data_payload", "x", "unknown member"),
        ("stack", "runtime_events", [{"event": "x"}], "missing member"),
    ],
)
def test_a_v1_member_of_another_type_is_malformed(part: str, name: str, value: object, reason: str) -> None:
    members = v1_members(Boot(), QUOTE)
    members[part]["data"][name] = value
    with pytest.raises(Malformed, match=reason):
        parse_versioned_attestation(v1_attestation(members))


def test_v1_refuses_other_versions_stacks_and_missing_parts() -> None:
    members = v1_members(Boot(), QUOTE)
    for data, reason in (
        (v1_attestation(members, version=2), "unsupported version"),
        (v1_attestation(members, stack="other"), "unknown stack"),
        (msgpack.packb({"version": 1}), "missing member"),
        (msgpack.packb({}), "missing member"),
    ):
        with pytest.raises(Malformed, match=reason):
            parse_versioned_attestation(data)


@pytest.mark.parametrize("form", ["v0", "v1"])
def test_bytes_after_the_end_are_refused(form: str) -> None:
    data = v0_attestation(Boot(), QUOTE) if form == "v0" else v1_attestation(v1_members(Boot(), QUOTE))
    with pytest.raises(Malformed):
        parse_versioned_attestation(data + b"\x00")


@pytest.mark.parametrize("form", ["v0", "v1"])
def test_a_truncated_attestation_is_malformed_wherever_it_is_cut(form: str) -> None:
    small = replace(Boot(), firmware=[])
    data = v0_attestation(small, QUOTE) if form == "v0" else v1_attestation(v1_members(small, QUOTE))
    for size in range(len(data)):
        with pytest.raises(Malformed):
            parse_versioned_attestation(data[:size])


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x04\x00\x02", b"{", b"\xff"])
def test_other_first_bytes_are_no_attestation(data: bytes) -> None:
    with pytest.raises(Malformed, match="not a versioned attestation"):
        parse_versioned_attestation(data)


def test_more_than_10_mib_is_refused_unread() -> None:
    with pytest.raises(Malformed, match="too large"):
        parse_versioned_attestation(bytes(MAX_ATTESTATION_BYTES + 1))


def test_a_count_of_events_that_cannot_be_there_is_refused_at_once() -> None:
    with pytest.raises(Malformed, match="more items than bytes"):
        parse_versioned_attestation(b"\x00\x00" + blob(QUOTE) + compact((1 << 30) - 1))


@given(st.binary(max_size=200))
def test_random_v0_bytes_are_malformed_and_nothing_else(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_versioned_attestation(b"\x00\x00" + data)


@given(st.sampled_from([b"\x80", b"\x83", b"\x8f", b"\xde", b"\xdf"]), st.binary(max_size=200))
def test_random_v1_bytes_are_malformed_and_nothing_else(first: bytes, data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_versioned_attestation(first + data)


@given(st.integers(0, 2000), st.integers(0, 7))
def test_a_flipped_bit_is_another_attestation_or_a_typed_error(at: int, bit: int) -> None:
    data = bytearray(v0_attestation(Boot(), QUOTE))
    data[at % len(data)] ^= 1 << bit
    original = parse_versioned_attestation(v0_attestation(Boot(), QUOTE))
    try:
        read = parse_versioned_attestation(bytes(data))
    except EvidenceError:
        return
    assert read != original
