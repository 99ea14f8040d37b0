"""What the guest measured while it booted: the events of RTMR3 up to `system-ready`.

After `system-ready` any process of the app may extend RTMR3, so only what comes before it identifies the system. The
names, their order and their payload lengths are those of the documented guest versions, kept as data below; a log that
fits none of them is refused. Events of one name before `system-ready` appear once, except those that repeat by design.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from twinproof.dstack.event_log import Event, EventLog
from twinproof.dstack.key_provider import KeyProvider, parse_key_provider
from twinproof.errors import Contradiction, Malformed
from twinproof.wire import parse_object, shown

__all__ = ["BOOT_EVENT_NAMES", "Boot", "read_boot"]

MAX_REPEATS = 64
_STORAGE_FS = re.compile(r"[a-z][a-z0-9]{0,15}", re.ASCII)


def _wrong_size(event: Event, sizes: tuple[int, ...]) -> Malformed:
    return Malformed(
        "wrong payload length",
        where=f"event {event.event}",
        got=f"{len(event.payload)} bytes",
        expected=" or ".join(str(size) for size in sizes),
    )


def _storage_fs(event: Event) -> None:
    if not _STORAGE_FS.fullmatch(event.payload.decode("latin-1")):
        raise Malformed("not the name of a file system", where="event storage-fs", got=shown(event.payload.hex(), 40))


def _key_provider(event: Event) -> None:
    parse_key_provider(event.payload, "event key-provider")


def _gpu_attestation(event: Event) -> None:
    parse_object(event.payload, "event gpu-attestation")


SIZES: dict[str, tuple[int, ...]] = {
    "system-preparing": (0,),
    "rootfs-hash": (32,),
    "app-id": (20,),
    "compose-hash": (32,),
    "init-script-hash": (32,),
    "gpu-policy-hash": (32,),
    "instance-id": (0, 20),
    "boot-mr-done": (0,),
    "mr-kms": (32,),
    "os-image-hash": (32,),
    "system-ready": (0,),
}
"""Of payloads whose form is their length, in bytes."""
READERS: dict[str, Callable[[Event], None]] = {
    "gpu-attestation": _gpu_attestation,
    "key-provider": _key_provider,
    "storage-fs": _storage_fs,
}
BOOT_EVENT_NAMES = frozenset({*SIZES, *READERS})
_REPEATING = {"init-script-hash": 5, "mr-kms": MAX_REPEATS}


@dataclass(frozen=True, slots=True)
class _Place:
    """A name at its place in the order; `kms` places exist only when a KMS gave the keys."""

    name: str
    optional: bool = False
    kms: bool = False

    @property
    def most(self) -> int:
        return _REPEATING.get(self.name, 1)


def _order(text: str) -> tuple[_Place, ...]:
    """`name?` may be absent, `kms:name` exists only with a KMS."""
    return tuple(
        _Place(word.removeprefix("kms:").removesuffix("?"), word.endswith("?"), word.startswith("kms:"))
        for word in text.split()
    )


GENERATIONS: dict[str, tuple[_Place, ...]] = {
    # `rootfs-hash` is seen in images of the 0.4 era only.
    "0.4.2-0.5.0": _order(
        "system-preparing rootfs-hash? app-id compose-hash instance-id boot-mr-done kms:mr-kms? key-provider"
        " system-ready"
    ),
    "0.5.1-0.5.4": _order(
        "system-preparing app-id compose-hash instance-id boot-mr-done kms:mr-kms? kms:os-image-hash key-provider"
        " system-ready"
    ),
    "0.5.5-0.5.11": _order(
        "system-preparing app-id compose-hash instance-id boot-mr-done kms:mr-kms? kms:os-image-hash key-provider"
        " storage-fs system-ready"
    ),
    # Development builds of 0.6 emit no `gpu-policy-hash`; `mr-kms` was dropped on the way.
    "0.6": _order(
        "system-preparing app-id compose-hash init-script-hash? gpu-policy-hash? gpu-attestation? instance-id"
        " boot-mr-done kms:mr-kms? kms:os-image-hash key-provider storage-fs system-ready"
    ),
}


class Boot(NamedTuple):
    """The measured identity. `generations` names the guest versions whose order of events this log has."""

    app_id: bytes
    compose_hash: bytes
    instance_id: bytes
    """20 bytes, or empty when the app asks for none."""
    key_provider: KeyProvider
    os_image_hash: bytes | None
    """What the KMS answered; absent without a KMS."""
    rootfs_hash: bytes | None
    storage_fs: str | None
    mr_kms: tuple[bytes, ...]
    init_script_hashes: tuple[bytes, ...]
    gpu_policy_hash: bytes | None
    gpu_attestation: bytes | None
    generations: tuple[str, ...]
    boot_events: tuple[Event, ...]
    app_events: tuple[Event, ...]
    """Everything after `system-ready`: the app's own, whatever it is called."""

    @property
    def imitations(self) -> tuple[str, ...]:
        """Names of boot events that the app used again after `system-ready`; they say nothing about the boot."""
        return tuple(sorted({event.event for event in self.app_events} & BOOT_EVENT_NAMES))


def read_boot(log: EventLog) -> Boot:
    """Read the boot events. The caller replays RTMR3 first: until then these are only words.

    Raises Malformed for logs of no documented form, Contradiction for an event that must be unique and is not.
    """
    names = [event.event for event in log.runtime]
    if "system-ready" not in names:
        raise Malformed(
            "no system-ready event",
            where="event log",
            got=shown(", ".join(names), 200) or "no runtime events",
            expected="a guest of 0.4 or newer that finished booting",
            hint="without it nothing tells the boot's events from the app's own",
        )
    end = names.index("system-ready") + 1
    boot, after = log.runtime[:end], log.runtime[end:]
    if "system-ready" in names[end:]:
        raise Contradiction("two system-ready events: the end of the boot is ambiguous", where="event log")
    found = _by_name(boot)
    for name in ("app-id", "compose-hash", "instance-id", "boot-mr-done", "key-provider"):
        if name not in found:
            raise Malformed(f"no {name} event before system-ready", where="event log", got=", ".join(found))
    key_provider = parse_key_provider(found["key-provider"][0])
    generations = _generations(tuple(names[:end]), kms=key_provider.name == "kms")
    if not generations:
        raise Malformed(
            "boot events in no documented order",
            where="event log",
            got=", ".join(names[:end]),
            expected="the events of a guest " + ", ".join(GENERATIONS),
        )
    return Boot(
        app_id=found["app-id"][0],
        compose_hash=found["compose-hash"][0],
        instance_id=found["instance-id"][0],
        key_provider=key_provider,
        os_image_hash=_only(found, "os-image-hash"),
        rootfs_hash=_only(found, "rootfs-hash"),
        storage_fs=found["storage-fs"][0].decode("ascii") if "storage-fs" in found else None,
        mr_kms=found.get("mr-kms", ()),
        init_script_hashes=found.get("init-script-hash", ()),
        gpu_policy_hash=_only(found, "gpu-policy-hash"),
        gpu_attestation=_only(found, "gpu-attestation"),
        generations=generations,
        boot_events=boot,
        app_events=after,
    )


def _by_name(events: tuple[Event, ...]) -> dict[str, tuple[bytes, ...]]:
    found: dict[str, tuple[bytes, ...]] = {}
    for event in events:
        name = event.event
        earlier = found.get(name, ())
        if earlier and len(earlier) >= _REPEATING.get(name, 1):
            raise Contradiction(f"more than one {name} event before system-ready", where="event log")
        sizes = SIZES.get(name)
        if sizes is not None:
            if len(event.payload) not in sizes:
                raise _wrong_size(event, sizes)
        elif name in READERS:
            READERS[name](event)
        else:
            raise Malformed("unknown event before system-ready", where="event log", got=shown(name, 40))
        found[name] = (*earlier, event.payload)
    return found


@lru_cache(maxsize=64)  # instances of one guest version have the same names
def _generations(names: tuple[str, ...], *, kms: bool) -> tuple[str, ...]:
    """The guest versions whose order of events this is."""
    return tuple(name for name, order in GENERATIONS.items() if _fits(names, order, kms=kms))


def _fits(names: tuple[str, ...], order: tuple[_Place, ...], *, kms: bool) -> bool:
    """Whether the names are this order, exactly. No name stands at two places, so taking all there are is right."""
    at = 0
    for place in order:
        most = place.most if kms or not place.kms else 0
        start = at
        while at < len(names) and names[at] == place.name and at - start < most:
            at += 1
        if at == start and most and not place.optional:
            return False
    return at == len(names)


def _only(found: dict[str, tuple[bytes, ...]], name: str) -> bytes | None:
    return found[name][0] if name in found else None
