"""dstack's versioned attestation, form V0: SCALE. One byte string with quote, event log and VM configuration.

00 | platform u8 (0: tdx) | quote | events | runtime events | report_data (64) | config text
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twinproof_devnet.event_log import RUNTIME_EVENT, Event

__all__ = ["encode_v0", "stripped"]

_ONE_BYTE, _TWO_BYTES, _FOUR_BYTES = 1 << 6, 1 << 14, 1 << 30


def _compact(value: int) -> bytes:
    """SCALE's compact integer: the two low bits tell the size."""
    if value < _ONE_BYTE:
        return bytes([value << 2])
    if value < _TWO_BYTES:
        return (value << 2 | 1).to_bytes(2, "little")
    if value < _FOUR_BYTES:
        return (value << 2 | 2).to_bytes(4, "little")
    raise ValueError("too long for this envelope")


def _blob(data: bytes) -> bytes:
    return _compact(len(data)) + data


def _vector(items: Sequence[bytes]) -> bytes:
    return _compact(len(items)) + b"".join(items)


def _event(event: Event) -> bytes:
    head = event.imr.to_bytes(4, "little") + event.event_type.to_bytes(4, "little")
    return head + _blob(event.digest) + _blob(event.event.encode()) + _blob(event.payload)


def encode_v0(quote: bytes, events: Iterable[Event], report_data: bytes, config: str) -> bytes:
    """`events` in one list; the runtime events among them are written a second time, as the form wants it."""
    events = tuple(events)
    runtime = [_blob(event.event.encode()) + _blob(event.payload) for event in events if event.imr == 3]
    listed = _vector([_event(event) for event in events])
    return b"\x00\x00" + _blob(quote) + listed + _vector(runtime) + report_data + _blob(config.encode())


def stripped(events: Iterable[Event]) -> tuple[Event, ...]:
    """What certificates carry: runtime events and the ACPI events."""
    return tuple(event for event in events if event.event_type == RUNTIME_EVENT or event.event.startswith("acpi-"))
