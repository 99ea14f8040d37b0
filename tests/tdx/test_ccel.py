"""The firmware's raw event log: every length is checked, and what it decodes to is what dstack serves."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof.errors import Malformed
from twinproof.tdx.ccel import MAX_CCEL_BYTES, CcelEvent, parse_ccel
from twinproof.tdx.rtmr import replay

SHA384 = 0x0C
END = b"\xff" * 64


def header(algorithms: tuple[tuple[int, int], ...] = ((SHA384, 48),), vendor: bytes = b"") -> bytes:
    spec = b"Spec ID Event03\x00" + struct.pack("<IBBBBI", 0, 0, 2, 0, 2, len(algorithms))
    spec += b"".join(struct.pack("<HH", *item) for item in algorithms) + bytes([len(vendor)]) + vendor
    return struct.pack("<II", 0, 3) + bytes(20) + struct.pack("<I", len(spec)) + spec


def event(index: int, event_type: int, digest: bytes, data: bytes, algorithm: int = SHA384) -> bytes:
    return struct.pack("<IIIH", index, event_type, 1, algorithm) + digest + struct.pack("<I", len(data)) + data


def test_register_numbers_become_zero_based() -> None:
    table = header() + event(1, 4, b"\x01" * 48, b"a") + event(4, 5, b"\x02" * 48, b"") + END
    assert parse_ccel(table) == (CcelEvent(0, 4, b"\x01" * 48, b"a"), CcelEvent(3, 5, b"\x02" * 48, b""))


def test_a_table_may_end_without_padding() -> None:
    assert len(parse_ccel(header(vendor=b"xy") + event(1, 4, bytes(48), b"a"))) == 1


def test_what_the_firmware_only_noted_extends_nothing() -> None:
    assert parse_ccel(header() + event(0, 3, bytes(48), b"note") + END) == ()


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (b"", "ends inside header index"),
        (struct.pack("<II", 0, 4), "Spec ID"),
        (header().replace(b"Event03", b"Event02"), "crypto agile"),
        (header(()), "algorithms"),
        (header(((SHA384, 32),)), "digest size"),
        (header(((SHA384, 48), (SHA384, 48))), "algorithm twice"),
        (header()[:-1] + b"\x01\x00", "header of another length"),
        (header() + event(0, 4, bytes(48), b""), "no such register"),
        (header() + event(5, 4, bytes(48), b""), "no such register"),
        (header() + event(1, 4, bytes(32), b"", algorithm=0x0B), "undeclared digest algorithm"),
        (header(((0x0B, 32),)) + event(1, 4, bytes(32), b"", algorithm=0x0B), "no SHA-384"),
        (header() + struct.pack("<III", 1, 4, 0xFFFFFFFF), "more digests than algorithms"),
        (header() + event(1, 4, bytes(48), b"abc")[:-1], "ends inside event data"),
        (header() + b"\x01\x00", "ends inside register index"),
        (bytes(MAX_CCEL_BYTES + 1), "too large"),
    ],
)
def test_a_broken_table_is_malformed_with_its_offset(table: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason) as caught:
        parse_ccel(table)
    assert caught.value.where.startswith("CCEL")


@given(st.binary(max_size=400))
def test_random_bytes_are_malformed_and_nothing_else(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_ccel(data)


@given(st.binary(max_size=400))
def test_random_events_are_read_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        parse_ccel(header() + data)


@pytest.mark.vectors
def test_a_real_table_decodes_to_the_list_dstack_serves(vectors: Path) -> None:
    expected = json.loads((vectors / "dstack/eventlog/ccel.parsed.json").read_text())
    events = parse_ccel((vectors / "dstack/eventlog/ccel.bin").read_bytes())
    assert [(e.imr, e.event_type, e.digest.hex(), e.data.hex()) for e in events] == [
        (e["imr"], e["event_type"], e["digest"], e["event_payload"]) for e in expected
    ]


@pytest.mark.vectors
def test_a_real_table_replays_to_the_rtmr0_of_a_real_quote(vectors: Path) -> None:
    expected = json.loads((vectors / "dstack/expected.json").read_text())["examples-rtmr3/report.json"]
    events = parse_ccel((vectors / "dstack/eventlog/ccel.bin").read_bytes())
    assert replay(e.digest for e in events if e.imr == 0).hex() == expected["rtmr0"]
