"""Whatever was judged before, and in whatever order: every verdict is the one that a verifier without memory gives."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from small_boot import Boot
from small_instance import AT, Instance, devnet_collateral, edited, root, twins, verifier
from twinproof.dcap.roots import INTEL_SGX_ROOT_CA
from twinproof.evidence.evidence import Evidence
from twinproof.memo import Memo
from twinproof.policy import Pins, Policy
from twinproof.verifier import Verifier

DAY = 86400


@dataclass(frozen=True)
class Case:
    evidence: Evidence
    at: int = AT
    judge: str = "strict"


VERIFIERS: dict[str, Callable[[], Verifier]] = {
    "strict": verifier,
    "pinned": lambda: verifier(Policy(pins=Pins(version="9.9.9"))),
    "demanding": lambda: verifier(Policy(required=frozenset({"dstack.image_registers", "chain.compose_hash"}))),
    "Intel's root": Verifier,
    "two roots": lambda: Verifier(roots=(INTEL_SGX_ROOT_CA, root())),
}


def forget() -> None:
    """Empties every memory there is, also those that nobody thought of when this was written."""
    for item in gc.get_objects():
        if type(item) is Memo:
            item._young.clear()
            item._old.clear()
            item._size = 0


def flipped(evidence: Evidence, at: int) -> Evidence:
    quote = bytearray(evidence.quote or b"")
    quote[at] ^= 1
    return edited(evidence, quote=bytes(quote))


def compacted(evidence: Evidence) -> Evidence:
    """The log as guests write it, which is what the memories of logs are about."""
    return edited(evidence, event_log=json.dumps(json.loads(evidence.event_log or "[]"), separators=(",", ":")))


@cache
def cases() -> tuple[Case, ...]:
    first, second = (compacted(instance.evidence()) for instance in twins())
    other_boot = compacted(
        Instance(boot=Boot().with_payload("key-provider", b'{"name":"kms","id":"30590b"}')).evidence()
    )
    logs = first.event_log or ""
    collateral = devnet_collateral()
    evidences = [
        first,
        second,
        other_boot,
        edited(first, source="https://elsewhere.example", challenge=None),
        edited(first, statement=second.statement, challenge=second.challenge),
        edited(first, event_log=second.event_log),
        edited(first, event_log=logs.replace("system-ready", "system-reads")),
        edited(first, event_log=None),
        edited(first, vm_config=(first.vm_config or "").replace("}", ' ,"x":1}') or "{}"),
        edited(first, vm_config=None),
        edited(first, app_compose="{}"),
        edited(first, app_compose=None),
        edited(first, collateral=replace(collateral, tcb_info_signature=collateral.tcb_info_signature[::-1])),
        edited(first, collateral=replace(collateral, tcb_info=collateral.tcb_info.replace("UpToDate", "Revoked"))),
        *(flipped(first, 48 + at) for at in (0, 8, 120, 184, 376, 424, 520, 530, 584 + 70, 584 + 140, 584 + 600)),
    ]
    return (
        *map(Case, evidences),
        *(Case(first, at) for at in (AT - 3 * 365 * DAY, AT + 29 * DAY, AT + 40 * DAY, AT + 30 * 365 * DAY)),
        *(Case(item, judge=judge) for judge in VERIFIERS for item in (first, second, other_boot, evidences[3])),
    )


def said(case: Case, judge: Verifier) -> str:
    return json.dumps(judge.verify(case.evidence, at=case.at).to_json())


@cache
def without_memory() -> tuple[str, ...]:
    found = []
    for case in cases():
        forget()
        found.append(said(case, VERIFIERS[case.judge]()))
    return tuple(found)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.permutations(range(len(cases()))))
def test_the_order_in_which_evidence_comes_changes_no_letter_of_a_verdict(order: list[int]) -> None:
    expected = without_memory()
    forget()
    judges = {name: make() for name, make in VERIFIERS.items()}
    for _ in range(2):
        for number in order:
            case = cases()[number]
            assert said(case, judges[case.judge]) == expected[number]


def test_these_cases_are_good_and_bad_in_many_ways() -> None:
    found = [json.loads(text) for text in without_memory()]
    assert found[0]["accepted"]
    assert found[1]["accepted"]
    failures = {check["id"] for verdict in found for check in verdict["checks"] if check["status"] == "fail"}
    assert len(failures) >= 12, failures
