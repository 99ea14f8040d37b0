"""The chain of trust: every check has its link, a failure is red there, and what was not checked is never green."""

from __future__ import annotations

import hashlib

import pytest

from small_boot import COMPOSE, Boot
from small_instance import Instance, edited, judge
from twinproof import verifier
from twinproof.policy import Pins, Policy
from twinproof.report.trust_links import LINKS, Link, link_of, link_states
from twinproof.verdict import Status, Step
from twinproof.verifier import Verdict


def states(verdict: Verdict) -> dict[str, Status]:
    return {state.link.id: state.status for state in link_states(verdict)}


@pytest.mark.parametrize("step", verifier.PLAN, ids=lambda step: step.id)
def test_every_check_of_the_plan_stands_for_exactly_one_link_or_for_its_familys(step: Step) -> None:
    named = [link.id for link in LINKS if step.id in link.needs or step.id in link.also]
    family = step.id.partition(".")[0]
    assert len(named) == 1 or (not named and family == "chain")
    assert link_of(step.id) in {link.id for link in LINKS}


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link.id)
def test_a_link_names_only_checks_that_exist(link: Link) -> None:
    assert {*link.needs, *link.also} <= {step.id for step in verifier.PLAN}


def test_a_check_of_a_newer_plan_goes_to_its_family() -> None:
    assert link_of("chain.quorum") == "compose-base"
    assert link_of("keys.rotation") == "events-kms"
    assert link_of("unheard.of") in {link.id for link in LINKS}


def test_honest_evidence_is_green_where_it_was_checked_and_grey_where_it_was_not() -> None:
    found = states(judge(Instance().evidence()))
    grey = {name for name, status in found.items() if status is Status.NOT_CHECKED}
    assert grey == {"registers-image", "events-kms", "compose-base"}
    assert set(found.values()) == {Status.PASS, Status.NOT_CHECKED}


def test_a_failure_is_red_and_what_it_blocked_is_grey() -> None:
    honest = Instance().evidence()
    assert honest.quote is not None
    forged = bytearray(honest.quote)
    forged[48 + 376] ^= 1
    found = states(judge(edited(honest, quote=bytes(forged))))
    assert found["qe-quote"] is Status.FAIL
    assert found["root-pck"] is Status.PASS
    assert {found[name] for name in ("quote-registers", "registers-events", "events-compose")} == {Status.NOT_CHECKED}


def test_an_unwanted_value_is_red_at_its_link() -> None:
    found = states(judge(Instance().evidence(), Policy(pins=Pins(version="9.9.9"))))
    assert [name for name, status in found.items() if status is Status.FAIL] == ["containers-version"]


def test_a_compose_file_that_names_an_image_by_tag_shows_nothing_about_containers() -> None:
    tagged = COMPOSE.replace(f"toy@sha256:{'ab' * 32}", "toy:latest")
    digest = hashlib.sha256(tagged.encode()).digest()
    instance = Instance(boot=Boot().with_payload("compose-hash", digest), said={"compose_hash": digest.hex()})
    verdict = judge(edited(instance.evidence(), app_compose=tagged))
    assert verdict.accepted
    assert verdict.check("dstack.unmeasured_inputs").passed
    assert states(verdict)["compose-containers"] is Status.NOT_CHECKED
