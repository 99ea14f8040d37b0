"""What it takes to say PROOF COMPLETE, and each way of not deserving it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from small_boot import Boot
from small_instance import AT, Instance, edited, host, judge, twins, verifier
from twinproof import Outcome, Verifier, compare
from twinproof.comparison import PLAN, Proof, required_comparisons
from twinproof.errors import UsageError
from twinproof.policy import Machine, Pins, Policy
from twinproof.verdict import Status
from twinproof_devnet.host import TdMeasurements


def proof_of(*instances: Instance, policy: Policy | None = None) -> Proof:
    judges = verifier(policy)
    return compare([judges.verify(instance.evidence()) for instance in instances])


def failed(proof: Proof) -> list[str]:
    return [check.id for check in proof.checks if check.status is Status.FAIL]


def test_two_machines_that_run_the_same_are_a_complete_proof() -> None:
    proof = proof_of(*twins())
    assert (proof.outcome, proof.exit_code, proof.complete) == (Outcome.COMPLETE, 0, True)
    assert failed(proof) == []
    assert proof.simulated


def test_three_machines_are_compared_too() -> None:
    third = Instance("prod5", 2, instance_id=bytes(range(60, 80)))
    assert proof_of(*twins(), third).complete


def test_every_comparison_is_in_every_proof() -> None:
    for instances in (twins(), (Instance(), Instance("prod7", 1))):
        assert [check.id for check in proof_of(*instances).checks] == [step.id for step in PLAN]


def test_a_proof_cannot_be_used_as_a_yes() -> None:
    with pytest.raises(TypeError, match="not a yes or no"):
        bool(proof_of(*twins()))


def test_one_instance_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match="nothing to compare"):
        compare([judge(Instance().evidence())])


def test_one_machine_posing_as_two_is_caught_by_its_device_id() -> None:
    proof = proof_of(Instance("prod9", 0), Instance("prod9", 1, instance_id=bytes(range(40, 60))))
    assert (proof.outcome, proof.exit_code) == (Outcome.DIFFERENT, 4)
    assert failed(proof) == ["compare.machine"]


def test_one_instance_under_two_names_is_caught_by_its_instance_id() -> None:
    assert failed(proof_of(Instance("prod9", 0), Instance("prod7", 1))) == ["compare.instance_id"]


def test_the_same_answer_twice_is_caught_by_its_nonce() -> None:
    verdict = judge(Instance().evidence())
    assert set(failed(compare([verdict, verdict]))) == {"compare.machine", "compare.instance_id", "compare.nonce"}


def test_apps_without_instance_ids_are_told_apart_by_their_machines() -> None:
    proof = proof_of(Instance("prod9", 0, instance_id=b""), Instance("prod7", 1, instance_id=b""))
    assert proof.complete
    assert proof.check("compare.instance_id").status is Status.NOT_CHECKED


def measured(name: str) -> Instance:
    """An instance whose quote has another register, with a log that leads to it where there is one."""
    return replace(twins()[1], measured={name: b"\x09" * 48})


def other(name: str, payload: bytes) -> Instance:
    said: dict[str, object] = {"app_id": payload.hex()} if name == "app-id" else {}
    return replace(twins()[1], boot=Boot().with_payload(name, payload), said=said)


@pytest.mark.parametrize(
    ("instance", "check"),
    [
        (measured("mrtd"), "compare.mrtd"),
        (other("app-id", b"\x33" * 20), "compare.app_id"),
        (other("os-image-hash", b"\x44" * 32), "compare.os_image"),
        (replace(twins()[1], said={"version": "1.2.1"}), "compare.version"),
        (replace(twins()[1], said={"git_sha": "5" * 40}), "compare.git_sha"),
    ],
    ids=["another firmware", "another app id", "another OS image", "another version", "another commit"],
)
def test_what_must_be_equal_and_is_not_is_named(instance: Instance, check: str) -> None:
    proof = proof_of(twins()[0], instance)
    assert (proof.outcome, proof.exit_code) == (Outcome.DIFFERENT, 4)
    assert failed(proof) == [check]
    assert proof.first_difference is not None
    assert proof.first_difference.id == check


@pytest.mark.parametrize("register", [1, 2])
def test_another_kernel_or_root_file_system_is_named(register: int) -> None:
    firmware = [*Boot().firmware, (register, 6)]
    proof = proof_of(twins()[0], replace(twins()[1], boot=Boot(firmware=firmware)))
    assert failed(proof) == [f"compare.rtmr{register}"]


def test_another_shape_of_the_vm_is_an_expected_difference() -> None:
    firmware = [*Boot().firmware, (0, 6)]
    assert proof_of(twins()[0], replace(twins()[1], boot=Boot(firmware=firmware))).complete


def test_another_counter_is_an_expected_difference() -> None:
    assert proof_of(twins()[0], replace(twins()[1], said={"signup_count": 99})).complete


def test_a_forged_instance_outweighs_every_difference() -> None:
    judges = verifier()
    good, bad = (instance.evidence() for instance in twins())
    verdicts = [judges.verify(good), judges.verify(edited(bad, app_compose="{}"))]
    proof = compare(verdicts)
    assert (proof.outcome, proof.exit_code) == (Outcome.NOT_GENUINE, 3)


def test_devnet_evidence_is_no_proof_under_intels_root() -> None:
    judges = Verifier()
    proof = compare([judges.verify(instance.evidence()) for instance in twins()])
    assert proof.outcome is Outcome.NOT_GENUINE


def test_an_unwanted_instance_is_no_proof_even_when_all_is_equal() -> None:
    proof = proof_of(*twins(), policy=Policy(pins=Pins(version="9.9.9")))
    assert (proof.outcome, proof.exit_code) == (Outcome.REFUSED, 4)


def test_without_nonces_equal_instances_are_not_shown_to_be_fresh() -> None:
    judges = verifier()
    bare = [edited(instance.evidence(), statement=None, challenge=None) for instance in twins()]
    proof = compare([judges.verify(evidence) for evidence in bare])
    assert (proof.outcome, proof.exit_code) == (Outcome.NOT_FRESH, 0)
    required = compare([judges.verify(evidence) for evidence in bare], required=frozenset({"compare.fresh"}))
    assert (required.outcome, required.exit_code) == (Outcome.REFUSED, 4)


def test_answers_of_different_runs_are_not_one_proof() -> None:
    judges = verifier()
    first, second = twins()
    verdicts = [judges.verify(first.evidence()), judges.verify(second.evidence(session=bytes(32)))]
    proof = compare(verdicts)
    assert proof.outcome is Outcome.NOT_FRESH
    assert "different runs" in proof.check("compare.fresh").reason


def test_without_event_logs_sameness_is_not_shown() -> None:
    judges = verifier()
    verdicts = [judges.verify(edited(instance.evidence(), event_log=None)) for instance in twins()]
    proof = compare(verdicts)
    assert (proof.outcome, proof.exit_code) == (Outcome.NOT_SHOWN, 4)


def test_without_the_compose_text_a_proof_is_not_complete() -> None:
    judges = verifier()
    verdicts = [judges.verify(edited(instance.evidence(), app_compose=None)) for instance in twins()]
    assert compare(verdicts).outcome is Outcome.NOT_SHOWN


def test_one_attested_tls_key_in_two_places_is_a_difference() -> None:
    said: dict[str, object] = {"tls_spki_sha256": "77" * 32}
    first, second = (replace(instance, said=said) for instance in twins())
    assert failed(proof_of(first, second)) == ["compare.tls_key"]
    third = replace(second, said={"tls_spki_sha256": "78" * 32})
    assert proof_of(first, third).complete


def test_a_service_td_or_other_attributes_on_one_side_is_a_difference() -> None:
    from twinproof.dcap.attributes import AttributeRules

    judges = verifier(Policy(attributes=AttributeRules(allow_debug=True)))
    first, second = twins()
    good, evidence = first.evidence(), second.evidence()
    boot = second.boot.with_payload("instance-id", second.instance_id)
    report = boot.report
    from twinproof.evidence.statement import expected_report_data

    assert evidence.statement is not None
    registers = {name: getattr(report, name) for name in ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3")}
    quote = host("prod7").quote(
        TdMeasurements(**registers, td_attributes=(1 << 28) | 1), expected_report_data(evidence.statement)
    )
    proof = compare([judges.verify(good), judges.verify(edited(evidence, quote=quote))])
    assert failed(proof) == ["compare.td_attributes"]


def test_names_of_the_configuration_are_used_in_reasons() -> None:
    machines = tuple(Machine(name, device_id=host(name).device_id) for name in ("prod9", "prod7"))
    proof = proof_of(twins()[0], replace(twins()[1], said={"version": "2.0.0"}), policy=Policy(machines=machines))
    assert proof.first_difference is not None
    assert "differs between prod9 and prod7" in proof.first_difference.reason


def test_required_comparisons_must_exist() -> None:
    assert required_comparisons(frozenset({"compare.fresh"})) == frozenset({"compare.fresh"})
    with pytest.raises(UsageError, match="no such comparison"):
        required_comparisons(frozenset({"compare.luck"}))


def test_the_json_carries_the_session_and_every_instance() -> None:
    document = json.loads(json.dumps(proof_of(*twins()).to_json()))
    assert document["session"] == bytes(range(32)).hex()
    assert (document["complete"], document["exit_code"], len(document["instances"])) == (True, 0, 2)
    assert document["instances"][0]["at"] == AT
