"""No single flipped bit of what is signed, or of a signature, ever verifies; and no flip anywhere ends in a crash."""

from __future__ import annotations

import json
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorded import MEMO, collateral, index, outcome, quote_bytes
from simulated import AT, members, pki, quote
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.verify import PLAN, Appraisal, appraise
from twinproof.ledger import Ledger
from twinproof.memo import Memo
from twinproof.tdx.quote import parse_quote
from twinproof.verdict import Status

KINDS = [(4, "TD1.0"), (5, "TD1.5ex")]
REAL = ["tdx-v4-B0C06F000000-6b0bfd45@2026-10-08-eval20", "sgx-v3-00606A000000-e8f10643@2025-08-15-eval17"]
_MEMORY = Memo()


def flipped(data: bytes, bit: int) -> bytes:
    spoiled = bytearray(data)
    spoiled[bit // 8] ^= 1 << bit % 8
    return bytes(spoiled)


@cache
def trusted() -> tuple[Collateral, TrustRoot]:
    return Collateral.from_json(json.dumps(members())), TrustRoot.from_pem_or_der(pki().root.der)


def appraised(data: bytes) -> Appraisal | str:
    """What a quote under good collateral proves, or the step at which it fails."""
    ledger = Ledger(PLAN)
    supplied, root = trusted()
    appraisal = appraise(data, supplied, at=AT, root=root, ledger=ledger, memo=_MEMORY)
    return appraisal or next(check.id for check in ledger.checks() if check.status is Status.FAIL)


def certificates_at(data: bytes) -> int:
    """Everything before the PCK chain is signed, a signature, a key that is hashed, or a length."""
    return len(parse_quote(data).raw) - len(parse_quote(data).certification_data)


@pytest.mark.parametrize(("version", "body"), KINDS)
def test_the_quote_itself_is_genuine(version: int, body: str) -> None:
    assert isinstance(appraised(quote(version, body)), Appraisal)


@settings(max_examples=400)
@given(st.sampled_from(KINDS), st.floats(0, 1, exclude_max=True))
def test_no_flipped_bit_before_the_certificates_verifies(kind: tuple[int, str], place: float) -> None:
    whole = quote(*kind)
    bit = int(place * certificates_at(whole) * 8)
    assert isinstance(appraised(flipped(whole, bit)), str)


@settings(max_examples=200)
@given(st.sampled_from(KINDS), st.floats(0, 1, exclude_max=True))
def test_a_flipped_bit_in_the_certificates_never_crashes_and_never_changes_what_is_proved(
    kind: tuple[int, str], place: float
) -> None:
    """PEM can spell the same certificate in two ways: such a flip may verify, as the same platform and report."""
    whole = quote(*kind)
    start = certificates_at(whole)
    bit = start * 8 + int(place * (len(whole) - start) * 8)
    got = appraised(flipped(whole, bit))
    if isinstance(got, Appraisal):
        honest = appraised(whole)
        assert isinstance(honest, Appraisal)
        assert (got.pck, got.quote.report, got.tcb_status) == (honest.pck, honest.quote.report, honest.tcb_status)


@pytest.mark.parametrize("case_id", REAL)
@pytest.mark.parametrize("bit", range(8))
@pytest.mark.vectors
def test_no_flipped_bit_of_a_real_quote_verifies(case_id: str, bit: int) -> None:
    """Every byte before the certificates, this bit of it."""
    case = next((case for case in index()["cases"] if case["id"] == case_id), None)
    if case is None:
        pytest.skip("real vectors not found")
    whole, supplied = quote_bytes(case["quote"]), collateral(case["collateral"])
    assert outcome(whole, supplied, case["now"], MEMO).accepted
    for at in range(certificates_at(whole)):
        got = outcome(flipped(whole, at * 8 + bit), supplied, case["now"], MEMO)
        assert not got.accepted, at
        assert got.step.startswith("dcap."), at
