"""Evidence bundles with one defect: what the instance showed beside a genuine quote. Kind `bundle`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from twinproof_devnet.boot import Boot, KeyProvider
from twinproof_devnet.corpus.case import Case, Kind
from twinproof_devnet.corpus.rig import Json, Rig
from twinproof_devnet.event_log import RUNTIME_EVENT, Event, replay, runtime_event
from twinproof_devnet.image import Image
from twinproof_devnet.pki import Pki

__all__ = ["Instance", "bundle_cases", "judged", "refused"]

_URL = "https://prod9.example"
_SESSION = bytes(range(32))
_DOMAIN = b"toy-example/attestation/v1:"
_APP_ID = hashlib.sha256(b"an app contract").digest()[:20]
_KMS = KeyProvider("kms", "3059301306072a8648ce3d020106082a8648ce3d030107034200" + "04" + "22" * 64)


def _blanked(event: Event) -> Event:
    """As GetQuote of a guest from 0.5.6 shows it."""
    if event.event_type == RUNTIME_EVENT:
        return replace(event, digest=b"")
    return replace(event, event="", payload=b"")


def _log(events: Iterable[Event]) -> str:
    return json.dumps([_blanked(event).json() for event in events], separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Instance:
    """One boot and what the app states about it. `events` replaces those of the boot, in registers and log alike."""

    rig: Rig
    boot: Boot = field(default_factory=lambda: Boot(app_id=_APP_ID, key_provider=_KMS))
    events: tuple[Event, ...] = ()
    said: Json = field(default_factory=dict)
    mr_config_id: bytes | None = None

    @property
    def measured(self) -> tuple[Event, ...]:
        return self.events or self.boot.events()

    @property
    def nonce(self) -> bytes:
        return hashlib.sha256(_SESSION + bytes(4) + _URL.encode()).digest()

    def statement(self) -> str:
        members: Json = {
            "app_id": self.boot.effective_app_id.hex(),
            "build_time": "2026-01-02T03:04:05Z",
            "compose_hash": self.boot.compose_hash.hex(),
            "eat_nonce": self.nonce.hex(),
            "environment": "devnet",
            "git_sha": "4" * 40,
            "health": "ok",
            "instance_id": self.boot.instance_id.hex(),
            "issued_at": self.rig.at,
            "schema": "toy-example/statement/v1",
            "signup_count": 3,
            "version": "1.2.0",
            **self.said,
        }
        return json.dumps(members, sort_keys=True, separators=(",", ":"))

    def quote(self, statement: str) -> bytes:
        rtmr0, rtmr1, rtmr2, rtmr3 = (replay(self.measured, imr) for imr in range(4))
        td = replace(self.boot.measurements, rtmr0=rtmr0, rtmr1=rtmr1, rtmr2=rtmr2, rtmr3=rtmr3)
        if self.mr_config_id is not None:
            td = replace(td, mr_config_id=self.mr_config_id)
        return self.rig.host.quote(td, hashlib.sha512(_DOMAIN + statement.encode()).digest())

    def bundle(self, **changes: object) -> Json:
        """The bundle's members; `changes` replace some of them, None removes one."""
        statement = self.statement()
        members: Json = {
            "schema": "twinproof/evidence/v1",
            "source": _URL,
            "origin": "toy-example/attestation/v1",
            "fetched_at": self.rig.at,
            "challenge": {"nonce": self.nonce.hex(), "session": _SESSION.hex(), "index": 0, "url": _URL},
            "quote": self.quote(statement).hex(),
            "event_log": _log(self.measured),
            "vm_config": self.boot.vm_config,
            "app_compose": self.boot.app_compose,
            "statement": statement,
            "collateral": self.rig.collateral(),
            **changes,
        }
        return {name: value for name, value in members.items() if value is not None}

    def with_events(self, change: Sequence[Event]) -> Instance:
        return replace(self, events=tuple(change))


def bundle_cases(rig: Rig) -> Iterator[Case]:
    """Accepted bundles, and one defect for each check of what is around the quote."""
    good = Instance(rig)
    yield judged(rig, "accept.kms", "a guest with a KMS", good.bundle())
    without_kms = Boot()
    without_kms = replace(
        without_kms, app_compose=_with(without_kms.app_compose, key_provider="none", kms_enabled=False)
    )
    yield judged(rig, "accept.no-kms", "a guest without a KMS", Instance(rig, without_kms).bundle())
    later = replace(good.boot, app_events=(("signup", b"\x01"), ("compose-hash", bytes(32))))
    name = "accept.app-events"
    yield judged(
        rig, name, "the app measured events of its own, one named as a boot event", Instance(rig, later).bundle()
    )
    yield judged(rig, "accept.no-app-compose", "without the app-compose text", good.bundle(app_compose=None))
    yield from _carriers(rig, good)
    yield from _statements(rig, good)
    yield from _logs(rig, good)
    yield from _boots(rig, good)
    yield from _texts(rig, good, without_kms)


def _with(app_compose: str, **members: object) -> str:
    return json.dumps(json.loads(app_compose) | members, indent=2)


def judged(rig: Rig, name: str, description: str, bundle: Json | bytes, stage: str = "") -> Case:
    data = bundle if isinstance(bundle, bytes) else json.dumps(bundle, indent=1).encode()
    files = {"bundle.json": data, "root.der": rig.pki.root.der}
    status = "" if stage else "UpToDate"
    return Case(f"bundle.{name}", Kind.BUNDLE, description, files, rig.at, stage, status)


def refused(rig: Rig, stage: str, name: str, description: str, bundle: Json | bytes) -> Case:
    return judged(rig, f"{stage.rpartition('.')[2]}.{name}", description, bundle, stage)


def _carriers(rig: Rig, good: Instance) -> Iterator[Case]:
    stage = "bundle"
    text = json.dumps(good.bundle()).encode()
    yield refused(rig, stage, "cut", "the file is cut off", text[:-10])
    yield refused(rig, stage, "two-quotes", "two members hold a quote", good.bundle(attestation="00"))
    yield refused(rig, stage, "no-quote", "no quote at all", good.bundle(quote=None))
    yield refused(rig, stage, "unknown-member", "a member that nobody knows", good.bundle(note="trust me"))
    yield refused(rig, stage, "schema", "another schema", good.bundle(schema="twinproof/evidence/v2"))
    quote = bytearray.fromhex(str(good.bundle()["quote"]))
    quote[200] ^= 1
    forged = good.bundle(quote=bytes(quote).hex())
    yield refused(rig, "dcap.quote_signature", "register", "a register in the quote was edited", forged)
    attestation = good.bundle(quote=None, attestation="0000ff")
    yield refused(rig, "evidence.carrier", "broken", "a versioned attestation that cannot be read", attestation)


def _statements(rig: Rig, good: Instance) -> Iterator[Case]:
    edited = good.statement().replace('"signup_count":3', '"signup_count":4')
    yield refused(rig, "evidence.report_data", "edited", "the statement was edited", good.bundle(statement=edited))
    spaced = good.statement().replace(",", ", ", 1)
    yield refused(rig, "evidence.report_data", "space", "a space in the statement", good.bundle(statement=spaced))
    forms: dict[str, Json] = {
        "unknown-member": {"note": "trust me"},
        "version": {"version": "one"},
        "git-sha": {"git_sha": "4" * 39},
        "count": {"signup_count": "3"},
    }
    for name, said in forms.items():
        bundle = replace(good, said=said).bundle()
        yield refused(rig, "evidence.statement", name, f"a signed statement of another form: {name}", bundle)
    other_nonce = replace(good, said={"eat_nonce": "11" * 32}).bundle()
    yield refused(rig, "evidence.nonce", "replay", "the statement answers another nonce", other_nonce)
    invented = good.bundle()["challenge"] | {"session": "22" * 32}  # type: ignore[operator]
    description = "the nonce does not come from the session"
    yield refused(rig, "evidence.nonce", "session", description, good.bundle(challenge=invented))
    relayed = good.bundle(source="https://prod7.example")
    yield refused(rig, "evidence.nonce", "relay", "asked of one address, shown as another's", relayed)
    for name, value in (("compose_hash", "11" * 32), ("app_id", "11" * 20), ("instance_id", "11" * 20)):
        bundle = replace(good, said={name: value}).bundle()
        yield refused(rig, "evidence.agreement", name, f"the app states another {name} than was measured", bundle)
    seen = Pki.create(rig.at).root.der.hex()
    bundle = replace(good, said={"tls_spki_sha256": "11" * 32}).bundle(tls_certificate=seen)
    yield refused(rig, "evidence.tls_key", "other", "another TLS key than the one that was seen", bundle)


def _logs(rig: Rig, good: Instance) -> Iterator[Case]:
    events = good.measured
    entries = json.loads(_log(events))

    def logged(stage: str, name: str, description: str, log: object) -> Case:
        text = log if isinstance(log, str) else json.dumps(log)
        return refused(rig, stage, name, description, good.bundle(event_log=text))

    form = "evidence.carrier"
    yield logged(form, "log-no-json", "a log that is no JSON", "<html>")
    yield logged(form, "log-object", "a log that is no list", {"events": entries})
    fifth = [*entries, entries[-1] | {"imr": 4}]
    yield logged(form, "log-register-4", "an event of a register that does not exist", fifth)
    yield logged(form, "log-no-payload", "an event without a payload", [{"imr": 3}])
    lying = [*entries[:-1], entries[-1] | {"digest": "11" * 48}]
    yield logged("dstack.event_digests", "lie", "a digest that is not its event's", lying)
    payload = next(i for i, entry in enumerate(entries) if entry["event"] == "compose-hash")
    other = [*entries[:payload], entries[payload] | {"event_payload": "11" * 32}, *entries[payload + 1 :]]
    replayed = "dstack.rtmr3_replay"
    yield logged(replayed, "other-compose-hash", "the log names another compose hash", other)
    yield logged(replayed, "left-out", "the last event was left out", entries[:-1])
    yield logged(replayed, "added", "an event was added", [*entries, entries[-1]])
    yield logged(replayed, "swapped", "two events changed places", [*entries[:-2], entries[-1], entries[-2]])
    yield logged(replayed, "empty", "an empty log", [])
    kernel = next(i for i, entry in enumerate(entries) if entry["imr"] == 1)
    firmware = [*entries[:kernel], entries[kernel] | {"digest": "11" * 48}, *entries[kernel + 1 :]]
    yield logged("dstack.rtmr0_2_replay", "kernel", "the log names another kernel than the one measured", firmware)
    left = [*entries[:kernel], *entries[kernel + 1 :]]
    yield logged("dstack.rtmr0_2_replay", "left-out", "an event of the firmware was left out", left)


def _boots(rig: Rig, good: Instance) -> Iterator[Case]:
    """Events that were really measured, by a guest that no dstack version is."""
    stage = "dstack.boot_events"
    events = good.measured

    def at(name: str) -> int:
        return next(i for i, event in enumerate(events) if event.event == name)

    def boot(name: str, description: str, changed: Sequence[Event]) -> Case:
        return refused(rig, stage, name, description, good.with_events(changed).bundle())

    def inserted(before: str, name: str, payload: bytes) -> list[Event]:
        index = at(before)
        return [*events[:index], runtime_event(name, payload), *events[index:]]

    def without(name: str) -> list[Event]:
        return [event for event in events if event.event != name]

    twice = inserted("system-ready", "compose-hash", bytes(32))
    yield boot("compose-hash-twice", "a second compose hash before system-ready", twice)
    for name in ("app-id", "compose-hash", "instance-id", "key-provider", "system-ready"):
        yield boot(f"without-{name}", f"no {name} event", without(name))
    index = at("app-id")
    swapped = [*events[:index], events[index + 1], events[index], *events[index + 2 :]]
    yield boot("order", "app id and compose hash in the wrong order", swapped)
    yield boot("unknown", "an unknown event before system-ready", inserted("system-ready", "backdoor", b""))
    index = at("compose-hash")
    short = [*events[:index], runtime_event("compose-hash", bytes(31)), *events[index + 1 :]]
    yield boot("compose-hash-short", "a compose hash of 31 bytes", short)


def _texts(rig: Rig, good: Instance, without_kms: Boot) -> Iterator[Case]:
    compose = good.boot.app_compose
    unpinned = replace(good, mr_config_id=bytes(48))
    for name, text in (("newline", compose + "\n"), ("image", compose.replace("toy-example@", "other@"))):
        description = f"another app-compose text than was measured: {name}"
        yield refused(rig, "dstack.compose_hash", name, description, unpinned.bundle(app_compose=text))
    stage = "dstack.mr_config_id"
    other = replace(good, mr_config_id=b"\x01" + b"\x11" * 32 + bytes(15))
    yield refused(rig, stage, "other", "MR_CONFIG_ID names another compose file", other.bundle())
    reserved = replace(good, mr_config_id=b"\x01" + good.boot.compose_hash + bytes(14) + b"\x01")
    yield refused(rig, stage, "reserved", "MR_CONFIG_ID with a reserved byte set", reserved.bundle())
    unknown = replace(good, mr_config_id=b"\xaa" * 48)
    yield refused(rig, stage, "unknown", "MR_CONFIG_ID of no known form", unknown.bundle())
    chosen = Instance(rig, replace(without_kms, app_id=_APP_ID, image=Image(version="0.5.0")))
    description = "an app id that a guest without a KMS cannot have"
    yield refused(rig, "dstack.app_id", "chosen", description, chosen.bundle())
    stage = "dstack.os_image_hash"
    yield refused(rig, stage, "array", "a VM configuration that is no object", good.bundle(vm_config="[]"))
    stage = "dstack.key_provider"
    kind = replace(good.boot, app_compose=_with(compose, key_provider="local", kms_enabled=False))
    yield refused(rig, stage, "kind", "keys from a KMS, wanted from the machine itself", Instance(rig, kind).bundle())
    pinned = replace(good.boot, app_compose=_with(compose, key_provider_id="11" * 91))
    yield refused(rig, stage, "other", "keys from another KMS than the pinned one", Instance(rig, pinned).bundle())
    info = json.dumps({"app_id": "11" * 20, "tcb_info": "{}"})
    yield refused(
        rig, "dstack.guest_claims", "app-id", "the guest agent claims another app id", good.bundle(guest_info=info)
    )
