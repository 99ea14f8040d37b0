"""The dstack event log: one list of events, each with the digest that went into a register.

The log is untrusted text. For RTMR3 its digests are recomputed from name and payload and never taken from the log,
which may leave them empty (guests since 0.5.6 do). For RTMR0-2 the payload's meaning is the firmware's, so the given
digests are replayed. Replaying to the quote's register is what makes an event true.

JSON form: an array of {"imr": 0..3, "event_type": u32, "digest": hex, "event": text, "event_payload": hex}, and for
digests of version 2 also {"version": 2, "preimage": hex}.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar, cast

from twinproof.errors import Forged, Malformed
from twinproof.memo import remembered
from twinproof.tdx.rtmr import REGISTER_SIZE, replay
from twinproof.wire import Fields, parse_json, parse_object, shown

__all__ = ["MAX_EVENT_LOG_BYTES", "RUNTIME_EVENT_TYPE", "Event", "EventLog", "make_event", "parse_event_log"]

RUNTIME_EVENT_TYPE = 0x08000001
RUNTIME_IMR = 3
MAX_EVENT_LOG_BYTES = 8 << 20
MAX_EVENTS = 16384
MAX_NAME_BYTES = 1024
MAX_PAYLOAD_BYTES = 1 << 20
_MEMBERS = frozenset({"imr", "event_type", "digest", "event", "event_payload"})
_MOST_REMEMBERED = 4096
_OPTIONAL = frozenset({"version", "preimage"})
_AS_MEASURED = re.compile(
    rf'"imr":{RUNTIME_IMR},"event_type":{RUNTIME_EVENT_TYPE},"digest":"((?:[0-9a-f]{{96}})?)"'
    r',"event":"([ !#-9;-\[\]-~]{0,1024})","event_payload":"([0-9a-f]{0,2048})"',
    re.ASCII,
)
"""A runtime event of version 1 as guests write it, with a name that needs no escapes and has no `:`: strict JSON."""
_RUNTIME_MEMBER = f'"imr":{RUNTIME_IMR},'
_NEXT_IS_RUNTIME = "},{" + _RUNTIME_MEMBER


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `digest` is what the log supplied: 48 bytes, or empty for RTMR3; `measured` is what is replayed."""

    imr: int
    event_type: int
    digest: bytes
    event: str
    payload: bytes
    version: int = 1
    preimage: bytes | None = None
    hashed: bytes = field(init=False, repr=False)
    """The bytes whose SHA-384 extended RTMR3; empty for RTMR0-2."""
    measured: bytes = field(init=False, repr=False)
    """The digest to replay: recomputed for RTMR3, as supplied for RTMR0-2."""

    def __post_init__(self) -> None:
        runtime = self.imr == RUNTIME_IMR
        hashed = _hashed(self.event, self.payload, self.version) if runtime else b""
        object.__setattr__(self, "hashed", hashed)
        object.__setattr__(self, "measured", hashlib.sha384(hashed).digest() if runtime else self.digest)


def _hashed(event: str, payload: bytes, version: int) -> bytes:
    """Version 1: LE32(0x08000001) ":" name ":" payload. Version 2: the RFC 8785 form of {name, payload, type}."""
    if version == 1:
        return b"%b:%b:%b" % (RUNTIME_EVENT_TYPE.to_bytes(4, "little"), event.encode(), payload)
    members = {"name": event, "payload": payload.hex(), "type": RUNTIME_EVENT_TYPE}
    # For an object of texts and one integer, sorted compact JSON with raw UTF-8 is exactly RFC 8785.
    return json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


Fact = TypeVar("Fact")


class EventLog:
    """The one list of events; every question about the log is answered from it. It never changes.

    `text` is the JSON text of the events, to know them by; empty where they came in another form. `head` is the same
    list up to its first runtime event, where that was read before and everything after it is one.
    """

    __slots__ = ("_facts", "_head", "_of", "events", "text")

    def __init__(self, events: tuple[Event, ...], text: str = "", head: EventLog | None = None) -> None:
        self.events, self.text, self._head = events, text, head
        self._facts: dict[object, object] = {}
        if head is not None:
            self._of: tuple[tuple[Event, ...], ...] = (*head._of[:RUNTIME_IMR], events[len(head.events) :])  # noqa: SLF001
        else:
            registers: tuple[list[Event], ...] = ([], [], [], [])
            for event in events:
                registers[event.imr].append(event)
            self._of = tuple(map(tuple, registers))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EventLog) and self.events == other.events

    def __hash__(self) -> int:
        return hash(self.events)

    def of(self, imr: int) -> tuple[Event, ...]:
        return self._of[imr]

    @property
    def runtime(self) -> tuple[Event, ...]:
        """The events of RTMR3, in order."""
        return self._of[RUNTIME_IMR]

    @property
    def firmware(self) -> EventLog:
        """The events of RTMR0-2 alone: instances of one image have the same."""
        if self._head is not None:
            return self._head
        return self.once(_without_runtime) if self.runtime else self

    def replay(self, imr: int) -> bytes:
        """The 48-byte register that these events lead to."""
        return self.once(_runtime_register) if imr == RUNTIME_IMR else self.firmware.once(_firmware_registers)[imr]

    def once(self, derive: Callable[[EventLog], Fact]) -> Fact:
        """`derive(self)`, a function of these events alone, computed once; what it raises is not kept."""
        fact = self._facts.get(derive)
        if fact is None:
            fact = self._facts[derive] = derive(self)
        return cast("Fact", fact)

    def check_digests(self) -> int:
        """Compare what the log supplies with what its events hash to; returns how many digests it supplied.

        Nothing is proved by equality, as no supplied digest is used; a difference says that someone edited the log.
        Raises Forged.
        """
        supplied = 0
        for index, event in enumerate(self.events):
            if event.imr != RUNTIME_IMR:
                continue
            if event.preimage is not None and event.preimage != event.hashed:
                raise Forged(
                    "the supplied preimage is not what this event hashes", where=_place(index, event, "preimage")
                )
            if event.digest:
                supplied += 1
                if event.digest != event.measured:
                    raise Forged(
                        "the supplied digest is not the digest of this event",
                        where=_place(index, event, "digest"),
                        got=event.digest.hex(),
                        expected=event.measured.hex(),
                    )
        return supplied


def _runtime_register(log: EventLog) -> bytes:
    return replay([event.measured for event in log.runtime])


def _firmware_registers(log: EventLog) -> tuple[bytes, ...]:
    return tuple(replay([event.measured for event in log.of(imr)]) for imr in range(RUNTIME_IMR))


def _without_runtime(log: EventLog) -> EventLog:
    return EventLog(tuple(event for event in log.events if event.imr != RUNTIME_IMR))


def _place(index: int, event: Event, member: str) -> str:
    return f"event log[{index}] {shown(event.event, 40)} {member}"


def make_event(
    *,
    imr: int,
    event_type: int,
    digest: bytes,
    event: str,
    payload: bytes,
    version: int = 1,
    preimage: bytes | None = None,
    where: str,
) -> Event:
    """An event that obeys the rules common to the JSON, SCALE and MessagePack forms. Raises Malformed."""
    runtime = event_type == RUNTIME_EVENT_TYPE
    if not 0 <= imr <= RUNTIME_IMR:
        raise Malformed("no such register", where=f"{where}.imr", got=str(imr), expected="0..3")
    if runtime != (imr == RUNTIME_IMR):
        # Readers that select by type and readers that select by register would replay different lists.
        raise Malformed(
            "the event's type belongs to another register",
            where=f"{where}.event_type",
            got=f"type {event_type:#010x} in imr {imr}",
            expected=f"type {RUNTIME_EVENT_TYPE:#010x} exactly in imr {RUNTIME_IMR}",
        )
    if len(digest) not in ((0, REGISTER_SIZE) if runtime else (REGISTER_SIZE,)):
        raise Malformed("wrong digest length", where=f"{where}.digest", got=f"{len(digest)} bytes", expected="48 bytes")
    if len(event.encode()) > MAX_NAME_BYTES:
        raise Malformed("event name too long", where=f"{where}.event", expected=f"at most {MAX_NAME_BYTES} bytes")
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise Malformed("payload too large", where=f"{where}.event_payload", got=f"{len(payload)} bytes")
    if version not in (1, 2) or (version == 2 and not runtime):
        raise Malformed("no such digest version", where=f"{where}.version", got=str(version))
    if preimage is not None and version != 2:
        raise Malformed("a preimage belongs to digests of version 2", where=f"{where}.preimage")
    if runtime and version == 1 and ":" in event:
        # Bytes can move between name and payload at any ":" without changing a version 1 digest. With no ":" in a
        # name, the first one after the type is the only place to cut.
        raise Malformed("ambiguous event name", where=f"{where}.event", got=shown(event, 40), expected="no ':'")
    return Event(imr, event_type, digest, event, payload, version, preimage)


@remembered
def parse_event_log(text: str) -> EventLog:
    """Read the JSON text strictly: exact members, duplicates refused, everything capped. Raises Malformed."""
    log = _one_by_one(text) if len(text) <= MAX_EVENT_LOG_BYTES else None
    return EventLog(_as_a_whole(text), text) if log is None else log


def _as_a_whole(text: str) -> tuple[Event, ...]:
    value = parse_json(text, "event log", max_bytes=MAX_EVENT_LOG_BYTES)
    if not isinstance(value, list):
        raise Malformed("not an array", where="event log", got=type(value).__name__)
    if len(value) > MAX_EVENTS:
        raise Malformed("too many events", where="event log", got=str(len(value)), expected=f"at most {MAX_EVENTS}")
    return tuple(_event(item, f"event log[{index}]") for index, item in enumerate(value))


def _one_by_one(text: str) -> EventLog | None:
    """A compact array read event by event, for the logs of one image differ in a few events only.

    What stands between two places of `},{` is one event where each of them, in its braces, is strict JSON by itself:
    then the whole is an array of exactly these. None for any other text, and for one that is malformed or too long: it
    is read again as a whole, which names the place.
    """
    if text[:2] != "[{" or text[-2:] != "}]":
        return None
    first, mark, rest = text[2:-2].partition(_NEXT_IS_RUNTIME)
    try:
        head = _head(first)
        if not mark:
            return EventLog(head.events, text)
        items = rest.split("},{")
        if len(head.events) + len(items) > MAX_EVENTS:
            return None
        items[0] = _RUNTIME_MEMBER + items[0]
        after = tuple(map(_event_of, items))
    except Malformed:
        return None
    cleanly = not head.runtime and {event.imr for event in after} == {RUNTIME_IMR}
    return EventLog(head.events + after, text, head if cleanly else None)


@remembered
def _head(inner: str) -> EventLog:
    """The events before the first that is written like a runtime event. Raises Malformed."""
    items = inner.split("},{")
    if len(items) > MAX_EVENTS:
        raise Malformed("too many events", where="event log")
    return EventLog(tuple(map(_event_of, items)), inner)


def _event_of(inner: str) -> Event:
    return _remembered_event(inner) if len(inner) <= _MOST_REMEMBERED else _read(inner)


def _read(inner: str) -> Event:
    match = _AS_MEASURED.fullmatch(inner)
    if match is not None:
        digest, name, payload = match.groups()
        if len(payload) % 2 == 0:
            octets = bytes.fromhex
            return Event(RUNTIME_IMR, RUNTIME_EVENT_TYPE, octets(digest), name, octets(payload))
    return _event(parse_object(f"{{{inner}}}", "event").raw, "event")


_remembered_event = lru_cache(maxsize=2048)(_read)


def _event(item: object, where: str) -> Event:
    fields = Fields(item, where)
    unknown = set(fields.raw) - _MEMBERS - _OPTIONAL
    if unknown:
        raise Malformed("unknown member", where=fields.where, got=shown(min(unknown), 40))
    return make_event(
        imr=fields.integer("imr", high=RUNTIME_IMR),
        event_type=fields.integer("event_type", high=0xFFFFFFFF),
        digest=fields.hex("digest", max_size=REGISTER_SIZE),
        event=fields.text("event", max_chars=MAX_NAME_BYTES),
        payload=fields.hex("event_payload", max_size=MAX_PAYLOAD_BYTES),
        version=fields.integer("version", low=1, high=2) if "version" in fields else 1,
        preimage=fields.hex("preimage", max_size=4 * MAX_PAYLOAD_BYTES) if "preimage" in fields else None,
        where=fields.where,
    )
