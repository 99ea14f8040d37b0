"""One instance's evidence: what makes it genuine, what makes it refused, and what each lie is caught by."""

from __future__ import annotations

import dataclasses
import json

import pytest

from small_boot import COMPOSE, Boot
from small_instance import AT, SESSION, Instance, devnet_collateral, edited, host, judge, root, statement, verifier
from twinproof import Verifier
from twinproof.errors import UsageError
from twinproof.evidence.bundle import bundle_to_json, parse_bundle
from twinproof.evidence.evidence import Evidence, Origin
from twinproof.evidence.nonce import challenge_for
from twinproof.policy import Machine, Pins, Policy
from twinproof.verdict import Status
from twinproof.verifier import PLAN, Verdict


def failed(verdict: Verdict) -> dict[str, str]:
    return {check.id: check.error for check in verdict.failures}


def test_honest_evidence_is_genuine_accepted_and_fresh() -> None:
    verdict = judge(Instance().evidence())
    assert (verdict.genuine, verdict.accepted, verdict.fresh, verdict.exit_code) == (True, True, True, 0)
    assert verdict.failures == ()
    assert verdict.tcb_status == "UpToDate"
    assert verdict.advisory_ids == ()
    assert verdict.claims.statement is not None
    assert verdict.claims.statement.version == "1.2.0"
    assert verdict.claims.platform is not None
    assert verdict.claims.platform.device_id == host("prod9").device_id


def test_every_step_of_the_plan_is_in_every_verdict_whatever_happens() -> None:
    honest = Instance().evidence()
    for evidence in (honest, edited(honest, quote=b"\x04\x00"), edited(honest, event_log="[]", statement=None)):
        verdict = judge(evidence)
        assert [check.id for check in verdict.checks] == [step.id for step in PLAN]
        assert all(check.reason for check in verdict.checks if check.status is Status.NOT_CHECKED)


def test_a_verdict_cannot_be_used_as_a_yes() -> None:
    with pytest.raises(TypeError, match="not a yes or no"):
        bool(judge(Instance().evidence()))


def test_a_verdict_cannot_be_changed_afterwards() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        judge(Instance().evidence()).checks = ()  # type: ignore[misc]


def test_devnet_evidence_never_verifies_under_intels_root() -> None:
    verdict = Verifier().verify(Instance().evidence())
    assert verdict.exit_code == 3
    assert failed(verdict) == {"dcap.pck_chain": "Untrusted"}
    assert not verdict.simulated


def test_under_its_own_root_it_is_reported_as_simulated() -> None:
    verdict = judge(Instance().evidence())
    assert verdict.simulated
    assert verdict.to_json()["simulated_hardware"] is True


def test_several_roots_report_the_one_that_held() -> None:
    verifier_of_both = Verifier(roots=(Verifier()._roots[0], root()))
    verdict = verifier_of_both.verify(Instance().evidence())
    assert verdict.genuine
    assert verdict.root == root()


def test_a_replayed_quote_beside_a_new_statement_is_forged() -> None:
    old, new = Instance().evidence(session=bytes(32)), Instance().evidence()
    verdict = judge(edited(new, quote=old.quote))
    assert verdict.exit_code == 3
    assert failed(verdict)["evidence.report_data"] == "Forged"


def test_a_replayed_quote_with_its_old_statement_is_stale() -> None:
    old, new = Instance().evidence(session=bytes(32)), Instance().evidence()
    verdict = judge(edited(old, challenge=new.challenge))
    assert verdict.exit_code == 3
    assert failed(verdict) == {"evidence.nonce": "Stale"}
    assert verdict.claims.statement is None


def test_a_challenge_that_does_not_derive_from_its_session_is_a_contradiction() -> None:
    evidence = Instance().evidence()
    assert evidence.challenge is not None
    forged = dataclasses.replace(evidence.challenge, session=bytes(32))
    assert failed(judge(edited(evidence, challenge=forged))) == {"evidence.nonce": "Contradiction"}


def test_stripping_the_challenge_leaves_freshness_unchecked_and_never_passed() -> None:
    verdict = judge(edited(Instance().evidence(), challenge=None))
    assert verdict.genuine
    assert not verdict.fresh
    assert verdict.check("policy.fresh").status is Status.NOT_CHECKED


def test_an_answer_made_for_another_url_is_stale() -> None:
    evidence = Instance().evidence()
    elsewhere = challenge_for(SESSION, 0, "https://elsewhere.example")
    moved = edited(evidence, challenge=elsewhere, source="https://elsewhere.example")
    assert failed(judge(moved)) == {"evidence.nonce": "Stale"}


def test_an_answer_cannot_be_shown_as_another_urls() -> None:
    moved = edited(Instance().evidence(), source="https://prod1.example")
    assert failed(judge(moved)) == {"evidence.nonce": "Contradiction"}


def test_bytes_after_the_quote_are_pointed_out_unless_they_are_padding() -> None:
    evidence = Instance().evidence()
    assert evidence.quote is not None
    padded = judge(edited(evidence, quote=evidence.quote + bytes(70)))
    followed = judge(edited(evidence, quote=evidence.quote + b"more"))
    assert padded.check("dcap.quote_format").status is Status.PASS
    assert followed.check("dcap.quote_format").status is Status.WARN


@pytest.mark.parametrize("name", ["compose_hash", "app_id", "instance_id"])
def test_a_statement_that_contradicts_the_measured_boot_is_not_genuine(name: str) -> None:
    size = 32 if name == "compose_hash" else 20
    verdict = judge(Instance(said={name: "ee" * size}).evidence())
    assert failed(verdict) == {"evidence.agreement": "Contradiction"}
    assert verdict.exit_code == 3
    assert verdict.claims.software is None


def test_an_app_compose_that_is_not_what_was_measured_is_forged() -> None:
    verdict = judge(edited(Instance().evidence(), app_compose=COMPOSE + " "))
    assert verdict.exit_code == 3
    assert "dstack.compose_hash" in failed(verdict)


def test_a_forged_event_breaks_the_replay() -> None:
    evidence = Instance().evidence()
    forged = Boot().with_payload("compose-hash", bytes(32)).log(digests=False)
    verdict = judge(edited(evidence, event_log=forged))
    assert verdict.exit_code == 3
    assert failed(verdict)["dstack.rtmr3_replay"] == "Forged"


def test_a_debug_td_is_genuine_but_refused() -> None:
    instance = Instance()
    boot = instance.boot
    report = boot.report
    from twinproof_devnet.host import TdMeasurements

    evidence = instance.evidence()
    registers = {name: getattr(report, name) for name in ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3")}
    quote = host("prod9").quote(TdMeasurements(**registers, td_attributes=(1 << 28) | 1), bytes(64))
    bare = Evidence(source="q", origin=Origin.QUOTE, quote=quote, collateral=evidence.collateral, fetched_at=AT)
    verdict = judge(bare)
    assert (verdict.genuine, verdict.accepted, verdict.exit_code) == (True, False, 4)
    assert failed(verdict) == {"policy.report_attributes": "Refused"}


def test_a_statement_far_from_the_collectors_clock_is_refused() -> None:
    evidence = Instance(said={"issued_at": AT - 3600}).evidence()
    verdict = judge(evidence)
    assert (verdict.genuine, verdict.exit_code) == (True, 4)
    assert failed(verdict) == {"policy.clock": "Refused"}


def test_a_bundle_judged_years_later_at_its_own_time_says_the_same() -> None:
    evidence = Instance().evidence()
    again = parse_bundle(bundle_to_json(evidence))
    assert judge(again).to_json() == judge(evidence).to_json()


def test_at_another_time_the_collateral_is_stale() -> None:
    verdict = verifier().verify(Instance().evidence(), at=AT + 100 * 86400)
    assert verdict.exit_code == 3
    assert set(failed(verdict).values()) == {"Stale"}


def test_signatures_that_were_remembered_do_not_outlive_their_window() -> None:
    judges = verifier()
    assert judges.verify(Instance().evidence()).genuine
    assert not judges.verify(Instance().evidence(), at=AT + 100 * 86400).genuine
    assert judges.verify(Instance().evidence()).genuine


@pytest.mark.parametrize("missing", ["collateral", "fetched_at"])
def test_evidence_without_time_or_collateral_is_a_usage_error(missing: str) -> None:
    with pytest.raises(UsageError, match="to judge this evidence"):
        judge(edited(Instance().evidence(), **{missing: None}))


def test_a_bare_quote_is_genuine_and_everything_else_is_not_checked() -> None:
    quote = Instance().evidence().quote
    assert quote is not None
    verdict = verifier().verify_quote(quote, devnet_collateral(), at=AT)
    assert verdict.genuine
    assert verdict.claims.software is None
    assert verdict.check("dstack.rtmr3_replay").status is Status.NOT_CHECKED


@pytest.mark.parametrize(
    ("pins", "check"),
    [
        (Pins(version="1.2.1"), "policy.version"),
        (Pins(git_sha="5" * 40), "policy.git_sha"),
        (Pins(compose_hash=bytes(32)), "policy.compose_hash"),
        (Pins(app_id=bytes(20)), "policy.app_id"),
        (Pins(image=bytes(32)), "policy.image"),
        (Pins(kms_root=b"\x01"), "policy.kms_root"),
    ],
)
def test_another_value_than_the_pinned_one_is_refused(pins: Pins, check: str) -> None:
    verdict = judge(Instance().evidence(), Policy(pins=pins))
    assert (verdict.genuine, verdict.exit_code) == (True, 4)
    assert failed(verdict) == {check: "Refused"}


def test_the_right_pins_pass() -> None:
    verdict = judge(Instance().evidence(), Policy(pins=Pins(version="1.2.0", git_sha="4" * 40)))
    assert verdict.check("policy.version").status is Status.PASS
    assert verdict.accepted


def test_a_pin_on_what_the_evidence_does_not_show_is_refused() -> None:
    bare = edited(Instance().evidence(), statement=None, challenge=None)
    verdict = judge(bare, Policy(pins=Pins(version="1.2.0")))
    assert (verdict.genuine, verdict.exit_code, failed(verdict)) == (True, 4, {"policy.version": "Refused"})
    assert "does not show it" in verdict.check("policy.version").reason


def test_a_required_name_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="nothing of this name"):
        verifier(Policy(required=frozenset({"luck"})))


def test_a_required_check_that_does_not_apply_refuses_genuine_evidence() -> None:
    verdict = judge(Instance().evidence(), Policy(required=frozenset({"dcap.current_tcb"})))
    assert (verdict.genuine, verdict.exit_code, failed(verdict)) == (True, 4, {"dcap.current_tcb": "Refused"})


def test_a_required_check_that_was_blocked_is_no_refusal_of_genuine_evidence() -> None:
    broken = edited(Instance().evidence(), quote=b"\x04\x00")
    assert judge(broken, Policy(required=frozenset({"dcap.current_tcb"}))).exit_code == 3


def test_a_label_that_contradicts_the_device_id_is_refused() -> None:
    machines = (
        Machine("prod9", url=Instance("prod7").url, device_id=host("prod9").device_id),
        Machine("prod7", device_id=host("prod7").device_id),
    )
    verdict = judge(Instance("prod7").evidence(), Policy(machines=machines))
    assert failed(verdict) == {"policy.machine": "Refused"}
    assert "(prod7)" in verdict.check("policy.machine").reason


def test_a_machine_is_known_by_its_device_id_when_its_url_is_not() -> None:
    machines = (Machine("prod7", "US-EAST", device_id=host("prod7").device_id),)
    verdict = judge(Instance("prod7").evidence(), Policy(machines=machines))
    assert verdict.title == "prod7 (US-EAST)"
    assert verdict.check("policy.machine").status is Status.PASS


def test_the_json_has_the_names_of_the_api() -> None:
    document = json.loads(json.dumps(judge(Instance().evidence()).to_json()))
    assert document["schema"] == "twinproof/verdict/v1"
    for name in ("genuine", "accepted", "fresh", "tcb_status", "advisory_ids", "checks", "claims"):
        assert name in document


def test_two_policies_that_ask_different_things_have_different_digests() -> None:
    assert Policy().digest == Policy().digest != Policy(pins=Pins(version="1.0.0")).digest


def test_weakenings_are_named() -> None:
    from twinproof.dcap.attributes import AttributeRules
    from twinproof.dcap.tcb import TcbStatus

    policy = Policy(
        accepted_tcb_statuses=frozenset({TcbStatus.UP_TO_DATE, TcbStatus.OUT_OF_DATE}),
        attributes=AttributeRules(allow_debug=True),
        max_clock_skew=900,
    )
    assert [text.split()[0] for text in policy.weakenings] == ["TCB", "attribute", "clocks"]
    assert Policy().weakenings == ()


def test_a_statement_of_another_schema_is_malformed_even_when_signed() -> None:
    evidence = Instance(said={"schema": "other/statement/v1"}).evidence()
    assert failed(judge(evidence)) == {"evidence.statement": "Malformed"}
    assert statement(bytes(32)) != evidence.statement


def test_an_answer_judged_long_after_it_was_collected_is_not_fresh() -> None:
    verdict = verifier().verify(Instance().evidence(), at=AT + 86400)
    assert verdict.genuine
    assert not verdict.fresh
    assert "another time" in verdict.check("policy.fresh").reason
