"""Event logs and registers of the devnet belong together, in the forms that real guests give out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from twinproof_devnet.boot import Boot, KeyProvider
from twinproof_devnet.compose import ToyApp, app_compose
from twinproof_devnet.event_log import runtime_event
from twinproof_devnet.firmware import Shape
from twinproof_devnet.image import Image

KMS = KeyProvider("kms", "3059")
VERSIONS = ["0.4.2", "0.5.0", "0.5.3", "0.5.5", "0.5.8", "0.6.0"]


def replayed(log: str, imr: int) -> str:
    """By hand: the devnet's own replay is not asked."""
    register = bytes(48)
    for event in json.loads(log):
        if event["imr"] == imr:
            digest = bytes.fromhex(event["digest"])
            if not digest:
                preimage = b"\x01\x00\x00\x08:" + event["event"].encode() + b":" + bytes.fromhex(event["event_payload"])
                digest = hashlib.sha384(preimage).digest()
            register = hashlib.sha384(register + digest).digest()
    return register.hex()


def names(boot: Boot) -> list[str]:
    return [name for name, _ in boot.runtime_events()]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("key_provider", [KMS, KeyProvider()], ids=["kms", "none"])
def test_the_log_leads_to_the_registers(version: str, key_provider: KeyProvider) -> None:
    boot = Boot(image=Image(version), key_provider=key_provider)
    td, log = boot.measurements, boot.event_log()
    assert [replayed(log, imr) for imr in range(4)] == [td.rtmr0.hex(), td.rtmr1.hex(), td.rtmr2.hex(), td.rtmr3.hex()]


def test_a_known_event_has_its_known_digest() -> None:
    assert runtime_event("system-preparing", b"").digest.hex().startswith("f9974020ef507068183313d0ca808e0d")


def test_a_v2_event_is_hashed_over_its_canonical_json() -> None:
    event = runtime_event("app-id", b"\xab", 2)
    assert event.preimage == b'{"name":"app-id","payload":"ab","type":134217729}'
    assert event.digest == hashlib.sha384(event.preimage).digest()


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (
            "0.5.3",
            (
                "system-preparing app-id compose-hash instance-id boot-mr-done mr-kms os-image-hash key-provider"
                " system-ready"
            ),
        ),
        (
            "0.5.8",
            (
                "system-preparing app-id compose-hash instance-id boot-mr-done mr-kms os-image-hash key-provider"
                " storage-fs system-ready"
            ),
        ),
        (
            "0.6.0",
            (
                "system-preparing app-id compose-hash gpu-policy-hash instance-id boot-mr-done os-image-hash"
                " key-provider storage-fs system-ready"
            ),
        ),
    ],
)
def test_each_generation_has_its_events_in_its_order(version: str, expected: str) -> None:
    assert names(Boot(image=Image(version), key_provider=KMS)) == expected.split()


def test_guests_from_0_5_6_blank_runtime_digests_and_boot_payloads() -> None:
    old, new, newest = (json.loads(Boot(image=Image(version)).event_log()) for version in ("0.5.5", "0.5.8", "0.6.0"))
    assert all(event["digest"] for event in old)
    assert all(not event["digest"] for event in new if event["imr"] == 3)
    assert all(not event["event_payload"] for event in new if event["imr"] < 3)
    acpi = [event for event in newest if event["event"].startswith("acpi-")]
    assert [event["event_payload"] for event in acpi] == [b"ACPI DATA".hex()] * 3


def test_the_compose_hash_is_everywhere_the_same() -> None:
    boot = Boot(key_provider=KMS)
    digest = hashlib.sha256(boot.app_compose.encode()).digest()
    assert boot.measurements.mr_config_id == b"\x01" + digest + bytes(15)
    assert dict(boot.runtime_events())["compose-hash"] == digest
    assert boot.effective_app_id == digest[:20]


def test_the_instance_id_comes_from_its_seed_and_the_app() -> None:
    seed = bytes(range(20))
    boot = Boot(instance_id_seed=seed, app_id=b"\x07" * 20)
    assert boot.instance_id == hashlib.sha256(seed + b"\x07" * 20).digest()[:20]
    assert Boot(instance_id_seed=None).instance_id == b""


def test_another_shape_changes_rtmr0_and_nothing_else_of_the_image() -> None:
    small, large = Boot().measurements, Boot(shape=Shape(cpu_count=8, memory_size=16 << 30)).measurements
    assert small.rtmr0 != large.rtmr0
    assert (small.mrtd, small.rtmr1, small.rtmr2, small.rtmr3) == (large.mrtd, large.rtmr1, large.rtmr2, large.rtmr3)


def test_another_image_changes_mrtd_rtmr1_and_rtmr2() -> None:
    good, dev = Boot().measurements, Boot(image=Image(dev=True)).measurements
    assert not {good.mrtd, good.rtmr1, good.rtmr2} & {dev.mrtd, dev.rtmr1, dev.rtmr2}


def test_what_the_app_measures_later_changes_rtmr3_alone() -> None:
    before = Boot()
    after = replace(before, app_events=(("app-event", b"x"),))
    assert names(after)[-2:] == ["system-ready", "app-event"]
    assert after.measurements == replace(before.measurements, rtmr3=after.measurements.rtmr3)
    assert after.measurements.rtmr3 != before.measurements.rtmr3


def test_the_toy_apps_image_is_named_by_its_content() -> None:
    document = json.loads(app_compose(ToyApp()))
    assert "image: registry.invalid/toy-example@sha256:" in document["docker_compose_file"]
    assert "ENVIRONMENT: devnet" in document["docker_compose_file"]
    assert document["allowed_envs"] == []
    assert "event_log_version" not in document
