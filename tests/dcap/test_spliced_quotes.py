"""Quotes put together from parts of genuine ones: every part is good, and no mixture proves anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations, product

import pytest

from recorded import Json, collateral, index, outcome, quote_bytes
from simulated import AT, REPORT_DATA, TD, host, members, pki
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.verify import PLAN, appraise
from twinproof.ledger import Ledger
from twinproof.memo import Memo
from twinproof.tdx.quote import parse_quote
from twinproof_devnet.certificate import new_key
from twinproof_devnet.host import TdxHost


def parts_of(quote: bytes) -> tuple[bytes, ...]:
    """Header and report, signature, key, QE report, its signature, QE authentication data, certificates."""
    parsed = parse_quote(quote)
    return (
        parsed.signed,
        parsed.signature,
        parsed.attestation_key,
        parsed.qe_report_raw,
        parsed.qe_report_signature,
        parsed.qe_auth_data,
        parsed.certification_data,
    )


def assembled(parts: tuple[bytes, ...]) -> bytes:
    """A version 4 quote of these parts, with lengths that are right."""
    signed, signature, key, qe_report, qe_signature, auth, chain = parts
    inner = qe_report + qe_signature + len(auth).to_bytes(2, "little") + auth
    inner += b"\x05\x00" + len(chain).to_bytes(4, "little") + chain
    data = signature + key + b"\x06\x00" + len(inner).to_bytes(4, "little") + inner
    return signed + len(data).to_bytes(4, "little") + data


def mixtures(one: bytes, other: bytes) -> Iterator[bytes]:
    """Every choice of the seven parts, the two originals among them."""
    for choice in product(*zip(parts_of(one), parts_of(other), strict=True)):
        yield assembled(choice)


def assert_nothing_new_is_proved(one: bytes, other: bytes, accepted: Callable[[bytes], bool]) -> None:
    """The accepted ones say what the originals say. One machine signs the same QE report in more than one way."""
    tried = set(mixtures(one, other))
    assert {one, other} <= tried
    verified = [parts_of(quote) for quote in tried if accepted(quote)]
    originals = [parts_of(one), parts_of(other)]
    assert {(*parts[:4], *parts[5:]) for parts in verified} == {(*parts[:4], *parts[5:]) for parts in originals}


@cache
def _good() -> tuple[Collateral, TrustRoot, Memo]:
    return Collateral.from_json(json.dumps(members())), TrustRoot.from_pem_or_der(pki().root.der), Memo()


def genuine(quote: bytes) -> bool:
    supplied, root, memo = _good()
    return appraise(quote, supplied, at=AT, root=root, ledger=Ledger(PLAN), memo=memo) is not None


def test_of_two_machines() -> None:
    other = TdxHost.create(pki(), AT, name="other")
    other = replace(other, td_qe=replace(other.td_qe, auth_data=b"another machine's QE data"))
    assert_nothing_new_is_proved(host().quote(TD, REPORT_DATA), other.quote(TD, bytes(64)), genuine)


def test_of_one_machine_whose_quoting_enclave_has_a_new_key() -> None:
    again = replace(host(), attestation_key=new_key(), td_qe=replace(host().td_qe, auth_data=b"later"))
    assert_nothing_new_is_proved(host().quote(TD, REPORT_DATA), again.quote(TD, bytes(64)), genuine)


def test_of_a_good_td_and_a_worse_one_on_the_same_machine() -> None:
    """Same quoting enclave, same key: nothing but the signature ties a report to it."""
    debug = replace(TD, td_attributes=TD.td_attributes | 1)
    assert_nothing_new_is_proved(host().quote(TD, REPORT_DATA), host().quote(debug, REPORT_DATA), genuine)


def _real_pairs() -> list[tuple[Json, Json]]:
    """Accepted version 4 TDX cases under the same collateral, so that one set judges all mixtures."""
    supplied = "tdx-B0C06F000000-2026-10-08-eval20"
    cases = [case for case in index()["cases"] if case["ok"] and case["collateral"] == supplied]
    return list(combinations([case for case in cases if case["quote"].startswith("tdx-v4-")], 2))


@pytest.mark.vectors
@pytest.mark.parametrize("pair", _real_pairs(), ids=lambda pair: f"{pair[0]['quote']}+{pair[1]['quote']}")
def test_of_two_real_quotes(pair: tuple[Json, Json]) -> None:
    one, other = (quote_bytes(case["quote"]) for case in pair)
    supplied = collateral(pair[0]["collateral"])
    now = max(case["now"] for case in pair)
    assert_nothing_new_is_proved(one, other, lambda quote: outcome(quote, supplied, now).accepted)
