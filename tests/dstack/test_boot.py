"""Which boots are believed: every attack on the list of boot events, and every guest version that exists."""

from __future__ import annotations

import pytest

from small_boot import APP_ID, BOOT, COMPOSE_HASH, IMAGE, INSTANCE_ID, KMS, NO_PROVIDER
from small_boot import Boot as SmallBoot
from twinproof.dstack.boot import Boot, read_boot
from twinproof.dstack.event_log import parse_event_log
from twinproof.errors import Contradiction, EvidenceError, Malformed

LOCAL = b'{"name":"local-sgx","id":"' + b"1b" * 32 + b'"}'
HASH = b"\x22" * 32


def boot_of(boot: SmallBoot) -> Boot:
    return read_boot(parse_event_log(boot.log()))


def refusal(boot: SmallBoot) -> EvidenceError:
    with pytest.raises(EvidenceError) as caught:
        boot_of(boot)
    return caught.value


def test_a_plain_boot_is_read() -> None:
    boot = boot_of(SmallBoot())
    assert (boot.app_id, boot.compose_hash, boot.instance_id) == (APP_ID, COMPOSE_HASH, INSTANCE_ID)
    assert (boot.os_image_hash, boot.storage_fs, boot.rootfs_hash) == (IMAGE, "zfs", None)
    assert (boot.key_provider.name, boot.key_provider.id, boot.key_provider.raw) == ("kms", "30590a", KMS)
    assert boot.app_events == ()
    assert boot.generations == ("0.5.5-0.5.11", "0.6")


@pytest.mark.parametrize(
    ("boot", "generations"),
    [
        (SmallBoot().without("storage-fs", "os-image-hash"), ("0.4.2-0.5.0",)),
        (
            SmallBoot().without("storage-fs", "os-image-hash").with_event("rootfs-hash", HASH, before="app-id"),
            ("0.4.2-0.5.0",),
        ),
        (SmallBoot().without("storage-fs"), ("0.5.1-0.5.4",)),
        (
            SmallBoot().without("storage-fs", "os-image-hash").with_payload("key-provider", LOCAL),
            ("0.4.2-0.5.0", "0.5.1-0.5.4"),
        ),
        (SmallBoot().without("os-image-hash").with_payload("key-provider", NO_PROVIDER), ("0.5.5-0.5.11", "0.6")),
        (SmallBoot().with_event("mr-kms", HASH, before="os-image-hash"), ("0.5.5-0.5.11", "0.6")),
        (SmallBoot().with_event("gpu-policy-hash", HASH, before="instance-id"), ("0.6",)),
        (
            SmallBoot()
            .with_event("init-script-hash", HASH, before="instance-id")
            .with_event("init-script-hash", HASH, before="instance-id")
            .with_event("gpu-policy-hash", HASH, before="instance-id")
            .with_event("gpu-attestation", b'{"version":2}', before="instance-id"),
            ("0.6",),
        ),
    ],
)
def test_every_documented_guest_version_is_known(boot: SmallBoot, generations: tuple[str, ...]) -> None:
    assert boot_of(boot).generations == generations


def test_an_app_without_instance_id_has_an_empty_one() -> None:
    assert boot_of(SmallBoot().with_payload("instance-id", b"")).instance_id == b""


def test_several_kms_attempts_and_init_scripts_repeat_by_design() -> None:
    boot = SmallBoot()
    for number in range(3):
        boot = boot.with_event("mr-kms", bytes([number]) * 32, before="os-image-hash")
        boot = boot.with_event("init-script-hash", bytes([number]) * 32, before="instance-id")
    read = boot_of(boot)
    assert read.mr_kms == read.init_script_hashes == tuple(bytes([number]) * 32 for number in range(3))


@pytest.mark.parametrize("name", sorted({name for name, _ in BOOT} - {"system-ready"}))
def test_a_second_event_of_one_name_before_system_ready_is_refused(name: str) -> None:
    payload = dict(BOOT)[name]
    error = refusal(SmallBoot().with_event(name, payload, before="system-ready"))
    assert isinstance(error, Contradiction)
    assert f"more than one {name}" in error.what


def test_a_second_compose_hash_of_other_code_is_refused() -> None:
    error = refusal(SmallBoot().with_event("compose-hash", HASH, before="system-ready"))
    assert isinstance(error, Contradiction)


def test_a_compose_hash_after_system_ready_is_the_apps_own_and_never_used() -> None:
    boot = boot_of(SmallBoot().with_event("compose-hash", HASH))
    assert boot.compose_hash == COMPOSE_HASH
    assert [(event.event, event.payload) for event in boot.app_events] == [("compose-hash", HASH)]
    assert boot.imitations == ("compose-hash",)


@pytest.mark.parametrize("name", ["compose-hash", "app-id", "key-provider", "os-image-hash", "instance-id"])
def test_app_events_with_names_of_the_systems_cannot_alter_the_identity(name: str) -> None:
    honest = boot_of(SmallBoot())
    attacked = boot_of(SmallBoot().with_event(name, b"anything at all"))
    for field in ("app_id", "compose_hash", "instance_id", "key_provider", "os_image_hash", "boot_events"):
        assert getattr(attacked, field) == getattr(honest, field)


def test_an_app_event_of_the_apps_own_name_is_shown_and_is_no_imitation() -> None:
    boot = boot_of(SmallBoot().with_event("miner-hotkey", b"5D"))
    assert boot.app_events[0].event == "miner-hotkey"
    assert boot.imitations == ()


def test_a_second_system_ready_makes_the_end_of_the_boot_ambiguous() -> None:
    error = refusal(SmallBoot().with_event("system-ready", b""))
    assert isinstance(error, Contradiction)
    assert "two system-ready" in error.what


def test_guests_of_0_3_have_no_system_ready_and_are_refused_with_that_reason() -> None:
    old = SmallBoot(
        events=[
            ("rootfs-hash", HASH),
            ("app-id", APP_ID),
            ("compose-hash", COMPOSE_HASH),
            ("ca-cert-hash", HASH),
            ("instance-id", INSTANCE_ID),
        ]
    )
    error = refusal(old)
    assert isinstance(error, Malformed)
    assert "no system-ready event" in error.what
    assert "app's own" in error.hint


def test_a_log_without_runtime_events_is_no_dstack_boot() -> None:
    assert "no system-ready" in refusal(SmallBoot(events=[])).what


@pytest.mark.parametrize("name", ["app-id", "compose-hash", "instance-id", "boot-mr-done", "key-provider"])
def test_a_missing_boot_event_is_refused(name: str) -> None:
    assert f"no {name} event" in refusal(SmallBoot().without(name)).what


@pytest.mark.parametrize(
    "boot",
    [
        SmallBoot().without("system-preparing"),
        SmallBoot().without("os-image-hash"),
        SmallBoot(events=[BOOT[0], BOOT[2], BOOT[1], *BOOT[3:]]),
        SmallBoot().without("compose-hash").with_event("compose-hash", COMPOSE_HASH, before="system-ready"),
        SmallBoot().with_event("rootfs-hash", HASH, before="app-id"),
        SmallBoot().with_event("mr-kms", HASH, before="instance-id"),
        SmallBoot().with_event("gpu-policy-hash", HASH, before="system-ready"),
        SmallBoot().with_payload("key-provider", NO_PROVIDER),
        SmallBoot().without("storage-fs").with_event("gpu-policy-hash", HASH, before="instance-id"),
    ],
    ids=[
        "no system-preparing",
        "a KMS without os-image-hash, with storage-fs",
        "compose-hash before app-id",
        "compose-hash after the keys",
        "rootfs-hash in a new guest",
        "mr-kms before the keys are asked for",
        "gpu-policy-hash at the end",
        "os-image-hash although no KMS answered",
        "half of 0.6",
    ],
)
def test_an_order_that_no_guest_has_is_refused(boot: SmallBoot) -> None:
    error = refusal(boot)
    assert isinstance(error, Malformed)
    assert "no documented order" in error.what


def test_an_unknown_event_before_system_ready_is_refused() -> None:
    error = refusal(SmallBoot().with_event("compose_hash", HASH, before="system-ready"))
    assert "unknown event before system-ready" in error.what


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("system-preparing", b"x"),
        ("app-id", bytes(19)),
        ("app-id", b""),
        ("compose-hash", bytes(31)),
        ("compose-hash", bytes(33)),
        ("instance-id", bytes(1)),
        ("boot-mr-done", b"\x00"),
        ("os-image-hash", b""),
        ("storage-fs", b""),
        ("storage-fs", b"ZFS\n"),
        ("storage-fs", b"\xff"),
        ("system-ready", b":"),
    ],
)
def test_a_payload_of_the_wrong_length_is_refused(name: str, payload: bytes) -> None:
    error = refusal(SmallBoot().with_payload(name, payload))
    assert isinstance(error, Malformed)
    assert name in error.where


def test_six_init_scripts_are_more_than_any_guest_runs() -> None:
    boot = SmallBoot()
    for _ in range(6):
        boot = boot.with_event("init-script-hash", HASH, before="instance-id")
    assert "more than one init-script-hash" in refusal(boot).what


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"name":"kms"}', "missing member"),
        (b'{"name":"kms","id":"30","name":"none"}', "duplicate"),
        (b'{"name":"kms","id":"30","more":1}', "unknown member"),
        (b'{"name":"kms","id":""}', "not the id"),
        (b'{"name":"kms","id":"3"}', "not hex"),
        (b'{"name":"none","id":"30"}', "not the id"),
        (b'{"name":"tpm","id":"30"}', "not the id"),
        (b'{"name":"local-sgx","id":"30"}', "not the id"),
        (b'{"name":"mine","id":""}', "unknown key provider"),
        (b'{"name":1,"id":""}', "wrong type"),
        (b'{"name":"kms","id":"' + b"00" * 1025 + b'"}', "too long"),
        (b"\xff", "not UTF-8"),
        (b" " * 5000, "too large"),
    ],
)
def test_an_odd_key_provider_is_refused(payload: bytes, reason: str) -> None:
    error = refusal(SmallBoot().with_payload("key-provider", payload))
    assert isinstance(error, Malformed)
    assert reason in error.what
