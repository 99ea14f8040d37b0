"""Quote bytes to frozen types: versions 3 (SGX), 4 (SGX, TDX) and 5 (by body type). Little-endian integers.

    header 48 | [v5: body type u16, body size u32] | report | u32 length | signature data

The attestation key signed everything before the length. Every length has to fill its container exactly, because no
signature covers the bytes after it; only what follows the whole quote is tolerated, as fixed-size buffers are common,
and is kept apart in `trailing`.

Source: Intel SGX and TDX ECDSA quote library, quote formats 3, 4 and 5.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, NamedTuple, cast

from twinproof.errors import Malformed
from twinproof.memo import Memo
from twinproof.tdx.report import (
    BODY_SIZES,
    ENCLAVE_REPORT_SIZE,
    EnclaveReport,
    TdReport,
    parse_enclave_report,
    parse_td_report,
)

__all__ = ["MAX_QUOTE_BYTES", "Header", "Quote", "parse_quote"]

MAX_QUOTE_BYTES = 64 * 1024
MIN_QUOTE_BYTES = 1020
SIGNATURE_SIZE = 64
TEE_SGX, TEE_TDX = 0x00, 0x81
BODY_SGX, BODY_TD10 = 1, 2
CERTIFICATION_QE_REPORT = 6
_TEE_NAMES = {TEE_SGX: "SGX", TEE_TDX: "TDX"}
_HEADER = Struct("<H H I 4x 16s 20s")
_LENGTH = Struct("<I")
_SIGNATURE_AND_KEY = Struct("<64s 64s")
_TYPE_AND_LENGTH = Struct("<H I")
_QE_REPORT = Struct(f"<{ENCLAVE_REPORT_SIZE}s 64s H")


class Header(NamedTuple):
    """48 bytes. `user_data` (20 bytes) starts with the QE id; the fields at 8..12 decide nothing and are not kept."""

    version: int
    attestation_key_type: int
    tee_type: int
    qe_vendor_id: bytes
    user_data: bytes


class Quote(NamedTuple):
    """A parsed quote; nothing in it is believed yet. Signatures are r || s, keys x || y, 32 bytes each, big-endian."""

    raw: bytes
    trailing: bytes
    header: Header
    report: TdReport | EnclaveReport
    signed: bytes
    signature: bytes
    attestation_key: bytes
    qe_report_raw: bytes
    qe_report_signature: bytes
    qe_auth_data: bytes
    certification_type: int
    certification_data: bytes

    @property
    def qe_report(self) -> EnclaveReport:
        return parse_enclave_report(self.qe_report_raw)

    @property
    def tee(self) -> str:
        return _TEE_NAMES[self.header.tee_type]


class _Certified(NamedTuple):
    """The last six members of a Quote."""

    attestation_key: bytes
    qe_report_raw: bytes
    qe_report_signature: bytes
    qe_auth_data: bytes
    certification_type: int
    certification_data: bytes


_CERTIFIED = Memo(max_entries=1024, max_bytes=16 << 20)


class _Reader:
    """Takes fields off the front of a byte range; running out is Malformed, with the offset in the whole quote."""

    __slots__ = ("_data", "_end", "at")

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self._data, self.at, self._end = data, start, end

    def take(self, size: int, what: str) -> bytes:
        start, self.at = self.at, self.at + size
        if self.at > self._end:
            raise self._cut_off(start, what)
        return self._data[start : self.at]

    def unpack(self, form: Struct, what: str) -> tuple[Any, ...]:
        """Several fields at once."""
        start, self.at = self.at, self.at + form.size
        if self.at > self._end:
            raise self._cut_off(start, what)
        return form.unpack_from(self._data, start)

    def inside(self, size: int, what: str) -> _Reader:
        """A reader over the next `size` bytes, which it has to use up."""
        start, self.at = self.at, self.at + size
        if self.at > self._end:
            raise self._cut_off(start, what)
        return _Reader(self._data, start, self.at)

    def _cut_off(self, start: int, what: str) -> Malformed:
        return Malformed(
            f"{what} is cut off",
            where=f"quote byte {start}",
            got=f"{self._end - start} bytes",
            expected=f"{self.at - start} bytes",
        )

    def end(self, what: str) -> None:
        if self.at != self._end:
            raise Malformed(
                f"bytes left over inside the {what}",
                where=f"quote byte {self.at}",
                got=f"{self._end - self.at} bytes",
                expected="none: no signature covers them",
            )


def parse_quote(data: bytes) -> Quote:
    """Parse strictly. Raises Malformed with the offset; accepts bytes after the end, as `trailing`."""
    if not MIN_QUOTE_BYTES <= len(data) <= MAX_QUOTE_BYTES:
        raise Malformed(
            "not the size of a quote",
            where="quote",
            got=f"{len(data)} bytes",
            expected=f"{MIN_QUOTE_BYTES} to {MAX_QUOTE_BYTES} bytes",
        )
    header = _header(data)
    report, end = _report(data, header)
    (size,) = _LENGTH.unpack_from(data, end)
    start, stop = end + _LENGTH.size, end + _LENGTH.size + size
    form = "since 4" if header.version >= 4 else "3"
    known = _CERTIFIED.find((form, data[start + SIGNATURE_SIZE : stop])) if stop <= len(data) else None
    certified = _certified(data, end, form) if known is None else cast("_Certified", known)
    return Quote(data[:stop], data[stop:], header, report, data[:end], data[start : start + SIGNATURE_SIZE], *certified)


def _certified(data: bytes, end: int, form: str) -> _Certified:
    """Everything after the quote's signature: a platform puts the same bytes behind every one. Raises Malformed."""
    reader = _Reader(data, end, len(data))
    (size,) = reader.unpack(_LENGTH, "length of the signature data")
    body = reader.inside(size, "signature data")
    start = body.at + SIGNATURE_SIZE
    _, attestation_key = body.unpack(_SIGNATURE_AND_KEY, "quote signature and attestation key")
    certified = body
    if form != "3":
        kind, size = body.unpack(_TYPE_AND_LENGTH, "type and length of the outer certification data")
        if kind != CERTIFICATION_QE_REPORT:
            raise Malformed(
                "wrong outer certification data type", where=f"quote byte {body.at - 6}", got=str(kind), expected="6"
            )
        certified = body.inside(size, "outer certification data")
    qe_report_raw, qe_report_signature, size = certified.unpack(_QE_REPORT, "QE report and its signature")
    qe_auth_data = certified.take(size, "QE authentication data")
    certification_type, size = certified.unpack(_TYPE_AND_LENGTH, "type and length of the certification data")
    certification_data = certified.take(size, "certification data")
    certified.end("certification data" if certified is not body else "signature data")
    body.end("signature data")
    found = _Certified(
        attestation_key, qe_report_raw, qe_report_signature, qe_auth_data, certification_type, certification_data
    )
    _CERTIFIED.keep((form, data[start : reader.at]), found)
    return found


def _header(data: bytes) -> Header:
    version, key_type, tee_type, qe_vendor_id, user_data = _HEADER.unpack_from(data)
    if version not in (3, 4, 5):
        raise Malformed("unsupported quote version", where="quote byte 0", got=str(version), expected="3, 4 or 5")
    if tee_type not in _TEE_NAMES:
        raise Malformed("unknown TEE type", where="quote byte 4", got=f"{tee_type:#x}", expected="0x0 or 0x81")
    if version == 3 and tee_type != TEE_SGX:
        raise Malformed("a version 3 quote is of SGX", where="quote byte 4", got=f"{tee_type:#x}", expected="0x0")
    return Header(version, key_type, tee_type, qe_vendor_id, user_data)


def _report(data: bytes, header: Header) -> tuple[TdReport | EnclaveReport, int]:
    """The report and where it ends; header and report are always shorter than the shortest quote."""
    body_type = BODY_SGX if header.tee_type == TEE_SGX else BODY_TD10
    start = _HEADER.size
    if header.version == 5:
        body_type, size = _TYPE_AND_LENGTH.unpack_from(data, start)
        if body_type not in BODY_SIZES:
            raise Malformed("unknown body type", where=f"quote byte {start}", got=str(body_type), expected="1 to 4")
        if size != BODY_SIZES[body_type]:
            raise Malformed(
                "body size does not fit the body type",
                where=f"quote byte {start + 2}",
                got=str(size),
                expected=str(BODY_SIZES[body_type]),
            )
        if (body_type == BODY_SGX) != (header.tee_type == TEE_SGX):
            raise Malformed(
                "body type of another TEE",
                where=f"quote byte {start}",
                got=str(body_type),
                expected="1" if header.tee_type == TEE_SGX else "2, 3 or 4",
            )
        start += _TYPE_AND_LENGTH.size
    end = start + BODY_SIZES[body_type]
    body = data[start:end]
    return parse_enclave_report(body) if body_type == BODY_SGX else parse_td_report(body, body_type), end
