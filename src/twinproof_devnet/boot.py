"""One boot of a dstack guest: its events, the registers they lead to, and the texts that the guest shows.

RTMR3 follows the guest's generation, which is told by the image's version:

    0.4.x          system-preparing rootfs-hash app-id compose-hash instance-id boot-mr-done [mr-kms] key-provider
                   system-ready
    0.5.0          the same without rootfs-hash
    0.5.1-0.5.4    [mr-kms os-image-hash] before key-provider
    0.5.5-0.5.11   and storage-fs after it; from 0.5.6 GetQuote blanks runtime digests and boot payloads
    0.6            app-id compose-hash gpu-policy-hash instance-id ..., no mr-kms; ACPI events keep name and payload
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import msgpack  # type: ignore[import-untyped]  # it ships neither stubs nor py.typed
from eth_hash.auto import keccak

from twinproof_devnet.compose import ToyApp, app_compose, compose_hash
from twinproof_devnet.event_log import RUNTIME_EVENT, Event, replay, runtime_event
from twinproof_devnet.firmware import Shape, firmware_events, vm_config
from twinproof_devnet.host import TdMeasurements
from twinproof_devnet.image import Image

__all__ = ["Boot", "KeyProvider"]

_KINDS = {"none": 0, "local-sgx": 1, "kms": 2, "tpm": 3}
_DERIVED_APP_ID = 20


@dataclass(frozen=True, slots=True)
class KeyProvider:
    """Who gives the guest its keys. `id` is hex text: a KMS's root CA key (DER), a sealing enclave's measurement."""

    name: str = "none"
    id: str = ""
    mr_kms: bytes = bytes(32)
    """The KMS's own aggregated measurement."""

    @property
    def payload(self) -> bytes:
        return json.dumps({"name": self.name, "id": self.id}, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Boot:
    """All that follows from an app, an image, a machine's shape and a key provider. `replace` what should differ."""

    app_compose: str = field(default_factory=lambda: app_compose(ToyApp()))
    app_id: bytes | None = None
    """None: the start of the compose hash."""
    instance_id_seed: bytes | None = bytes(20)
    """20 random bytes in a real guest; None: the app has no instance ids."""
    key_provider: KeyProvider = field(default_factory=KeyProvider)
    image: Image = field(default_factory=Image)
    shape: Shape = field(default_factory=Shape)
    event_log_version: int = 1
    mr_config: int = 1
    """Version of MR_CONFIG_ID: 0 unused, 1 compose hash, 2 with app id and key provider."""
    app_events: tuple[tuple[str, bytes], ...] = ()
    """What the app itself measured after the boot."""
    td_attributes: int = TdMeasurements().td_attributes

    @property
    def compose_hash(self) -> bytes:
        return compose_hash(self.app_compose)

    @property
    def effective_app_id(self) -> bytes:
        return self.compose_hash[:_DERIVED_APP_ID] if self.app_id is None else self.app_id

    @property
    def instance_id(self) -> bytes:
        """SHA-256(seed || app id), 20 bytes; empty when the app has none."""
        if self.instance_id_seed is None:
            return b""
        return hashlib.sha256(self.instance_id_seed + self.effective_app_id).digest()[:20]

    @property
    def generation(self) -> tuple[int, ...]:
        """Version of the guest, to be compared with (0, 5, 6) and the like."""
        return tuple(int(part) for part in self.image.version.split("."))

    @property
    def vm_config(self) -> str:
        return vm_config(self.image, self.shape)

    def runtime_events(self) -> Iterator[tuple[str, bytes]]:
        """Name and payload of each event of RTMR3, in order."""
        guest, kms = self.generation, self.key_provider.name == "kms"
        yield "system-preparing", b""
        if guest < (0, 5):
            yield "rootfs-hash", hashlib.sha256(self.image.command_line.encode()).digest()
        yield "app-id", self.effective_app_id
        yield "compose-hash", self.compose_hash
        if guest >= (0, 6):
            yield "gpu-policy-hash", hashlib.sha256(b"{}").digest()
        yield "instance-id", self.instance_id
        yield "boot-mr-done", b""
        if kms and guest < (0, 6):
            yield "mr-kms", self.key_provider.mr_kms
        if kms and guest >= (0, 5, 1):
            yield "os-image-hash", self.image.os_image_hash
        yield "key-provider", self.key_provider.payload
        if guest >= (0, 5, 5):
            yield "storage-fs", b"zfs"
        yield "system-ready", b""
        yield from self.app_events

    def events(self) -> tuple[Event, ...]:
        """The whole log, nothing blanked."""
        runtime = (runtime_event(name, payload, self.event_log_version) for name, payload in self.runtime_events())
        return (*firmware_events(self.image, self.shape), *runtime)

    @property
    def measurements(self) -> TdMeasurements:
        """What the TD's report holds after these events."""
        events = self.events()
        return TdMeasurements(
            mrtd=self.shape.mrtd(self.image),
            rtmr0=replay(events, 0),
            rtmr1=replay(events, 1),
            rtmr2=replay(events, 2),
            rtmr3=replay(events, 3),
            mr_config_id=self._mr_config_id(),
            td_attributes=self.td_attributes,
        )

    def _mr_config_id(self) -> bytes:
        if self.mr_config == 0:
            return bytes(48)
        if self.mr_config == 1:
            return b"\x01" + self.compose_hash + bytes(15)
        kind = bytes([_KINDS[self.key_provider.name]])
        document = self.compose_hash + self.effective_app_id + kind + bytes.fromhex(self.key_provider.id)
        return b"\x02" + keccak(document) + bytes(15)

    @property
    def mr_aggregated(self) -> bytes:
        """SHA-256 over the registers, and over MR_CONFIG_ID and its kin when they are not all zero."""
        td = self.measurements
        configuration = td.mr_config_id + td.mr_owner + td.mr_owner_config
        registers = td.mrtd + td.rtmr0 + td.rtmr1 + td.rtmr2 + td.rtmr3
        return hashlib.sha256(registers + (configuration if any(configuration) else b"")).digest()

    @property
    def mr_system(self) -> bytes:
        """SHA-256 over the registers that do not depend on the app, and the key provider."""
        td, provider = self.measurements, hashlib.sha256(self.key_provider.payload).digest()
        return hashlib.sha256(td.mrtd + td.rtmr0 + td.rtmr1 + td.rtmr2 + provider).digest()

    def app_info(self) -> bytes:
        """What certificates say about the app, as MessagePack: an array, from 0.6 a map. No guest knows its machine."""
        members: dict[str, object] = {
            "app_id": self.effective_app_id,
            "compose_hash": self.compose_hash,
            "instance_id": self.instance_id,
            "device_id": hashlib.sha256(b"").digest(),
            "mr_system": self.mr_system,
            "mr_aggregated": self.mr_aggregated,
            "os_image_hash": self.image.os_image_hash,
            "key_provider_info": self.key_provider.payload,
        }
        named = {**members, "init_script_hashes": []}
        packed: bytes = msgpack.packb(named if self.generation >= (0, 6) else [*members.values()])
        return packed

    def shown_events(self) -> Iterator[Event]:
        """The log as GetQuote gives it out."""
        for event in self.events():
            yield self._blanked(event) if self.generation >= (0, 5, 6) else replace(event, event=_old_name(event))

    def _blanked(self, event: Event) -> Event:
        if event.event_type == RUNTIME_EVENT:
            return replace(event, digest=b"")
        if self.generation >= (0, 6) and event.event:
            return event
        return replace(event, event="", payload=b"")

    def event_log(self) -> str:
        """JSON text in the form of GetQuote."""
        return json.dumps([event.json() for event in self.shown_events()], separators=(",", ":"))


def _old_name(event: Event) -> str:
    """Only guests from 0.6 name boot events."""
    return event.event if event.event_type == RUNTIME_EVENT else ""
