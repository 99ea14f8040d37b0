"""Event log entries with their digests, and the registers they add up to. JSON as the guest agent writes it.

V1 digest = SHA-384(LE32(type) || ":" || name || ":" || payload), V2 = SHA-384 of a canonical JSON text (dstack 0.6).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["RUNTIME_EVENT", "Event", "replay", "runtime_event"]

RUNTIME_EVENT = 0x08000001


@dataclass(frozen=True, slots=True)
class Event:
    """One extension of a register. `digest` has 48 bytes; `preimage` is set for V2 events."""

    imr: int
    event_type: int
    digest: bytes
    event: str = ""
    payload: bytes = b""
    preimage: bytes | None = None

    def json(self) -> dict[str, object]:
        """With everything in it, as in `tcb_info`."""
        entry: dict[str, object] = {
            "imr": self.imr,
            "event_type": self.event_type,
            "digest": self.digest.hex(),
            "event": self.event,
            "event_payload": self.payload.hex(),
        }
        if self.preimage is not None:
            entry |= {"version": 2, "preimage": self.preimage.hex()}
        return entry


def runtime_event(name: str, payload: bytes, version: int = 1) -> Event:
    """An event of RTMR3, whoever emits it."""
    if version == 1:
        preimage = RUNTIME_EVENT.to_bytes(4, "little") + b":" + name.encode() + b":" + payload
        return Event(3, RUNTIME_EVENT, hashlib.sha384(preimage).digest(), name, payload)
    text = json.dumps({"name": name, "payload": payload.hex(), "type": RUNTIME_EVENT}, separators=(",", ":"))
    preimage = text.encode()
    return Event(3, RUNTIME_EVENT, hashlib.sha384(preimage).digest(), name, payload, preimage)


def replay(events: Iterable[Event], imr: int) -> bytes:
    """The register (48 bytes) after these events: SHA-384(register || digest), from zero."""
    register = bytes(48)
    for event in events:
        if event.imr == imr:
            register = hashlib.sha384(register + event.digest).digest()
    return register
