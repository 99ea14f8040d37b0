"""Real quotes under real collateral: what other verifiers recorded, and every place where this one says no instead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recorded import (
    Json,
    Outcome,
    cases,
    collateral,
    index,
    mutations,
    outcome,
    outcome_of_mutation,
    quote_bytes,
)
from twinproof.dcap.verify import PLAN

pytestmark = pytest.mark.vectors

DIFFERENCES_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "dcap-differences.md"
BOUNDARIES = [(case, boundary) for case in index()["cases"] for boundary in case.get("boundaries", ())]

DIFFERENCES = {
    "crl-not-yet-valid": (
        "dcap.pck_crl",
        {
            "sgx-v3-00606A000000-2008020f@2025-08-15-eval17 at 1755236485",
            "tdx-v4-20A06F000000-34f9062b@2025-06-14-eval17 at 1750327234",
            "tdx-v4-B0C06F000000-f1c85033@2026-10-08-eval20 at 1791419305",
            "tdx-v5-90C06F000000-d21a11db@2024-12-20-eval17 at 1734683497",
            "tdx-v5-B0C06F000000-fd88575b@2026-10-08-eval20 at 1791419305",
        },
    ),
    "outer-certification-type": (
        "dcap.quote_format",
        {
            "tdx-v4-B0C06F000000-6b0bfd45@2026-10-08-eval20: outer_cert_type",
            "tdx-v5-B0C06F000000-fd88575b@2026-10-08-eval20: outer_cert_type",
        },
    ),
    "issuer-chain-without-root": (
        "dcap.tcb_signing",
        {
            "sgx-v3-00606A000000-e8f10643@2025-08-15-eval17: collateral:tcb_info_issuer_chain without root",
            "tdx-v4-B0C06F000000-6b0bfd45@2026-10-08-eval20: collateral:tcb_info_issuer_chain without root",
            "tdx-v5-B0C06F000000-fd88575b@2026-10-08-eval20: collateral:tcb_info_issuer_chain without root",
        },
    ),
}
"""Every recorded acceptance that is a refusal here: the step that refuses, and the places. Each has its row."""

STEP_OF = {place: step for step, places in DIFFERENCES.values() for place in places}


def assert_as_recorded(got: Outcome, recorded: Json, place: str) -> None:
    """The same outcome, or a refusal that is listed above, at the step that is listed for it."""
    if place in STEP_OF:
        assert recorded["ok"], "a difference is only ever a stricter answer"
        assert not got.accepted
        assert got.step == STEP_OF[place]
    else:
        assert got.same_as(Outcome.recorded(recorded)), got


@pytest.mark.parametrize("case", index()["cases"], ids=lambda case: case["id"])
def test_a_real_quote_gets_the_recorded_answer(case: Json) -> None:
    got = outcome(quote_bytes(case["quote"]), collateral(case["collateral"]), case["now"])
    assert_as_recorded(got, case, f"{case['id']} at {case['now']}")


@pytest.mark.parametrize(("case", "boundary"), BOUNDARIES, ids=lambda item: str(item.get("id", item["now"])))
def test_a_second_before_and_after_its_window_a_quote_gets_the_recorded_answer(case: Json, boundary: Json) -> None:
    got = outcome(quote_bytes(case["quote"]), collateral(case["collateral"]), boundary["now"])
    assert_as_recorded(got, boundary, f"{case['id']} at {boundary['now']}")


@pytest.mark.parametrize(
    "mutation", mutations(), ids=lambda item: f"{item['case']}-{item['mutation'].replace(' ', '_').replace(':', '')}"
)
def test_a_mutation_of_a_real_quote_gets_the_recorded_answer(mutation: Json) -> None:
    assert_as_recorded(outcome_of_mutation(mutation), mutation, f"{mutation['case']}: {mutation['mutation']}")


def test_nothing_recorded_is_missing(vectors: Path) -> None:
    assert (len(cases()), len(BOUNDARIES), len(mutations())) == (234, 60, 171)


@pytest.mark.parametrize("case", index()["cases"], ids=lambda case: case["id"])
def test_the_order_of_verifications_and_the_memory_change_nothing(case: Json) -> None:
    """The second answer, out of a memory that by now holds all other cases, is the first one's."""
    again = outcome(quote_bytes(case["quote"]), collateral(case["collateral"]), case["now"])
    assert_as_recorded(again, case, f"{case['id']} at {case['now']}")


def test_every_difference_has_its_row_in_the_document(vectors: Path) -> None:
    rows = re.findall(
        r"^\| `([a-z-]+)` \| `([a-z_.]+)` \| (\d+) \|", DIFFERENCES_DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert {name: (step, int(count)) for name, step, count in rows} == {
        name: (step, len(places)) for name, (step, places) in DIFFERENCES.items()
    }
    assert {step for step, _ in DIFFERENCES.values()} <= {step.id for step in PLAN}
