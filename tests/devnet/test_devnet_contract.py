"""The one place here where the verifier meets the devnet: each fault is caught, and by the check it should be."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinproof import Collateral, Evidence, TrustRoot, Verdict, Verifier, compare
from twinproof.dstack.key_chain import KeyVerdict, judge_key
from twinproof.dstack.td_hob import parse_witness, td_hob_digest
from twinproof.errors import Malformed, TwinproofError, Unavailable
from twinproof.evidence.evidence import Origin
from twinproof.evidence.nonce import challenge_for
from twinproof.sources.http import HttpClient
from twinproof.sources.instance import fetch_evidence
from twinproof.sources.limits import Limits
from twinproof.verdict import Status
from twinproof_devnet.collateral_service import CollateralService
from twinproof_devnet.confidential_vm import ConfidentialVm
from twinproof_devnet.faults import FRONT_FAULTS, Fault, FaultAt, Place
from twinproof_devnet.firmware import Shape
from twinproof_devnet.front import Front
from twinproof_devnet.image import Image
from twinproof_devnet.provision import Provisioned, provision
from twinproof_devnet.td_hob import td_hob_digest as devnet_td_hob_digest
from twinproof_devnet.td_hob import witness
from twinproof_devnet.world import World

AT = 1_790_000_000
MACHINES = ("prod9", "prod7")

CAUGHT_ALONE = {
    Fault.REVOKED_PCK: "dcap.pck_crl",
    Fault.REVOKED_CA: "dcap.root_crl",
    Fault.EXPIRED_COLLATERAL: "dcap.tcb_info",
    Fault.WRONG_TCB_SIGNER: "dcap.tcb_signing",
    Fault.TCB_REVOKED: "dcap.not_revoked",
    Fault.OTHER_ROOT: "dcap.pck_chain",
    Fault.TCB_OUT_OF_DATE: "policy.tcb_status",
    Fault.DEBUG_TD: "policy.report_attributes",
    Fault.MALICIOUS_IMAGE: "dstack.image_registers",
}
CAUGHT_BESIDE_ANOTHER = {
    Fault.SAME_MACHINE_TWICE: "compare.machine",
    Fault.DIFFERENT_IMAGE: "compare.os_image",
    Fault.DEV_IMAGE: "compare.os_image",
    Fault.DIFFERENT_COMPOSE: "compare.compose_hash",
}
CAUGHT_IN_INFO = {Fault.HOST_LIES_ABOUT_REGISTERS: "dstack.guest_claims"}
CAUGHT_IN_A_KEY = {Fault.FOREIGN_KMS_KEY: "keys.root_pinned"}
CAUGHT_IN_THE_ANSWER = {
    Fault.REPLAYED_QUOTE: "evidence.nonce",
    Fault.STALE_NONCE: "evidence.nonce",
    Fault.FORGED_QUOTE: "dcap.quote_signature",
    Fault.FORGED_EVENT: "dstack.rtmr3_replay",
    Fault.EDITED_STATEMENT: "evidence.report_data",
    Fault.SWAPPED_COMPOSE: "dstack.compose_hash",
}
NO_EVIDENCE: dict[Fault, type[TwinproofError]] = {
    Fault.HTML_INSTEAD_OF_JSON: Unavailable,
    Fault.DUPLICATE_KEYS: Malformed,
    Fault.WRONG_TYPES: Malformed,
    Fault.NOT_HEX: Malformed,
    Fault.SERVER_ERROR: Unavailable,
    Fault.CUT_SHORT: Unavailable,
    Fault.SLOW: Unavailable,
    Fault.SILENT: Unavailable,
    Fault.ENDLESS_RESPONSE: Unavailable,
    Fault.REDIRECT_ELSEWHERE: Unavailable,
}


def judge(provisioned: Provisioned) -> list[Verdict]:
    """Every machine's GetQuote answer under the devnet's root, with what the collateral service publishes."""
    root = TrustRoot.from_pem_or_der(provisioned.pki.root.der)
    collateral = published(provisioned)
    verifier = Verifier(roots=[root])
    return [verifier.verify(evidence(name, vm, collateral), at=AT) for name, vm in provisioned.vms.items()]


def published(provisioned: Provisioned) -> Collateral:
    hosts = provisioned.hosts.values()
    service = CollateralService(provisioned.pki, hosts, clock=lambda: AT, publication=provisioned.publication)
    with closing(service):
        fmspc = next(iter(hosts)).machine.fmspc
        return Collateral.from_json(json.dumps(service._collateral(fmspc=fmspc)))


def evidence(name: str, vm: ConfidentialVm, collateral: Collateral) -> Evidence:
    return Evidence(
        source=name,
        origin=Origin.GET_QUOTE,
        quote=vm.quote(b"contract"),
        event_log=vm.event_log(),
        vm_config=vm.vm_config,
        app_compose=vm.app_compose,
        collateral=collateral,
    )


def world_with(*faults: FaultAt) -> Provisioned:
    return provision(MACHINES, faults, clock=lambda: AT)


def failed(verdict: Verdict) -> list[str]:
    return [check.id for check in verdict.failures]


def test_every_fault_has_its_place_here() -> None:
    in_evidence = {*CAUGHT_ALONE, *CAUGHT_BESIDE_ANOTHER, *CAUGHT_IN_INFO, *CAUGHT_IN_THE_ANSWER}
    elsewhere = {fault for fault in Fault if fault.place in {Place.CLOUD, Place.CHAIN}}
    assert in_evidence | {*CAUGHT_IN_A_KEY, *NO_EVIDENCE} == set(Fault) - elsewhere
    assert {*CAUGHT_IN_THE_ANSWER, *NO_EVIDENCE} == FRONT_FAULTS


def test_every_fault_of_the_cloud_and_of_the_chain_is_switched_on_by_another_test() -> None:
    folder = Path(__file__).resolve().parents[1]
    texts = [path.read_text(encoding="utf-8") for path in folder.rglob("test_*.py") if path != Path(__file__).resolve()]
    for fault in Fault:
        if fault.place in {Place.CLOUD, Place.CHAIN}:
            pattern = rf"Fault\.{fault.name}\b|\b{fault.value}\b"
            assert any(re.search(pattern, text) for text in texts), fault


def test_without_faults_two_machines_are_genuine_and_the_same() -> None:
    verdicts = judge(world_with())
    assert [(verdict.genuine, verdict.accepted, verdict.tcb_status) for verdict in verdicts] == [
        (True, True, "UpToDate")
    ] * 2
    assert all(verdict.simulated for verdict in verdicts)


@pytest.mark.parametrize(("fault", "check"), CAUGHT_ALONE.items())
def test_a_fault_of_one_machine_is_caught_by_its_check(fault: Fault, check: str) -> None:
    (verdict,) = judge(provision(("prod9",), [FaultAt(fault)], clock=lambda: AT))
    assert failed(verdict) == [check]


@pytest.mark.parametrize(("fault", "check"), CAUGHT_BESIDE_ANOTHER.items())
def test_a_difference_is_caught_when_machines_are_compared(fault: Fault, check: str) -> None:
    verdicts = judge(world_with(FaultAt(fault, "prod7")))
    assert all(verdict.genuine for verdict in verdicts)
    proof = compare(verdicts)
    assert check in [item.id for item in proof.checks if item.status == "fail"]


@pytest.mark.parametrize(("fault", "check"), CAUGHT_IN_A_KEY.items())
def test_a_key_of_the_wrong_kms_is_caught_by_its_chain_and_by_nothing_else(fault: Fault, check: str) -> None:
    provisioned = world_with(FaultAt(fault, "prod7"))
    assert all(verdict.accepted for verdict in judge(provisioned))
    assert key_of(provisioned, "prod9").proved
    assert [item.id for item in key_of(provisioned, "prod7").failures] == [check]


def key_of(provisioned: Provisioned, name: str) -> KeyVerdict:
    vm = provisioned.vms[name]
    answer = vm.keys.get_key("path", "purpose", "secp256k1")
    return judge_key(
        json.dumps({"key": answer.key.hex(), "signature_chain": [item.hex() for item in answer.signature_chain]}),
        source=name,
        app_id=vm.app_id,
        kms_root=provisioned.kms.root_public_key,
        purpose="purpose",
    )


SHAPES = [Shape(memory_size=2 << 30, qemu_version="8.2.2"), Shape(cpu_count=16, memory_size=64 << 30)]


def test_machines_of_other_shapes_have_another_rtmr0_and_prove_the_same_image() -> None:
    verdicts = judge(provision(MACHINES, (), clock=lambda: AT, shapes=dict(zip(MACHINES, SHAPES, strict=True))))
    for verdict in verdicts:
        assert verdict.check("dstack.image_registers").status is Status.PASS
        assert verdict.claims.software is not None
        assert verdict.claims.software.recomputed_image == Image().os_image_hash
    assert len({verdict.claims.registers and verdict.claims.registers.rtmr0 for verdict in verdicts}) == 2


def test_a_development_image_is_proved_to_be_one_by_its_own_hash() -> None:
    (verdict,) = judge(provision(("prod9",), [FaultAt(Fault.DEV_IMAGE)], clock=lambda: AT))
    assert verdict.claims.software is not None
    assert verdict.claims.software.recomputed_image == Image(dev=True).os_image_hash != Image().os_image_hash


def test_a_malicious_image_is_named_by_the_kernel_that_booted() -> None:
    (verdict,) = judge(provision(("prod9",), [FaultAt(Fault.MALICIOUS_IMAGE)], clock=lambda: AT))
    check = verdict.check("dstack.image_registers")
    assert check.error == "Contradiction"
    assert check.reason.startswith("RTMR1 event 0, kernel: the quote's RTMR1 is not what this image produces")
    assert (check.got, check.expected) == (Image(backdoor=True).booted_kernel_digest.hex(), Image().kernel_digest.hex())


@given(st.integers(0xB0000000 // 4096, 1 << 40).map(lambda pages: 4096 * pages))
def test_both_sides_rebuild_the_same_memory_map(memory_size: int) -> None:
    assert td_hob_digest(parse_witness(witness()), memory_size) == devnet_td_hob_digest(memory_size)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World.start(("prod9",), faults=[FaultAt(Fault.HOST_LIES_ABOUT_REGISTERS)]) as running:
        yield running


def fetched(url: str) -> Evidence:
    return fetch_evidence(url, challenge_for(bytes(32), 0, url), HttpClient(Limits(total_timeout=3.0)))


def verdict_of(world: World, item: Evidence) -> Verdict:
    at = int(time.time())
    service = CollateralService(world.provisioned.pki, world.provisioned.hosts.values(), clock=lambda: at)
    with closing(service):
        fmspc = next(iter(world.provisioned.hosts.values())).machine.fmspc
        collateral = Collateral.from_json(json.dumps(service._collateral(fmspc=fmspc)))
    root = TrustRoot.from_pem_or_der(world.root_pem)
    return Verifier(roots=[root]).verify(item.with_collateral(collateral), at=at)


def test_the_honest_answer_is_accepted_and_fresh(world: World) -> None:
    verdict = verdict_of(world, fetched(world.instances["prod9"].url))
    assert failed(verdict) == []
    assert verdict.accepted
    assert verdict.fresh


def test_registers_that_only_info_has_are_a_contradiction(world: World) -> None:
    verdict = verdict_of(world, fetched(world.instances["prod9"].agent_url))
    assert failed(verdict) == [CAUGHT_IN_INFO[Fault.HOST_LIES_ABOUT_REGISTERS]]


@pytest.mark.parametrize(("fault", "check"), CAUGHT_IN_THE_ANSWER.items())
def test_a_lie_on_the_way_is_caught_by_its_check(world: World, fault: Fault, check: str) -> None:
    with closing(Front(world.instances["prod9"].app_url, fault)) as front:
        verdict = verdict_of(world, fetched(front.url))
    assert failed(verdict)[0] == check


@pytest.mark.parametrize(("fault", "error"), NO_EVIDENCE.items())
def test_an_answer_that_is_no_evidence_is_a_typed_error_soon(
    world: World, fault: Fault, error: type[TwinproofError]
) -> None:
    before = time.monotonic()
    with closing(Front(world.instances["prod9"].app_url, fault)) as front, pytest.raises(error) as raised:
        fetched(front.url)
    assert type(raised.value) is error
    assert front.url in str(raised.value)
    assert time.monotonic() - before < 10
