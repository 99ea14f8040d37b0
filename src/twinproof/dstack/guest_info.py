"""What the guest agent says about itself: the answer to Info, public as Worker.Info on port 8090.

Everything in it comes from a quote that the guest never verified, and reaches us over a connection that nothing binds.
So these are claims: useful as the pre-image of a measured hash (`app_compose`, `event_log`), and otherwise only good
for contradicting the quote. `tcb_info` is a JSON text inside the JSON, empty when the app keeps it private.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from twinproof.dstack.ra_tls import first_certificate
from twinproof.errors import Malformed
from twinproof.wire import Fields, parse_object

__all__ = ["UNKNOWN_DEVICE_ID", "GuestInfo", "parse_guest_info"]

MAX_GUEST_INFO_BYTES = 16 << 20
WHERE = "Info"
UNKNOWN_DEVICE_ID = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
"""SHA-256 of nothing: what the guest answers because it cannot know its PPID."""
_HASHES = {
    "app_id": 20,
    "instance_id": 20,
    "device_id": 32,
    "mr_aggregated": 32,
    "os_image_hash": 32,
    "compose_hash": 32,
}


class GuestInfo(NamedTuple):
    """Unverified claims; None where the answer says nothing (an absent or empty member)."""

    app_name: str | None
    app_id: bytes | None
    instance_id: bytes | None
    device_id: bytes | None
    mr_aggregated: bytes | None
    os_image_hash: bytes | None
    compose_hash: bytes | None
    key_provider_info: str | None
    vm_config: str | None
    app_cert: bytes | None
    """DER of the first certificate: an RA-TLS certificate that the agent had made for demonstration."""
    mrtd: bytes | None = None
    rtmr0: bytes | None = None
    rtmr1: bytes | None = None
    rtmr2: bytes | None = None
    rtmr3: bytes | None = None
    app_compose: str | None = None
    """The exact text, a pre-image of the compose hash."""
    event_log: str | None = None
    """The list inside tcb_info, as JSON text; digests and payloads of all registers are in it."""
    tcb_claims: tuple[tuple[str, bytes], ...] = ()
    """What tcb_info repeats from the top level, in its own words."""


def parse_guest_info(text: str | bytes) -> GuestInfo:
    """Read the members used here; the agent may add others. Raises Malformed."""
    fields = parse_object(text, WHERE, max_bytes=MAX_GUEST_INFO_BYTES)
    if "error" in fields and "app_id" not in fields:
        raise Malformed(
            "the guest agent answered with an error", where=f"{WHERE}.error", got=repr(fields.raw["error"])[:80]
        )
    claims = {name: _hash(fields, name, size) for name, size in _HASHES.items()}
    tcb_text = _text(fields, "tcb_info")
    tcb = parse_object(tcb_text, f"{WHERE}.tcb_info", max_bytes=MAX_GUEST_INFO_BYTES) if tcb_text else None
    return GuestInfo(
        app_name=_text(fields, "app_name"),
        app_id=claims["app_id"],
        instance_id=claims["instance_id"],
        device_id=claims["device_id"],
        mr_aggregated=claims["mr_aggregated"],
        os_image_hash=claims["os_image_hash"],
        compose_hash=claims["compose_hash"],
        key_provider_info=_text(fields, "key_provider_info"),
        vm_config=_text(fields, "vm_config"),
        app_cert=_certificate(_text(fields, "app_cert")),
        mrtd=_hash(tcb, "mrtd", 48),
        rtmr0=_hash(tcb, "rtmr0", 48),
        rtmr1=_hash(tcb, "rtmr1", 48),
        rtmr2=_hash(tcb, "rtmr2", 48),
        rtmr3=_hash(tcb, "rtmr3", 48),
        app_compose=_text(tcb, "app_compose"),
        event_log=_event_log(tcb),
        tcb_claims=tuple(
            (name, value) for name, size in _HASHES.items() if (value := _hash(tcb, name, size)) is not None
        ),
    )


def _hash(fields: Fields | None, name: str, size: int) -> bytes | None:
    if fields is None or fields.raw.get(name, "") == "":
        return None
    return fields.hex(name, size=size)


def _text(fields: Fields | None, name: str) -> str | None:
    if fields is None or fields.raw.get(name, "") == "":
        return None
    return fields.text(name, max_chars=MAX_GUEST_INFO_BYTES)


def _event_log(tcb: Fields | None) -> str | None:
    """Events are hashed by their members, not by this text, so writing it again loses nothing."""
    if tcb is None or "event_log" not in tcb:
        return None
    return json.dumps(tcb.array("event_log", max_items=1 << 14), separators=(",", ":"), ensure_ascii=False)


def _certificate(pem: str | None) -> bytes | None:
    return None if pem is None else first_certificate(pem.encode(), f"{WHERE}.app_cert")
