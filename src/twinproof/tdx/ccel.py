"""The CCEL ACPI table's data: the firmware's own event log, in the TCG2 "crypto agile" format.

    header event   u32 index, u32 type 3 (EV_NO_ACTION), 20-byte digest, u32 size, then the Spec ID structure:
                   "Spec ID Event03\\0", u32 class, u8 minor, u8 major, u8 errata, u8 uintn size, u32 count,
                   count x {u16 algorithm, u16 digest size}, u8 vendor size, vendor bytes
    each event     u32 index, u32 type, u32 digest count, count x {u16 algorithm, digest}, u32 size, data
    end            index ffffffff, or the end of the table

All integers are little-endian. The index counts MRTD as 0 and RTMR0 as 1; `imr` here counts RTMR0 as 0, as quotes do.
Source: TCG PC Client Platform Firmware Profile 10.4.5; UEFI 2.10 section 38 (confidential computing measurement).
"""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.errors import Malformed
from twinproof.tdx.rtmr import REGISTER_SIZE

__all__ = ["MAX_CCEL_BYTES", "CcelEvent", "parse_ccel"]

MAX_CCEL_BYTES = 4 << 20
EV_NO_ACTION = 3
SHA384 = 0x000C
END = 0xFFFFFFFF
_SIGNATURE = b"Spec ID Event03\x00"
_DIGEST_SIZES = {0x0004: 20, 0x000B: 32, SHA384: REGISTER_SIZE, 0x000D: 64, 0x0012: 32}
MAX_ALGORITHMS = 16


@dataclass(frozen=True, slots=True)
class CcelEvent:
    """One event that extended RTMR `imr` (0..3) with `digest` (SHA-384, 48 bytes)."""

    imr: int
    event_type: int
    digest: bytes
    data: bytes


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int, what: str) -> bytes:
        left = len(self.data) - self.at
        if size > left:
            raise Malformed(
                f"ends inside {what}", where=f"CCEL byte {self.at}", got=f"{left} bytes", expected=f"{size} bytes"
            )
        self.at += size
        return self.data[self.at - size : self.at]

    def integer(self, size: int, what: str) -> int:
        return int.from_bytes(self.take(size, what), "little")


def parse_ccel(data: bytes) -> tuple[CcelEvent, ...]:
    """Decode the table's data; what the firmware only noted (EV_NO_ACTION) extends nothing and is left out.

    Raises Malformed with the byte offset.
    """
    if len(data) > MAX_CCEL_BYTES:
        raise Malformed("too large", where="CCEL", got=f"{len(data)} bytes", expected=f"at most {MAX_CCEL_BYTES}")
    reader = _Reader(data)
    sizes = _read_header(reader)
    events = []
    while reader.at < len(data):
        start = reader.at
        index = reader.integer(4, "register index")
        if index == END:
            break
        event_type = reader.integer(4, "event type")
        digests = _read_digests(reader, sizes)
        content = reader.take(reader.integer(4, "data size"), "event data")
        if event_type == EV_NO_ACTION:
            continue
        if not 1 <= index <= 4:
            raise Malformed("no such register", where=f"CCEL byte {start}", got=str(index), expected="1..4")
        if SHA384 not in digests:
            raise Malformed("no SHA-384 digest", where=f"CCEL byte {start}")
        events.append(CcelEvent(index - 1, event_type, digests[SHA384], content))
    return tuple(events)


def _read_header(reader: _Reader) -> dict[int, int]:
    """The digest size of each algorithm that the log declares."""
    reader.take(4, "header index")
    if reader.integer(4, "header type") != EV_NO_ACTION:
        raise Malformed("does not start with its Spec ID event", where="CCEL byte 4")
    reader.take(20, "header digest")
    size = reader.integer(4, "header size")
    start = reader.at
    if reader.take(len(_SIGNATURE), "signature") != _SIGNATURE:
        raise Malformed("not a crypto agile event log", where=f"CCEL byte {start}", expected="Spec ID Event03")
    reader.take(8, "version")
    count = reader.integer(4, "algorithm count")
    if not 1 <= count <= MAX_ALGORITHMS:
        raise Malformed("too many algorithms or none", where=f"CCEL byte {reader.at - 4}", got=str(count))
    sizes: dict[int, int] = {}
    for _ in range(count):
        algorithm, digest_size = reader.integer(2, "algorithm"), reader.integer(2, "digest size")
        if _DIGEST_SIZES.get(algorithm, digest_size) != digest_size or algorithm in sizes:
            raise Malformed("wrong digest size or algorithm twice", where=f"CCEL byte {reader.at - 4}")
        sizes[algorithm] = digest_size
    reader.take(reader.integer(1, "vendor size"), "vendor bytes")
    if reader.at - start != size:
        raise Malformed(
            "header of another length",
            where=f"CCEL byte {reader.at}",
            got=f"{reader.at - start} bytes",
            expected=f"{size} bytes",
        )
    return sizes


def _read_digests(reader: _Reader, sizes: dict[int, int]) -> dict[int, bytes]:
    start = reader.at
    count = reader.integer(4, "digest count")
    if count > len(sizes):
        raise Malformed("more digests than algorithms", where=f"CCEL byte {start}", got=str(count))
    digests: dict[int, bytes] = {}
    for _ in range(count):
        algorithm = reader.integer(2, "digest algorithm")
        if algorithm not in sizes or algorithm in digests:
            raise Malformed("undeclared digest algorithm, or one twice", where=f"CCEL byte {reader.at - 2}")
        digests[algorithm] = reader.take(sizes[algorithm], "digest")
    return digests
