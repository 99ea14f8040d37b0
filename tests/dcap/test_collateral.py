"""Collateral files: nine texts, exactly as they were served, and nothing that is not known."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorded import collateral_members, index
from simulated import AT, TD, host, judge, members, pki, quote
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.platform_hint import platform_hint
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.verify import PLAN, appraise
from twinproof.errors import Malformed
from twinproof.ledger import Ledger
from twinproof.memo import Memo
from twinproof_devnet.host import Tampering
from twinproof_devnet.quote import CertificationData

REQUIRED = sorted(members())


def test_a_collateral_file_comes_back_as_it_was_read() -> None:
    good = members() | {"pck_certificate_chain": "text"}
    assert Collateral.from_json(json.dumps(good)).to_json() == good
    assert Collateral.from_json(json.dumps(members() | {"pck_certificate_chain": None})).to_json() == members()


@pytest.mark.vectors
@pytest.mark.parametrize("listed", index()["collateral"], ids=lambda listed: listed["id"])
def test_a_real_collateral_file_comes_back_as_it_was_read(listed: dict[str, str]) -> None:
    good = collateral_members(listed["id"])
    read = Collateral.from_json(json.dumps(good))
    assert read.to_json() == good
    assert read.about() == (listed["tee"].upper(), listed["fmspc"].upper())


@pytest.mark.parametrize("name", REQUIRED)
def test_no_member_may_be_missing(name: str) -> None:
    with pytest.raises(Malformed, match=name):
        Collateral.from_json(json.dumps({key: value for key, value in members().items() if key != name}))


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [None, 1, [], {}, True], ids=repr)
def test_every_member_is_a_text(name: str, value: object) -> None:
    with pytest.raises(Malformed, match=name):
        Collateral.from_json(json.dumps({**members(), name: value}))


def test_an_unknown_member_is_refused() -> None:
    """A model that skips what it does not know hides checks that are missing."""
    with pytest.raises(Malformed, match="unknown member"):
        Collateral.from_json(json.dumps({**members(), "tcb_evaluation": "20"}))


@pytest.mark.parametrize("name", ["tcb_info_signature", "qe_identity_signature"])
@pytest.mark.parametrize("text", ["", "00" * 63, "00" * 65, "0x" + "00" * 64, "zz" * 64, " " + "00" * 64], ids=len)
def test_a_signature_is_64_bytes_of_hex(name: str, text: str) -> None:
    with pytest.raises(Malformed, match=name):
        Collateral.from_json(json.dumps({**members(), name: text}))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"a":1,"a":2}', "<html></html>", "[" * 9999])
def test_what_is_no_collateral_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        Collateral.from_json(text)


def test_a_text_without_utf_8_bytes_is_malformed_wherever_it_comes_from() -> None:
    good = Collateral.from_json(json.dumps(members()))
    with pytest.raises(Malformed, match="surrogate"):
        replace(good, tcb_info="\ud800")


def test_the_issuer_chain_of_the_pck_crl_is_not_believed() -> None:
    """The list has to be signed by the CA of the quote's own chain, whatever chain is supplied beside it."""
    assert judge(quote(), members() | {"pck_crl_issuer_chain": "garbage"}).genuine


@settings(max_examples=150)
@given(st.sampled_from(REQUIRED), st.lists(st.tuples(st.integers(0, 9000), st.characters()), min_size=1, max_size=3))
def test_spoiled_collateral_is_refused_with_a_typed_error(name: str, edits: list[tuple[int, str]]) -> None:
    text = members()[name]
    for at, letter in edits:
        at %= len(text)  # noqa: PLW2901
        text = text[:at] + letter + text[at + 1 :]
    try:
        supplied = Collateral.from_json(json.dumps({**members(), name: text}))
    except Malformed:
        return
    root = TrustRoot.from_pem_or_der(pki().root.der)
    appraisal = appraise(quote(), supplied, at=AT, root=root, ledger=Ledger(PLAN), memo=Memo())
    assert appraisal is None or text.strip() == members()[name].strip() or name.endswith("_chain")


def test_the_hint_tells_which_collateral_to_fetch() -> None:
    hint = platform_hint(quote())
    assert (hint.tee, hint.fmspc, hint.ca) == ("TDX", host().machine.fmspc, "platform")


@pytest.mark.parametrize("data", [b"", b"-----BEGIN CERTIFICATE-----\n", host().pck.der])
def test_a_quote_without_readable_certificates_gives_no_hint(data: bytes) -> None:
    unreadable = Tampering(certification=CertificationData(5, data))
    with pytest.raises(Malformed):
        platform_hint(host().quote(TD, bytes(64), tampering=unreadable))
    elsewhere = Tampering(certification=CertificationData(3, bytes(404)))
    with pytest.raises(Malformed, match="brings no PCK certificate"):
        platform_hint(host().quote(TD, bytes(64), tampering=elsewhere))
