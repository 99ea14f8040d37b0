"""A boot that was judged before is judged anew as soon as one byte that was looked at is another one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import get_type_hints

import pytest

from small_boot import APP_ID, COMPOSE, IMAGE, VM_CONFIG, Boot, judged
from twinproof.dstack import known_boots, verify
from twinproof.dstack.boot import read_boot
from twinproof.dstack.event_log import EventLog, parse_event_log
from twinproof.dstack.key_provider import KeyProvider
from twinproof.dstack.known_boots import Deployment, deployment_key
from twinproof.memo import Memo
from twinproof.verdict import Check

CONFIGURED = Boot(mr_config_id=b"\x01" + dict(Boot().events)["compose-hash"] + bytes(15))


def compact(boot: Boot) -> str:
    return json.dumps(boot.entries(), separators=(",", ":"))


def fresh(boot: Boot, log: str, vm_config: str = VM_CONFIG, app_compose: str = COMPOSE) -> dict[str, Check]:
    """Judged by a reader that remembers nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known_boots, "_DEPLOYMENTS", Memo())
        patch.setattr(verify, "parse_event_log", lambda text: EventLog(parse_event_log.__wrapped__(text).events))  # type: ignore[attr-defined]
        return judged(boot, log, vm_config=vm_config, app_compose=app_compose)[1]


def known(boot: Boot, log: str, vm_config: str = VM_CONFIG, app_compose: str = COMPOSE) -> dict[str, Check]:
    """Judged as a log that was read and judged before."""
    first, second = (
        judged(boot, parse_event_log(log), vm_config=vm_config, app_compose=app_compose)[1] for _ in range(2)
    )
    assert first == second
    return second


OTHERS = {
    "mr_config_id": (replace(CONFIGURED, mr_config_id=b"\x01" + bytes(47)), {}),
    "another form of mr_config_id": (Boot(), {}),
    "rtmr0": (replace(CONFIGURED, measured={0: bytes(48)}), {}),
    "rtmr1": (replace(CONFIGURED, measured={5: bytes(48)}), {}),
    "rtmr2": (replace(CONFIGURED, measured={7: bytes(48)}), {}),
    "rtmr3": (CONFIGURED.with_payload("instance-id", bytes(20)), {}),
    "vm_config": (CONFIGURED, {"vm_config": VM_CONFIG.replace(IMAGE.hex(), "22" * 32)}),
    "app_compose": (CONFIGURED, {"app_compose": COMPOSE + " "}),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_known_boot_with_one_other_part_is_judged_anew(name: str) -> None:
    other, texts = OTHERS[name]
    log = compact(CONFIGURED)
    good = known(CONFIGURED, log)
    assert good == fresh(CONFIGURED, log)
    differing = known(other, log, **texts)
    assert differing == fresh(other, log, **texts)
    assert differing != good
    assert known(CONFIGURED, log) == good


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("app-id", APP_ID[::-1]),
        ("compose-hash", bytes(32)),
        ("instance-id", b""),
        ("os-image-hash", bytes(32)),
        ("key-provider", b'{"name":"kms","id":"30590b"}'),
        ("storage-fs", b"ext4"),
    ],
)
def test_another_boot_of_a_known_deployment_is_judged_as_if_nothing_were_known(name: str, payload: bytes) -> None:
    other = CONFIGURED.with_payload(name, payload)
    known(CONFIGURED, compact(CONFIGURED))
    assert known(other, compact(other)) == fresh(other, compact(other))


def test_the_app_may_add_events_and_the_known_log_does_not_hide_them() -> None:
    known(CONFIGURED, compact(CONFIGURED))
    other = CONFIGURED.with_event("app-id", bytes(20))
    checks = known(other, compact(other))
    assert checks == fresh(other, compact(other))
    assert "used the names of boot events again" in checks["boot_events"].reason


def test_a_log_whose_registers_differ_keeps_failing() -> None:
    other = replace(CONFIGURED, measured={0: bytes(48)})
    for _ in range(3):
        checks = known(other, compact(CONFIGURED))
        assert checks["rtmr0_2_replay"].error == "Forged"


def test_a_log_in_two_orders_has_the_same_events_for_every_register() -> None:
    entries = CONFIGURED.entries()
    mixed = [*entries[-2:], *entries[:-2]]
    for order in (entries, mixed, entries[::-1], [entries[0], entries[-1], *entries[1:-1]]):
        text = json.dumps(order, separators=(",", ":"))
        whole = EventLog(parse_event_log(json.dumps(order, indent=1)).events)
        log = parse_event_log(text)
        assert log.events == whole.events
        for imr in range(4):
            assert (log.of(imr), log.replay(imr)) == (whole.of(imr), whole.replay(imr))
        assert log.firmware.events == tuple(event for event in whole.events if event.imr != 3)


def test_the_key_of_a_deployment_holds_all_that_is_read_of_a_boot() -> None:
    log = parse_event_log(compact(CONFIGURED))
    boot = read_boot(log)
    report = replace(CONFIGURED, mr_config_id=b"\x03" + bytes(47)).report
    changed = {
        "app_id": bytes(20),
        "compose_hash": bytes(32),
        "instance_id": bytes(20),
        "key_provider": KeyProvider("none", "", b"other"),
        "os_image_hash": None,
        "init_script_hashes": (bytes(32),),
        "gpu_policy_hash": bytes(32),
        "generations": ("0.6",),
    }
    assert set(changed) == {name for name in vars(Deployment) if isinstance(vars(Deployment)[name], property)}
    key = deployment_key(report, log, VM_CONFIG, COMPOSE, boot)
    assert key is not None
    for name, value in changed.items():
        assert get_type_hints(type(boot))[name]
        assert deployment_key(report, log, VM_CONFIG, COMPOSE, boot._replace(**{name: value})) != key  # type: ignore[arg-type]
    for register in ("mrtd", "rtmr0", "rtmr1", "rtmr2", "mr_config_id"):
        other = report._replace(**{register: b"\x03" + b"\xff" * 47})  # type: ignore[arg-type]
        assert deployment_key(other, log, VM_CONFIG, COMPOSE, boot) != key
    for config, compose in ((None, COMPOSE), (VM_CONFIG, None), ("", COMPOSE)):
        assert deployment_key(report, log, config, compose, boot) is None
