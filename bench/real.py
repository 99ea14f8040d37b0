"""Real quotes, where they lie beside the repository: the same comparison on evidence that Intel's hardware signed."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.quotes import appraised, cold, quote_turn
from bench.results import Bar, Section
from bench.rounds import Turn, in_turns, ratio
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import INTEL_SGX_ROOT_CA
from twinproof.memo import Memo

__all__ = ["measure"]

NUMBER = 40
VECTORS = Path(__file__).resolve().parents[2] / "shared" / "vectors" / "dcap"
METHOD = """\
Accepted TDX quotes of version 4 from public sources, with Intel's collateral of their time, verified under Intel's root
at the time recorded with them. There is one quote of each kind, so the \"known\" row verifies the same quote again and
again: its own signature is checked every time, everything else was seen before."""


def _cases() -> list[dict[str, Any]]:
    directory = Path(os.environ["TWINPROOF_VECTORS"], "dcap") if "TWINPROOF_VECTORS" in os.environ else VECTORS
    if not (directory / "index.json").is_file():
        return []
    index = json.loads((directory / "index.json").read_text(encoding="utf-8"))
    accepted = [case for case in index["cases"] if case["ok"] and case["id"].startswith("tdx-v4")]
    latest = {case["quote"]: case for case in accepted}  # the last collateral of each quote
    return [
        case
        | {
            "bytes": (directory / "quotes" / f"{case['quote']}.bin").read_bytes(),
            "text": (directory / "collateral" / f"{case['collateral']}.json").read_text(encoding="utf-8"),
        }
        for case in latest.values()
    ]


def measure(rounds: int) -> list[Section]:
    cases = _cases()
    if not cases:
        return []
    case = max(cases, key=lambda case: case["now"])
    quote, at, text = case["bytes"], case["now"], case["text"]
    qvl = import_module("dcap_qvl")
    theirs = qvl.QuoteCollateralV3.from_json(text)
    collateral = Collateral.from_json(text)

    def quotes() -> Sequence[object]:
        return [quote] * NUMBER

    turns: list[Turn] = [
        quote_turn("twinproof, known platform", quotes, NUMBER, appraised(collateral, INTEL_SGX_ROOT_CA, at, Memo())),
        quote_turn("twinproof, cold", quotes, NUMBER, cold(collateral, INTEL_SGX_ROOT_CA, at)),
        quote_turn(
            "dcap-qvl (Rust, from Python)", quotes, NUMBER, lambda quote: qvl.verify(quote, theirs, at) and None
        ),
    ]
    figures = in_turns(turns, rounds)
    known, cold_figure, rust = figures
    return [
        Section(
            "One real quote",
            METHOD,
            [figure.to_json("µs") for figure in figures],
            [
                Bar(
                    "a real quote of a known platform, so many times faster than dcap-qvl",
                    ratio(rust, known),
                    5,
                    at_least=True,
                ),
                Bar("a real quote with nothing remembered, against dcap-qvl", ratio(cold_figure, rust), 1.2),
            ],
        )
    ]
