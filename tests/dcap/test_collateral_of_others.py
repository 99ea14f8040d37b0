"""Every real quote under every real collateral: only what belongs together is ever accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorded import Json, collateral, index, outcome, quote_bytes

pytestmark = pytest.mark.vectors

ANOTHER_ROOT = ("dcap.pck_chain", "the chain ends at another root: got Intel SGX Root CA")
ANOTHER_ORDER = ("dcap.pck_chain", "the chain ends at another root: got Intel SGX PCK Processor CA")
NO_CERTIFICATES = ("dcap.certification_data", "the quote names its platform but brings no certificates")
REFUSED_EVERYWHERE = {
    "sgx-v3-00906EA10000-2a49ce72": ANOTHER_ROOT,
    "sgx-v3-00906EA10000-4e3f9fa7": ANOTHER_ROOT,
    "sgx-v3-00906EA10000-e9794f00": ANOTHER_ROOT,
    "sgx-v3-00906EA10000-6dc7792a": ANOTHER_ORDER,
    "sgx-v3-00906EA10000-7d63357d": ANOTHER_ORDER,
    "sgx-v3-00906EA10000-f4f27469": ("dcap.pck_chain", "the chain ends at another root: got not one of Intel's form"),
    "sgx-v3-none-2f59d4cb": NO_CERTIFICATES,
    "sgx-v3-none-72a05bf6": NO_CERTIFICATES,
    "sgx-v3-none-8cc428aa": NO_CERTIFICATES,
    "tdx-v4-20A06F000000-6f8e92b8": ("dcap.pck_chain", "not a readable X.509 certificate"),
    "tdx-v4-none-aa2cafad": ("dcap.pck_chain", "wrong number of certificates"),
}
"""Whatever the collateral and the time. The other root is Intel's own of before 2020: same name, key and serial, valid
until 2033, and not the certificate that is pinned here and stands in all collateral.
"""


def _moments() -> list[tuple[str, int]]:
    """One time for each collateral, at which all of it is valid."""
    return sorted({case["collateral"]: case["now"] for case in index()["cases"]}.items())


def _platform(listed: Json) -> tuple[str, str]:
    return ("TDX" if listed["tee_type"] else "SGX"), (listed["pck"] or {}).get("fmspc", "")


@pytest.mark.parametrize(("name", "now"), _moments(), ids=str)
def test_a_quote_is_accepted_under_its_own_platforms_collateral_only(name: str, now: int) -> None:
    about = next((about["tee"], about["fmspc"]) for about in index()["collateral"] if about["id"] == name)
    for listed in index()["quotes"]:
        got = outcome(quote_bytes(listed["id"]), collateral(name), now)
        assert not got.accepted or _platform(listed) == about


@pytest.mark.parametrize(
    "quote_id", [listed["id"] for listed in index()["quotes"] if listed["id"] in REFUSED_EVERYWHERE]
)
def test_a_quote_without_a_chain_that_can_be_believed_is_refused_everywhere(quote_id: str) -> None:
    step, reason = REFUSED_EVERYWHERE[quote_id]
    for name, now in _moments():
        got = outcome(quote_bytes(quote_id), collateral(name), now)
        assert (got.accepted, got.step) == (False, step)
        assert reason in got.reason


def test_every_quote_and_every_collateral_takes_part(vectors: Path) -> None:
    assert len(_moments()) == len(index()["collateral"]) == 40
    assert {listed["id"] for listed in index()["quotes"]} >= set(REFUSED_EVERYWHERE)
