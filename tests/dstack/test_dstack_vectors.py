"""Real quotes and logs of dstack: every recomputation in expected.json, and the lies that follow from them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from twinproof.dstack.attestation import parse_versioned_attestation
from twinproof.dstack.boot import read_boot
from twinproof.dstack.event_log import EventLog, parse_event_log
from twinproof.dstack.get_quote import parse_quote_answer
from twinproof.dstack.measurements import boottime_rtmr3, mr_aggregated, mr_system
from twinproof.dstack.plan import PLAN
from twinproof.dstack.verify import DstackAppraisal, appraise
from twinproof.errors import Malformed
from twinproof.ledger import Ledger
from twinproof.tdx.report import TdReport, parse_td_report
from twinproof.verdict import Check, Status

pytestmark = pytest.mark.vectors

ANSWERS = ["verifier/quote-report.json", "verifier/tdx-lite-getquote.json", "examples-rtmr3/report.json"]
ENVELOPES = ["simulator/attestation.bin", "verifier/tdx-lite-attestation.json"]
STRIPPED = "verifier/tdx-lite-attestation.json"


@dataclass(frozen=True, slots=True)
class Real:
    report: TdReport
    log: EventLog
    vm_config: str | None


def real(vectors: Path, name: str) -> Real:
    data = (vectors / "dstack" / name).read_bytes()
    if name in ANSWERS:
        answer = parse_quote_answer(data)
        assert answer.quote is not None
        assert answer.event_log is not None
        return Real(report_of(answer.quote), parse_event_log(answer.event_log), answer.vm_config)
    if name.endswith(".json"):
        answer = parse_quote_answer(data)
        assert answer.attestation is not None
        data = answer.attestation
    attestation = parse_versioned_attestation(data)
    report = report_of(attestation.quote)
    attestation.check_report_data(report.report_data)
    return Real(report, attestation.event_log, attestation.config)


def report_of(quote: bytes) -> TdReport:
    return parse_td_report(quote[48:632], 2)


def judge(one: Real, app_compose: str | None = None) -> tuple[DstackAppraisal | None, dict[str, Check]]:
    ledger = Ledger(PLAN)
    appraisal = appraise(one.report, one.log, one.vm_config, app_compose, None, ledger=ledger)
    return appraisal, {check.id.removeprefix("dstack."): check for check in ledger.checks()}


def text(vectors: Path, name: str) -> str:
    return (vectors / "dstack" / name).read_bytes().decode()


@pytest.mark.parametrize("name", ANSWERS + ENVELOPES)
def test_every_derived_value_of_a_real_quote_is_recomputed(vectors: Path, name: str) -> None:
    one = real(vectors, name)
    expected = json.loads(text(vectors, "expected.json"))[name]
    boot = read_boot(one.log)
    assert [(e.event, e.payload.hex(), e.measured.hex()) for e in one.log.runtime] == [
        (e["event"], e["payload_hex"], e["sha384"]) for e in expected["runtime_events"]
    ]
    assert one.log.replay(3).hex() == expected["rtmr3"] == one.report.rtmr3.hex()
    assert one.report.mrtd.hex() == expected["mr_td"]
    assert mr_system(one.report, boot.key_provider.raw).hex() == expected["mr_system"]
    assert mr_aggregated(one.report).hex() == expected["mr_aggregated"]
    assert mr_aggregated(one.report, boottime_rtmr3(one.log)).hex() == expected["mr_aggregated_boottime"]


@pytest.mark.parametrize("name", ANSWERS + ENVELOPES)
def test_real_evidence_passes_the_plan(vectors: Path, name: str) -> None:
    appraisal, checks = judge(real(vectors, name))
    assert appraisal is not None
    for step in ("event_log_format", "event_digests", "rtmr3_replay", "boot_events", "app_id"):
        assert checks[step].status is Status.PASS
    replayed = checks["rtmr0_2_replay"].status
    assert replayed is (Status.NOT_CHECKED if name == STRIPPED else Status.PASS)


@pytest.mark.parametrize(
    ("name", "generations"),
    [
        ("examples-rtmr3/report.json", ("0.4.2-0.5.0",)),
        ("verifier/quote-report.json", ("0.4.2-0.5.0", "0.5.1-0.5.4")),
        ("verifier/tdx-lite-getquote.json", ("0.5.5-0.5.11", "0.6")),
        ("simulator/attestation.bin", ("0.5.5-0.5.11", "0.6")),
    ],
)
def test_the_guest_version_shows_in_the_events(vectors: Path, name: str, generations: tuple[str, ...]) -> None:
    assert read_boot(real(vectors, name).log).generations == generations


def test_the_whole_way_from_a_published_compose_file_to_the_quote(vectors: Path) -> None:
    compose = text(vectors, "examples-rtmr3/app-compose.json")
    appraisal, checks = judge(real(vectors, "examples-rtmr3/report.json"), compose)
    assert appraisal is not None
    assert checks["compose_hash"].status is Status.PASS
    assert checks["key_provider"].status is Status.PASS
    assert dict(checks["app_id"].detail)["app id"] == "the start of the compose hash"
    notices = {notice.id: notice.detail for notice in appraisal.notices}
    assert "quay.io/jupyter/base-notebook" in notices["image_by_tag"]
    assert {"host_access", "public_logs", "public_sysinfo", "key_provider_unpinned"} <= set(notices)


def test_the_simulators_app_compose_is_not_what_its_quote_measured(vectors: Path) -> None:
    compose = text(vectors, "simulator/app-compose.json")
    appraisal, checks = judge(real(vectors, "simulator/attestation.bin"), compose)
    assert appraisal is None
    for step in ("compose_hash", "mr_config_id"):
        assert (checks[step].status, checks[step].error) == (Status.FAIL, "Contradiction")
        assert "65b4e574" in checks[step].got + checks[step].expected
        assert "c143116f" in checks[step].got + checks[step].expected


@pytest.mark.parametrize("name", [*ENVELOPES, "verifier/tdx-lite-getquote.json"])
def test_mr_config_id_of_real_quotes_names_the_measured_compose_file(vectors: Path, name: str) -> None:
    _, checks = judge(real(vectors, name))
    assert checks["mr_config_id"].status is Status.PASS
    assert ("form", "V1") in checks["mr_config_id"].detail


def test_the_image_that_differs_from_the_kms_answer_is_a_warning(vectors: Path) -> None:
    appraisal, checks = judge(real(vectors, "verifier/tdx-lite-getquote.json"))
    assert checks["os_image_hash"].status is Status.WARN
    assert "07a2388c" in checks["os_image_hash"].reason
    assert "e6f5cfec" in checks["os_image_hash"].reason
    assert appraisal is not None
    assert appraisal.os_image_hash is not None
    assert appraisal.os_image_hash.hex().startswith("07a2388c")


def test_the_event_an_app_emitted_after_system_ready_is_shown_as_its_own(vectors: Path) -> None:
    appraisal, checks = judge(real(vectors, "verifier/quote-report.json"))
    assert appraisal is not None
    assert [event.event for event in appraisal.app_events] == ["LIUM_MINER_HOTKEY"]
    assert checks["boot_events"].status is Status.PASS


@pytest.mark.parametrize("name", ANSWERS + ENVELOPES)
def test_one_flipped_byte_in_any_real_payload_fails_the_replay(vectors: Path, name: str) -> None:
    one = real(vectors, name)
    for index, event in enumerate(one.log.events):
        if event.imr != 3 or not event.payload:
            continue
        lie = replace(event, payload=bytes([event.payload[0] ^ 1]) + event.payload[1:], digest=b"")
        log = EventLog((*one.log.events[:index], lie, *one.log.events[index + 1 :]))
        appraisal, checks = judge(replace(one, log=log))
        assert appraisal is None
        assert checks["rtmr3_replay"].error == "Forged"


def test_a_simulators_sys_config_is_unwrapped(vectors: Path) -> None:
    appraisal, _ = judge(real(vectors, "simulator/attestation.bin"))
    assert appraisal is not None
    assert appraisal.vm_config is not None
    assert appraisal.vm_config.shape == "8 vCPU, 16 GiB, QEMU 8.2.2"


def test_a_real_sev_snp_attestation_is_not_a_tdx_attestation(vectors: Path) -> None:
    answer = parse_quote_answer(text(vectors, "verifier/sev-snp-attestation.json"))
    assert answer.attestation is not None
    with pytest.raises(Malformed, match="not a TDX attestation: got sev-snp"):
        parse_versioned_attestation(answer.attestation)


def test_two_real_apps_are_different_code_on_different_registers(vectors: Path) -> None:
    one, two = (real(vectors, name) for name in ("verifier/quote-report.json", "verifier/tdx-lite-getquote.json"))
    assert read_boot(one.log).compose_hash != read_boot(two.log).compose_hash
    assert judge(replace(one, log=two.log))[1]["rtmr3_replay"].error == "Forged"


def test_the_same_boot_in_two_envelopes_measures_the_same(vectors: Path) -> None:
    one, _ = judge(real(vectors, "verifier/tdx-lite-getquote.json"))
    two, _ = judge(real(vectors, STRIPPED))
    assert one is not None
    assert two is not None
    assert (one.mr_aggregated, one.compose_hash) == (two.mr_aggregated, two.compose_hash)
