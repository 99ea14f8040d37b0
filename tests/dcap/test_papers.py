"""What is remembered of a quote's papers speaks for exactly these bytes under this root, and for no time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulated import AT, judge, members, pki, quote
from twinproof.conformance.suite_shape import SUITE_SHAPE
from twinproof.dcap.chain_shape import INTEL
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.papers import Papers, papers_of
from twinproof.dcap.roots import INTEL_SGX_ROOT_CA, TrustRoot
from twinproof.errors import Malformed
from twinproof.memo import Memo
from twinproof_devnet.pki import Pki

DAY = 86_400
_KNOWN = Memo()


def _known() -> Memo:
    """A memory that has the good papers in full."""
    assert judge(quote(), memo=_KNOWN).genuine
    return _KNOWN


@settings(max_examples=150)
@given(st.sampled_from(sorted(members())), st.integers(0, 10**6), st.sampled_from("01aZ \n"))
def test_one_changed_letter_of_the_collateral_is_judged_as_if_nothing_were_known(
    name: str, place: int, letter: str
) -> None:
    text = members()[name]
    at = place % len(text)
    changed = members() | {name: text[:at] + letter + text[at + 1 :]}
    try:
        fresh = judge(quote(), changed)
    except Malformed:  # hex that is none: such a file is refused before it is collateral
        return
    assert judge(quote(), changed, memo=_known()).checks == fresh.checks
    assert judge(quote(), memo=_known()).genuine


@settings(max_examples=150)
@given(st.integers(0, len(quote()) - 1), st.integers(0, 7))
def test_one_flipped_bit_of_the_quote_is_judged_as_if_nothing_were_known(place: int, bit: int) -> None:
    changed = bytearray(quote())
    changed[place] ^= 1 << bit
    assert judge(bytes(changed), memo=_known()).checks == judge(bytes(changed)).checks


@pytest.mark.parametrize("days", [-4000, -1, 8, 60, 400, 4000, 20_000])
def test_known_papers_are_judged_at_the_time_that_is_asked_for(days: int) -> None:
    at = AT + days * DAY
    assert judge(quote(), at=at, memo=_known()).checks == judge(quote(), at=at).checks
    assert judge(quote(), memo=_known()).genuine


def test_the_seconds_around_every_end_of_a_window_are_judged_as_if_nothing_were_known() -> None:
    appraisal = judge(quote(), memo=_known()).appraisal
    assert appraisal is not None
    refused = 0
    for edge in (appraisal.latest_issue, appraisal.earliest_expiration):
        for at in (edge - 1, edge, edge + 1):
            fresh = judge(quote(), at=at)
            refused += not fresh.genuine
            assert judge(quote(), at=at, memo=_known()).checks == fresh.checks
    assert 2 <= refused <= 3


def test_papers_known_under_one_root_are_unknown_under_another() -> None:
    other = Pki.create(AT)
    assert judge(quote(), tree=other, memo=_known()).failed == ("dcap.pck_chain", "Untrusted")
    assert judge(quote(), memo=_known()).genuine


def test_a_refused_paper_is_refused_again_and_taints_no_other() -> None:
    memo, bad = Memo(), members() | {"tcb_info_signature": "11" * 64}
    for _ in range(2):
        assert judge(quote(), bad, memo=memo).failed == ("dcap.tcb_info", "Forged")
        assert judge(quote(), memo=memo).genuine


def test_root_shape_chain_and_every_text_of_the_collateral_tell_papers_apart() -> None:
    memo, root = Memo(), TrustRoot.from_pem_or_der(pki().root.der)

    def papers(pem: bytes = b"pem", root: TrustRoot = root, changed: str = "") -> Papers:
        parts = _parts() | ({changed: "other"} if changed else {})
        return papers_of(pem, Collateral(**parts), root, INTEL, memo)  # type: ignore[arg-type]

    known = papers()
    assert papers() is known
    others = [papers(b"other"), papers(root=INTEL_SGX_ROOT_CA), *(papers(changed=name) for name in _parts())]
    others.append(papers_of(b"pem", Collateral(**_parts()), root, SUITE_SHAPE, memo))  # type: ignore[arg-type]
    assert len({id(each) for each in (known, *others)}) == len(others) + 1


def _parts() -> dict[str, str]:
    return {name: name for name in members() if name != "pck_certificate_chain"}
