"""Small boots for tests: event logs, the TD report they lead to, and the envelopes they travel in.

Written from the format descriptions and independent of the reader under test: it shares no code with it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace

import msgpack  # type: ignore[import-untyped]  # it ships neither stubs nor py.typed

from twinproof.dstack.event_log import EventLog
from twinproof.dstack.guest_info import GuestInfo
from twinproof.dstack.plan import PLAN
from twinproof.dstack.verify import DstackAppraisal, appraise
from twinproof.ledger import Ledger
from twinproof.tdx.report import TdReport
from twinproof.verdict import Check

RUNTIME = 0x08000001
COMPOSE = json.dumps(
    {
        "manifest_version": 2,
        "name": "toy",
        "runner": "docker-compose",
        "docker_compose_file": f"services:\n  app:\n    image: registry.example/toy@sha256:{'ab' * 32}\n",
        "key_provider": "kms",
        "key_provider_id": "30590a",
        "requirements": {},
    }
)
COMPOSE_HASH = hashlib.sha256(COMPOSE.encode()).digest()
APP_ID = bytes(range(20))
INSTANCE_ID = bytes(range(20, 40))
IMAGE = b"\x11" * 32
KMS = b'{"name":"kms","id":"30590a"}'
NO_PROVIDER = b'{"name":"none","id":""}'
VM_CONFIG = json.dumps({"os_image_hash": IMAGE.hex(), "cpu_count": 2, "memory_size": 2 << 30, "qemu_version": "8.2.2"})

BOOT: list[tuple[str, bytes]] = [
    ("system-preparing", b""),
    ("app-id", APP_ID),
    ("compose-hash", COMPOSE_HASH),
    ("instance-id", INSTANCE_ID),
    ("boot-mr-done", b""),
    ("os-image-hash", IMAGE),
    ("key-provider", KMS),
    ("storage-fs", b"zfs"),
    ("system-ready", b""),
]
FIRMWARE: list[tuple[int, int]] = [(0, 0x8000000B), (0, 4), (0, 10), (0, 10), (0, 10), (1, 0x80000003), (2, 6), (2, 6)]


def extend(register: bytes, digest: bytes) -> bytes:
    return hashlib.sha384(register + digest).digest()


def v1_digest(name: str, payload: bytes) -> bytes:
    return hashlib.sha384(b"\x01\x00\x00\x08:" + name.encode() + b":" + payload).digest()


def v2_preimage(name: str, payload: bytes) -> bytes:
    return f'{{"name":{json.dumps(name, ensure_ascii=False)},"payload":"{payload.hex()}","type":134217729}}'.encode()


def entry(name: str, payload: bytes, *, digest: bool = True, version: int = 1) -> dict[str, object]:
    members: dict[str, object] = {
        "imr": 3,
        "event_type": RUNTIME,
        "digest": v1_digest(name, payload).hex() if digest else "",
        "event": name,
        "event_payload": payload.hex(),
    }
    if version == 2:
        preimage = v2_preimage(name, payload)
        members |= {"version": 2, "preimage": preimage.hex(), "digest": hashlib.sha384(preimage).hexdigest()}
    return members


def firmware_entry(index: int, imr: int, event_type: int) -> dict[str, object]:
    digest = hashlib.sha384(b"firmware %d" % index).hexdigest()
    return {"imr": imr, "event_type": event_type, "digest": digest, "event": "", "event_payload": ""}


@dataclass
class Boot:
    """One boot: its events, and everything that follows from them."""

    events: list[tuple[str, bytes]] = field(default_factory=lambda: list(BOOT))
    firmware: list[tuple[int, int]] = field(default_factory=lambda: list(FIRMWARE))
    mr_config_id: bytes = bytes(48)
    mrtd: bytes = b"\x07" * 48
    measured: dict[int, bytes] = field(default_factory=dict)
    """Digests of firmware events by their place in `firmware`; the others are hashes of their place."""

    def without(self, *names: str) -> Boot:
        return replace(self, events=[event for event in self.events if event[0] not in names])

    def with_payload(self, name: str, payload: bytes) -> Boot:
        return replace(self, events=[(n, payload if n == name else p) for n, p in self.events])

    def with_event(self, name: str, payload: bytes, *, before: str | None = None) -> Boot:
        at = [n for n, _ in self.events].index(before) if before else len(self.events)
        return replace(self, events=[*self.events[:at], (name, payload), *self.events[at:]])

    def entries(self, *, digests: bool = True) -> list[dict[str, object]]:
        firmware = [
            firmware_entry(index, *event) | ({"digest": self.measured[index].hex()} if index in self.measured else {})
            for index, event in enumerate(self.firmware)
        ]
        return firmware + [entry(name, payload, digest=digests) for name, payload in self.events]

    def log(self, *, digests: bool = True) -> str:
        return json.dumps(self.entries(digests=digests))

    @property
    def report(self) -> TdReport:
        registers = [bytes(48)] * 4
        for item in self.entries():
            imr = item["imr"]
            assert isinstance(imr, int)
            registers[imr] = extend(registers[imr], bytes.fromhex(str(item["digest"])))
        return TdReport(
            body_type="TD1.0",
            tee_tcb_svn=bytes(16),
            mrseam=b"\x05" * 48,
            mrsignerseam=bytes(48),
            seam_attributes=bytes(8),
            td_attributes=bytes.fromhex("0000001000000000"),
            xfam=bytes.fromhex("e702060000000000"),
            mrtd=self.mrtd,
            mr_config_id=self.mr_config_id,
            mr_owner=bytes(48),
            mr_owner_config=bytes(48),
            rtmr0=registers[0],
            rtmr1=registers[1],
            rtmr2=registers[2],
            rtmr3=registers[3],
            report_data=bytes(64),
        )


def judged(
    boot: Boot,
    log: EventLog | str | None = "",
    *,
    vm_config: str | None = VM_CONFIG,
    app_compose: str | None = COMPOSE,
    guest_info: GuestInfo | None = None,
    device_id: bytes | None = None,
) -> tuple[DstackAppraisal | None, dict[str, Check]]:
    """Appraise a boot; `log=""` means its own. The keys of the second result are the step ids without `dstack.`."""
    ledger = Ledger(PLAN)
    log = boot.log() if log == "" else log
    appraisal = appraise(boot.report, log, vm_config, app_compose, guest_info, ledger=ledger, device_id=device_id)
    return appraisal, {check.id.removeprefix("dstack."): check for check in ledger.checks()}


def compact(value: int) -> bytes:
    """SCALE's compact integer, up to 30 bits."""
    if value < 1 << 6:
        return bytes([value << 2])
    if value < 1 << 14:
        return (value << 2 | 1).to_bytes(2, "little")
    return (value << 2 | 2).to_bytes(4, "little")


def blob(data: bytes) -> bytes:
    return compact(len(data)) + data


def v0_attestation(boot: Boot, quote: bytes, *, config: str = VM_CONFIG, report_data: bytes = bytes(64)) -> bytes:
    events = b"".join(
        int(str(item["imr"])).to_bytes(4, "little")
        + int(str(item["event_type"])).to_bytes(4, "little")
        + blob(bytes.fromhex(str(item["digest"])))
        + blob(str(item["event"]).encode())
        + blob(bytes.fromhex(str(item["event_payload"])))
        for item in boot.entries()
    )
    runtime = b"".join(blob(name.encode()) + blob(payload) for name, payload in boot.events)
    return (
        b"\x00\x00"
        + blob(quote)
        + compact(len(boot.entries()))
        + events
        + compact(len(boot.events))
        + runtime
        + report_data
        + blob(config.encode())
    )


def v1_members(boot: Boot, quote: bytes, *, config: str = VM_CONFIG) -> dict[str, dict[str, dict[str, object]]]:
    events = [
        {**item, **{name: bytes.fromhex(str(item[name])) for name in ("digest", "event_payload")}}
        for item in boot.entries()
    ]
    runtime = [{"event": name, "payload": payload} for name, payload in boot.events]
    return {
        "platform": {"data": {"quote": list(quote), "event_log": events}},
        "stack": {"data": {"report_data": list(bytes(64)), "runtime_events": runtime, "config": config}},
    }


def v1_attestation(
    members: dict[str, dict[str, dict[str, object]]], *, platform: str = "tdx", stack: str = "dstack", version: int = 1
) -> bytes:
    packed: bytes = msgpack.packb(
        {
            "version": version,
            "platform": {"kind": platform, **members["platform"]},
            "stack": {"kind": stack, **members["stack"]},
        }
    )
    return packed
