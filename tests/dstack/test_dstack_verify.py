"""The plan over small boots: one defect each, and what the ledger then says."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from small_boot import (
    APP_ID,
    BOOT,
    COMPOSE,
    COMPOSE_HASH,
    IMAGE,
    INSTANCE_ID,
    KMS,
    NO_PROVIDER,
    VM_CONFIG,
    Boot,
    firmware_entry,
    judged,
)
from twinproof.dstack.boot import read_boot
from twinproof.dstack.event_log import parse_event_log
from twinproof.dstack.guest_info import UNKNOWN_DEVICE_ID, GuestInfo, parse_guest_info
from twinproof.dstack.key_provider import KeyProvider
from twinproof.dstack.measurements import mr_aggregated
from twinproof.dstack.mr_config import check_v2
from twinproof.dstack.plan import PLAN
from twinproof.dstack.verify import appraise
from twinproof.keccak import keccak256
from twinproof.ledger import Ledger
from twinproof.verdict import Check, Status

V1 = b"\x01" + COMPOSE_HASH + bytes(15)
OTHER = COMPOSE + "\n"


def statuses(checks: dict[str, Check]) -> dict[str, str]:
    return {name: check.status.value for name, check in checks.items()}


def test_the_plan_names_each_step_once_with_a_reason_for_being_there() -> None:
    assert len({step.id for step in PLAN}) == len(PLAN) == 13
    assert all(step.id.startswith("dstack.") and step.title and step.why and step.source for step in PLAN)


def test_an_honest_boot_passes_every_step_it_has_inputs_for() -> None:
    appraisal, checks = judged(Boot(mr_config_id=V1))
    assert statuses(checks) == {
        "event_log_format": "pass",
        "event_digests": "pass",
        "rtmr3_replay": "pass",
        "rtmr0_2_replay": "pass",
        "boot_events": "pass",
        "compose_hash": "pass",
        "mr_config_id": "pass",
        "app_id": "pass",
        "os_image_hash": "pass",
        "image_registers": "not_checked",
        "key_provider": "pass",
        "unmeasured_inputs": "pass",
        "guest_claims": "not_checked",
    }
    assert appraisal is not None
    assert (appraisal.compose_hash, appraisal.os_image_hash) == (COMPOSE_HASH, IMAGE)
    assert appraisal.app_compose is not None
    assert appraisal.app_compose.text == COMPOSE
    assert appraisal.vm_config is not None
    assert appraisal.mr_aggregated == mr_aggregated(Boot(mr_config_id=V1).report)
    assert (appraisal.notices, appraisal.app_events) == ((), ())


def test_a_log_already_read_is_judged_like_its_text() -> None:
    boot = Boot()
    ledger = Ledger(PLAN)
    assert appraise(boot.report, parse_event_log(boot.log()), VM_CONFIG, COMPOSE, None, ledger=ledger) is not None


def test_empty_supplied_digests_are_normal() -> None:
    boot = Boot()
    appraisal, checks = judged(boot, boot.log(digests=False))
    assert appraisal is not None
    assert checks["event_digests"].status is Status.PASS
    assert checks["event_digests"].detail[0] == ("supplied", "0 of 9 digests; all were recomputed")


@pytest.mark.parametrize("index", range(len(BOOT)))
def test_a_flipped_payload_byte_of_any_runtime_event_fails_the_replay(index: int) -> None:
    boot = Boot()
    name, payload = boot.events[index]
    changed = bytearray(payload or b"\x00")
    changed[0] ^= 1
    lie = replace(boot, events=[*boot.events[:index], (name, bytes(changed)), *boot.events[index + 1 :]])
    appraisal, checks = judged(boot, lie.log(digests=False))
    assert appraisal is None
    assert (checks["rtmr3_replay"].status, checks["rtmr3_replay"].error) == (Status.FAIL, "Forged")
    assert checks["boot_events"].reason == "blocked by dstack.rtmr3_replay"


def test_a_lie_beside_the_honest_digest_is_forged_before_anything_is_replayed() -> None:
    boot = Boot()
    entries = boot.entries()
    for item in entries:
        if item["event"] == "app-id":
            item["event_payload"] = "ee" * 20
    appraisal, checks = judged(boot, json.dumps(entries))
    assert appraisal is None
    assert (checks["event_digests"].status, checks["event_digests"].error) == (Status.FAIL, "Forged")
    assert checks["rtmr3_replay"].status is Status.NOT_CHECKED


@pytest.mark.parametrize("attack", ["left out", "added", "swapped", "another boot's"])
def test_a_list_of_events_that_was_not_measured_fails_the_replay(attack: str) -> None:
    boot = Boot()
    lies = {
        "left out": boot.without("storage-fs"),
        "added": boot.with_event("app", b""),
        "swapped": replace(boot, events=[boot.events[1], boot.events[0], *boot.events[2:]]),
        "another boot's": boot.with_payload("instance-id", bytes(20)),
    }
    appraisal, checks = judged(boot, lies[attack].log())
    assert appraisal is None
    assert checks["rtmr3_replay"].error == "Forged"


def test_a_malformed_log_fails_its_own_step_and_blocks_the_rest() -> None:
    appraisal, checks = judged(Boot(), "[{}]")
    assert appraisal is None
    assert checks["event_log_format"].error == "Malformed"
    assert {check.status for name, check in checks.items() if name != "event_log_format"} == {Status.NOT_CHECKED}


@pytest.mark.parametrize("firmware", [[], [(0, 10), (0, 10), (0, 10)]], ids=["runtime only", "3 ACPI + runtime"])
def test_a_stripped_log_leaves_the_firmware_registers_not_checked(firmware: list[tuple[int, int]]) -> None:
    boot = Boot()
    appraisal, checks = judged(boot, replace(boot, firmware=firmware).log())
    assert appraisal is not None
    assert checks["rtmr0_2_replay"].status is Status.NOT_CHECKED
    assert "stripped event log" in checks["rtmr0_2_replay"].reason
    assert checks["rtmr3_replay"].status is Status.PASS


@pytest.mark.parametrize(
    "firmware",
    [
        [(0, 10), (0, 10)],
        [(0, 10)] * 4,
        [(0, 10), (0, 10), (0, 4)],
        [(0, 10), (0, 10), (0, 10), (1, 4)],
        [(2, 6)],
        Boot().firmware[:-1],
    ],
)
def test_a_log_with_some_firmware_events_cut_out_is_forged_not_stripped(firmware: list[tuple[int, int]]) -> None:
    boot = Boot()
    appraisal, checks = judged(boot, replace(boot, firmware=firmware).log())
    assert appraisal is None
    assert (checks["rtmr0_2_replay"].status, checks["rtmr0_2_replay"].error) == (Status.FAIL, "Forged")
    assert checks["boot_events"].status is Status.PASS


def test_a_vm_whose_firmware_measured_nothing_replays_to_zero() -> None:
    _, checks = judged(Boot(firmware=[]))
    assert checks["rtmr0_2_replay"].status is Status.PASS


def test_a_changed_firmware_digest_fails_and_names_its_register() -> None:
    boot = Boot()
    entries = boot.entries()
    entries[-len(boot.events) - 1] = firmware_entry(99, 2, 6)
    _, checks = judged(boot, json.dumps(entries))
    assert "RTMR2" in checks["rtmr0_2_replay"].reason


def test_a_second_compose_hash_is_refused_although_it_replays() -> None:
    boot = Boot().with_event("compose-hash", bytes(32), before="system-ready")
    appraisal, checks = judged(boot)
    assert appraisal is None
    assert checks["rtmr3_replay"].status is Status.PASS
    assert (checks["boot_events"].status, checks["boot_events"].error) == (Status.FAIL, "Contradiction")


def test_a_compose_hash_after_system_ready_is_a_warning_and_not_used() -> None:
    appraisal, checks = judged(Boot().with_event("compose-hash", bytes(32)))
    assert appraisal is not None
    assert appraisal.compose_hash == COMPOSE_HASH
    assert checks["boot_events"].status is Status.WARN
    assert "compose-hash" in checks["boot_events"].reason
    assert [event.event for event in appraisal.app_events] == ["compose-hash"]


def test_another_app_compose_is_not_the_measured_one_although_it_means_the_same() -> None:
    appraisal, checks = judged(Boot(mr_config_id=V1), app_compose=OTHER)
    assert appraisal is None
    assert (checks["compose_hash"].status, checks["compose_hash"].error) == (Status.FAIL, "Contradiction")
    assert checks["compose_hash"].expected == COMPOSE_HASH.hex()
    assert (checks["mr_config_id"].status, checks["mr_config_id"].error) == (Status.FAIL, "Contradiction")
    assert "app-compose text" in checks["mr_config_id"].reason
    assert checks["unmeasured_inputs"].status is Status.NOT_CHECKED
    assert checks["os_image_hash"].status is Status.PASS


def test_without_an_app_compose_the_reader_is_told_how_to_add_it() -> None:
    appraisal, checks = judged(Boot(mr_config_id=V1), app_compose=None)
    assert appraisal is not None
    assert appraisal.app_compose is None
    assert "--app-compose FILE" in checks["compose_hash"].reason
    assert "--app-compose FILE" in checks["unmeasured_inputs"].reason
    assert checks["mr_config_id"].status is Status.PASS
    assert checks["key_provider"].status is Status.NOT_CHECKED


def test_mr_config_id_of_another_compose_file_is_a_contradiction() -> None:
    appraisal, checks = judged(Boot(mr_config_id=b"\x01" + bytes(31) + b"\x01" + bytes(15)))
    assert appraisal is None
    assert "compose-hash event" in checks["mr_config_id"].reason


@pytest.mark.parametrize(
    ("value", "status", "reason"),
    [
        (bytes(48), Status.NOT_CHECKED, "MR_CONFIG_ID is zero"),
        (COMPOSE_HASH + bytes(16), Status.PASS, ""),
        (b"\x02" + bytes(32) + bytes(15), Status.FAIL, "another compose file, app id or key provider"),
        (b"\x03" + b"\x01" * 32 + bytes(15), Status.NOT_CHECKED, "its document"),
        (V1[:-1] + b"\x01", Status.FAIL, "reserved bytes"),
        (b"\xaa" * 48, Status.FAIL, "no known form"),
    ],
)
def test_each_form_of_mr_config_id(value: bytes, status: Status, reason: str) -> None:
    _, checks = judged(Boot(mr_config_id=value))
    assert checks["mr_config_id"].status is status
    assert reason in checks["mr_config_id"].reason


def test_version_2_is_recomputed_or_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = read_boot(parse_event_log(Boot().log()))
    provider = measured.key_provider.id_bytes
    digest = keccak256(measured.compose_hash + measured.app_id + b"\x02" + provider)
    value = b"\x02" + digest + bytes(15)
    assert judged(Boot(mr_config_id=value))[1]["mr_config_id"].status is Status.PASS
    monkeypatch.setattr("twinproof.dstack.mr_config.has_keccak", lambda: False)
    unread = judged(Boot(mr_config_id=value))[1]["mr_config_id"]
    assert (unread.status, "twinproof[chain]" in unread.reason) == (Status.NOT_CHECKED, True)


def test_version_2_over_an_app_id_that_an_old_guest_does_not_measure_is_not_held_against_it() -> None:
    measured = read_boot(parse_event_log(Boot().log()))
    derived = measured._replace(
        app_id=measured.compose_hash[:20],
        key_provider=KeyProvider("none", "", b'{"name":"none","id":""}'),
    )
    right = keccak256(derived.compose_hash + derived.app_id + b"\x00")
    assert check_v2(right, derived) == ""
    assert "given when deploying" in check_v2(bytes(32), derived)


def test_a_version_3_document_in_the_sys_config_is_checked() -> None:
    document = json.dumps({"version": 3, "compose_hash": COMPOSE_HASH.hex(), "key_provider": "local"})
    sys_config = json.dumps({"vm_config": VM_CONFIG, "mr_config": document})
    _, checks = judged(Boot(mr_config_id=b"\x03" + b"\x01" * 32 + bytes(15)), vm_config=sys_config)
    assert checks["mr_config_id"].error == "Forged"


def test_without_a_log_everything_that_needs_one_says_so() -> None:
    appraisal, checks = judged(Boot(), None)
    assert appraisal is None
    assert {check.status for check in checks.values()} == {Status.NOT_CHECKED}
    assert checks["rtmr3_replay"].reason == "no event log in this evidence"


def test_without_a_log_mr_config_id_still_proves_the_compose_file() -> None:
    _, checks = judged(Boot(mr_config_id=V1), None)
    assert checks["mr_config_id"].status is Status.PASS
    assert checks["unmeasured_inputs"].status is Status.PASS
    _, checks = judged(Boot(mr_config_id=V1), None, app_compose=OTHER)
    assert checks["mr_config_id"].error == "Contradiction"


@pytest.mark.parametrize("value", [V1, COMPOSE_HASH + bytes(16), b"\xaa" * 48])
def test_without_log_and_app_compose_mr_config_id_has_nothing_to_be_compared_with(value: bytes) -> None:
    _, checks = judged(Boot(mr_config_id=value), None, app_compose=None)
    assert checks["mr_config_id"].status is Status.NOT_CHECKED


def test_an_image_that_the_kms_did_not_allow_is_a_warning_with_both_hashes() -> None:
    vm_config = json.dumps({"os_image_hash": "22" * 32})
    appraisal, checks = judged(Boot(), vm_config=vm_config)
    assert appraisal is not None
    assert appraisal.os_image_hash == IMAGE
    assert checks["os_image_hash"].status is Status.WARN
    assert "22" * 32 in checks["os_image_hash"].reason
    assert IMAGE.hex() in checks["os_image_hash"].reason


def test_an_image_that_only_the_host_names_is_not_checked_and_not_claimed() -> None:
    boot = Boot().without("os-image-hash").with_payload("key-provider", NO_PROVIDER)
    appraisal, checks = judged(boot, app_compose=None)
    assert appraisal is not None
    assert appraisal.os_image_hash is None
    assert checks["os_image_hash"].status is Status.NOT_CHECKED
    assert "the host's word" in checks["os_image_hash"].reason


@pytest.mark.parametrize("vm_config", [None, ""])
def test_no_vm_config_is_said(vm_config: str | None) -> None:
    appraisal, checks = judged(Boot(), vm_config=vm_config)
    assert appraisal is not None
    assert "no vm_config" in checks["os_image_hash"].reason


def test_a_malformed_vm_config_fails() -> None:
    appraisal, checks = judged(Boot(), vm_config="[]")
    assert appraisal is None
    assert checks["os_image_hash"].error == "Malformed"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"name":"kms","id":"30590b"}', "another provider than the compose file pins"),
        (b'{"name":"none","id":""}', "another kind of provider"),
    ],
)
def test_keys_from_a_provider_the_compose_file_does_not_ask_for_are_a_contradiction(
    payload: bytes, reason: str
) -> None:
    boot = Boot().with_payload("key-provider", payload)
    boot = boot if b"kms" in payload else boot.without("os-image-hash")
    appraisal, checks = judged(boot)
    assert appraisal is None
    assert checks["key_provider"].error == "Contradiction"
    assert reason in checks["key_provider"].reason


def without_kms(**members: object) -> tuple[Boot, str]:
    """A guest of 0.5.0 without a KMS, and its app-compose text."""
    text = json.dumps({**json.loads(COMPOSE), "key_provider": "none", "key_provider_id": "", **members})
    boot = Boot().without("os-image-hash", "storage-fs").with_payload("key-provider", NO_PROVIDER)
    return boot.with_payload("compose-hash", hashlib.sha256(text.encode()).digest()), text


def test_an_app_id_that_this_guest_could_not_have_is_a_contradiction() -> None:
    boot, text = without_kms()
    _, checks = judged(boot, app_compose=text)
    assert checks["app_id"].error == "Contradiction"
    _, checks = judged(boot.with_payload("app-id", hashlib.sha256(text.encode()).digest()[:20]), app_compose=text)
    assert checks["app_id"].status is Status.PASS
    assert ("app id", "the start of the compose hash") in checks["app_id"].detail


def test_an_old_feature_flag_or_an_unknown_compose_file_leaves_it_a_warning() -> None:
    boot, text = without_kms(features=["kms"])
    _, checks = judged(boot, app_compose=text)
    assert checks["app_id"].status is Status.WARN
    _, checks = judged(boot, app_compose=None)
    assert checks["app_id"].status is Status.WARN


def test_an_app_id_chosen_when_deploying_is_normal_with_a_kms() -> None:
    _, checks = judged(Boot())
    assert ("app id", "chosen when deploying") in checks["app_id"].detail


def test_what_the_compose_file_leaves_open_is_a_warning_with_a_list() -> None:
    text = json.dumps({**json.loads(COMPOSE), "docker_compose_file": "services:\n  a:\n    image: a:latest\n"})
    boot = Boot().with_payload("compose-hash", hashlib.sha256(text.encode()).digest())
    appraisal, checks = judged(boot, app_compose=text)
    assert appraisal is not None
    assert [notice.id for notice in appraisal.notices] == ["image_by_tag"]
    assert checks["unmeasured_inputs"].status is Status.WARN
    assert "named by tag is whatever the registry serves" in checks["unmeasured_inputs"].reason
    assert "a:latest" in dict(checks["unmeasured_inputs"].detail)["image_by_tag"]


def info(**claims: object) -> GuestInfo:
    return parse_guest_info(json.dumps(claims))


def honest_claims(boot: Boot) -> dict[str, object]:
    report = boot.report
    tcb = {
        "mrtd": report.mrtd.hex(),
        "rtmr0": report.rtmr0.hex(),
        "rtmr1": report.rtmr1.hex(),
        "rtmr2": report.rtmr2.hex(),
        "rtmr3": report.rtmr3.hex(),
        "mr_aggregated": mr_aggregated(report).hex(),
        "app_compose": COMPOSE,
        "event_log": boot.entries(),
    }
    return {
        "app_id": APP_ID.hex(),
        "instance_id": INSTANCE_ID.hex(),
        "device_id": UNKNOWN_DEVICE_ID.hex(),
        "compose_hash": COMPOSE_HASH.hex(),
        "os_image_hash": IMAGE.hex(),
        "mr_aggregated": mr_aggregated(report).hex(),
        "key_provider_info": KMS.decode(),
        "tcb_info": json.dumps(tcb),
    }


def test_honest_claims_agree_and_the_unknown_device_id_is_no_claim() -> None:
    boot = Boot()
    appraisal, checks = judged(boot, guest_info=info(**honest_claims(boot)), device_id=b"\x33" * 32)
    assert appraisal is not None
    assert checks["guest_claims"].status is Status.PASS
    compared = dict(checks["guest_claims"].detail)["compared"]
    assert "rtmr3" in compared
    assert "device_id" not in compared


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("app_id", "00" * 20),
        ("instance_id", "00" * 20),
        ("compose_hash", "00" * 32),
        ("os_image_hash", "00" * 32),
        ("mr_aggregated", "00" * 32),
        ("device_id", "00" * 32),
        ("key_provider_info", '{"name":"none","id":""}'),
    ],
)
def test_a_claim_that_contradicts_the_measured_truth_is_a_failure(name: str, claim: str) -> None:
    boot = Boot()
    claims = honest_claims(boot) | {name: claim}
    appraisal, checks = judged(boot, guest_info=info(**claims), device_id=b"\x33" * 32)
    assert appraisal is None
    assert (checks["guest_claims"].status, checks["guest_claims"].error) == (Status.FAIL, "Contradiction")
    assert f"Info.{name}" in checks["guest_claims"].reason


@pytest.mark.parametrize("name", ["mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3", "mr_aggregated", "app_compose", "app_id"])
def test_a_claim_inside_tcb_info_that_contradicts_the_quote_is_a_failure(name: str) -> None:
    boot = Boot()
    claims = honest_claims(boot)
    sizes = {"mr_aggregated": 32, "app_id": 20}
    tcb = json.loads(str(claims["tcb_info"])) | {name: "{}" if name == "app_compose" else "00" * sizes.get(name, 48)}
    _, checks = judged(boot, guest_info=info(**claims | {"tcb_info": json.dumps(tcb)}))
    assert checks["guest_claims"].error == "Contradiction"
    assert name in checks["guest_claims"].reason


def test_an_answer_given_after_the_app_added_events_is_of_the_same_boot() -> None:
    boot = Boot()
    later = boot.with_event("miner-hotkey", b"x")
    _, checks = judged(boot, guest_info=info(**honest_claims(later)))
    assert checks["guest_claims"].status is Status.PASS
    _, checks = judged(later, guest_info=info(**honest_claims(boot)))
    assert checks["guest_claims"].status is Status.PASS


def test_an_answer_of_another_boot_is_a_contradiction() -> None:
    boot = Boot()
    _, checks = judged(boot, guest_info=info(**honest_claims(boot.with_payload("instance-id", bytes(20)))))
    assert checks["guest_claims"].error == "Contradiction"


def test_the_agents_app_compose_serves_as_pre_image_when_none_is_given() -> None:
    boot = Boot()
    appraisal, checks = judged(boot, app_compose=None, guest_info=info(**honest_claims(boot)))
    assert appraisal is not None
    assert checks["compose_hash"].status is Status.PASS


def test_half_a_surrogate_pair_in_the_app_compose_is_a_typed_failure() -> None:
    _, checks = judged(Boot(), app_compose="\ud800")
    assert checks["compose_hash"].error == "Malformed"
    _, checks = judged(Boot(mr_config_id=V1), None, app_compose="\ud800")
    assert checks["mr_config_id"].error == "Malformed"
