"""dstack's versioned attestation: one byte string with a quote, its event log and the VM's configuration.

The first byte decides the form (dstack `dstack-attest`, at most 10 MiB):

    00                  V0, SCALE:  platform u8 | quote | events | runtime events | report_data (64) | config text
    80..8f, de, df      V1, MessagePack map {"version": 1, "platform": {"kind", "data"}, "stack": {"kind", "data"}}

Both carry the runtime events a second time. Only one list is used afterwards: the second must repeat the first.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple, Never

from twinproof.dstack.event_log import MAX_EVENTS, Event, EventLog, make_event
from twinproof.dstack.message_pack import unpack
from twinproof.dstack.scale import ScaleReader
from twinproof.errors import Contradiction, Malformed
from twinproof.wire import Fields, shown

__all__ = ["MAX_ATTESTATION_BYTES", "VersionedAttestation", "parse_versioned_attestation"]

MAX_ATTESTATION_BYTES = 10 << 20
MAX_QUOTE_BYTES = 1 << 16
REPORT_DATA_SIZE = 64
WHERE = "attestation"
_PLATFORMS_V0 = ("tdx", "gcp-tdx", "nitro-enclave", "sev-snp", "aws-nitro-tpm")
_V1_FIRST_BYTES = frozenset((*range(0x80, 0x90), 0xDE, 0xDF))
_EVENT_MEMBERS = frozenset({"imr", "event_type", "digest", "event", "event_payload"})
_EVENT_OPTIONAL = frozenset({"version", "preimage"})


class VersionedAttestation(NamedTuple):
    """`config` is the VM configuration's text, in V0 sometimes a whole sys-config (see `vm_config`)."""

    version: int
    quote: bytes
    event_log: EventLog
    report_data: bytes
    """64 bytes that the envelope claims; only the quote's are signed."""
    config: str
    report_data_payload: str | None = None

    def check_report_data(self, signed: bytes) -> None:
        """The envelope says what the quote signed. Raises Contradiction."""
        if self.report_data != signed:
            raise Contradiction(
                "the envelope claims other report data than the quote signs",
                where=f"{WHERE}.report_data",
                got=self.report_data.hex(),
                expected=signed.hex(),
            )


def parse_versioned_attestation(data: bytes) -> VersionedAttestation:
    """Read either form. Raises Malformed (also for attestations of other platforms), Contradiction."""
    if len(data) > MAX_ATTESTATION_BYTES:
        raise Malformed("too large", where=WHERE, got=f"{len(data)} bytes", expected="at most 10 MiB")
    if data[:1] == b"\x00":
        return _read_v0(ScaleReader(data, WHERE))
    if data and data[0] in _V1_FIRST_BYTES:
        return _read_v1(Fields(unpack(data, WHERE), WHERE))
    raise Malformed(
        "not a versioned attestation", where=f"{WHERE} byte 0", got=data[:1].hex() or "nothing", expected="00 or 80..8f"
    )


def _not_tdx(platform: str, where: str) -> Never:
    raise Malformed("not a TDX attestation", where=where, got=shown(platform, 40), expected="tdx")


def _read_v0(reader: ScaleReader) -> VersionedAttestation:
    reader.u8("version")
    where = reader.where
    platform = reader.u8("platform")
    if platform != 0:
        _not_tdx(_PLATFORMS_V0[platform] if platform < len(_PLATFORMS_V0) else f"variant {platform}", where)
    quote = _quote(reader.blob("quote"))
    # u32 imr, u32 type, and three compact lengths of one byte each
    events = tuple(_v0_event(reader) for _ in range(_bounded(reader.items("events", least_size=11))))
    runtime = tuple(
        (reader.text("event name"), reader.blob("payload"))
        for _ in range(_bounded(reader.items("runtime events", least_size=2)))
    )
    report_data = reader.take(REPORT_DATA_SIZE, "report_data")
    config = reader.text("config")
    reader.end()
    log = _one_list(events, [(1, *pair) for pair in runtime])
    return VersionedAttestation(0, quote, log, report_data, config)


def _v0_event(reader: ScaleReader) -> Event:
    where = f"{reader.where} event"
    return make_event(
        imr=reader.u32("imr"),
        event_type=reader.u32("event type"),
        digest=reader.blob("digest"),
        event=reader.text("event name"),
        payload=reader.blob("payload"),
        where=where,
    )


def _read_v1(fields: Fields) -> VersionedAttestation:
    _exactly(fields, {"version", "platform", "stack"})
    if fields.integer("version") != 1:
        raise Malformed("unsupported version", where=f"{WHERE}.version", got=str(fields.integer("version")))
    platform, stack = fields.child("platform"), fields.child("stack")
    _exactly(platform, {"kind", "data"})
    _exactly(stack, {"kind", "data"})
    if platform.text("kind", max_chars=64) != "tdx":
        _not_tdx(platform.text("kind"), f"{WHERE}.platform.kind")
    evidence, said = platform.child("data"), stack.child("data")
    _exactly(evidence, {"quote", "event_log"})
    kind = stack.text("kind", max_chars=64)
    if kind not in {"dstack", "dstack-pod"}:
        raise Malformed("unknown stack", where=f"{WHERE}.stack.kind", got=shown(kind, 40))
    _exactly(
        said, {"report_data", "runtime_events", "config"}, {"report_data_payload"} if kind == "dstack-pod" else set()
    )
    report_data = _octets(said, "report_data")
    if len(report_data) != REPORT_DATA_SIZE:
        raise Malformed("wrong length", where=f"{said.where}.report_data", got=f"{len(report_data)} bytes")
    payload = said.text("report_data_payload") if kind == "dstack-pod" else None
    if payload is not None and hashlib.sha512(b"app-data:" + payload.encode()).digest() != report_data:
        raise Contradiction("report_data is not the hash of its payload", where=f"{said.where}.report_data_payload")
    events = tuple(_v1_event(item) for item in evidence.objects("event_log", max_items=MAX_EVENTS))
    runtime = [_v1_runtime_event(item) for item in said.objects("runtime_events", max_items=MAX_EVENTS)]
    return VersionedAttestation(
        version=1,
        quote=_quote(_octets(evidence, "quote")),
        event_log=_one_list(events, runtime),
        report_data=report_data,
        config=said.text("config", max_chars=MAX_ATTESTATION_BYTES),
        report_data_payload=payload,
    )


def _v1_event(fields: Fields) -> Event:
    _exactly(fields, _EVENT_MEMBERS - {"digest"}, _EVENT_OPTIONAL | {"digest"})
    return make_event(
        imr=fields.integer("imr"),
        event_type=fields.integer("event_type", high=0xFFFFFFFF),
        digest=_octets(fields, "digest") if "digest" in fields else b"",
        event=fields.text("event"),
        payload=_octets(fields, "event_payload"),
        version=fields.integer("version", low=1, high=2) if "version" in fields else 1,
        preimage=_octets(fields, "preimage") if "preimage" in fields else None,
        where=fields.where,
    )


def _v1_runtime_event(fields: Fields) -> tuple[int, str, bytes]:
    _exactly(fields, {"event", "payload"}, {"version"})
    version = fields.integer("version", low=1, high=2) if "version" in fields else 1
    return version, fields.text("event"), _octets(fields, "payload")


def _exactly(
    fields: Fields, names: set[str] | frozenset[str], optional: set[str] | frozenset[str] = frozenset()
) -> None:
    for name in sorted(names - set(fields.raw)):
        raise Malformed("missing member", where=f"{fields.where}.{name}")
    for name in sorted(set(fields.raw) - names - optional):
        raise Malformed("unknown member", where=fields.where, got=shown(name, 40))


def _octets(fields: Fields, name: str) -> bytes:
    """Bytes are `bin`, or an array of integers where the Rust type is a plain Vec<u8>."""
    value = fields.raw.get(name)
    if isinstance(value, bytes):
        return value
    where = f"{fields.where}.{name}"
    octets = bytearray()
    for item in fields.array(name, max_items=1 << 17):
        if isinstance(item, bool) or not isinstance(item, int) or not 0 <= item <= 0xFF:
            raise Malformed("not an array of bytes", where=where, got=shown(item, 20))
        octets.append(item)
    return bytes(octets)


def _quote(data: bytes) -> bytes:
    if len(data) > MAX_QUOTE_BYTES:
        raise Malformed("quote too large", where=f"{WHERE}.quote", got=f"{len(data)} bytes")
    return data


def _bounded(count: int) -> int:
    if count > MAX_EVENTS:
        raise Malformed("too many events", where=WHERE, got=str(count), expected=f"at most {MAX_EVENTS}")
    return count


def _one_list(events: tuple[Event, ...], runtime: list[tuple[int, str, bytes]]) -> EventLog:
    """A verifier that replays one list and reads the other can be shown two stories, so there is only one."""
    log = EventLog(events)
    if [(event.version, event.event, event.payload) for event in log.runtime] != runtime:
        raise Contradiction(
            "the two lists of runtime events differ",
            where=WHERE,
            got=f"{len(runtime)} runtime events",
            expected=f"the {len(log.runtime)} events of RTMR3 in the event log",
        )
    return log
