"""A whole instance: quote, statement, event log, compose file, policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import cast

from bench.quotes import ecdsa_turn
from bench.results import Bar, Section
from bench.rounds import Turn, in_turns, ratio
from bench.simulated import Platform
from twinproof.evidence.evidence import Evidence
from twinproof.verifier import PLAN, Verifier

__all__ = ["measure"]

NUMBER = 100
METHOD = """\
An instance of the toy example on a known platform answers with a fresh quote over a fresh statement for a fresh nonce;
its event log, VM configuration and compose file come with it, and the Verdict holds every check of the plan. In the
first row one running instance is asked again and again: its texts and registers are ones that were judged before, so
the Checks that depend on nothing else are found by exactly these bytes, while quote, statement, nonce, times and policy
are judged each time. In the second, every answer is of another instance of the same image, with an event log of its
own that is read and replayed; image, configuration and compose file are known."""


def _turn(name: str, verifier: Verifier, make: Callable[[], list[Evidence]]) -> Turn:
    def run(inputs: Sequence[object]) -> None:
        for evidence in cast("Sequence[Evidence]", inputs):
            if not verifier.verify(evidence).accepted:
                raise AssertionError("a good instance was refused")

    return Turn(name, NUMBER, make, run)


def measure(rounds: int) -> list[Section]:
    platform = Platform.create()
    verifier, collateral = Verifier(roots=(platform.root,)), platform.collateral()
    turns = [
        ecdsa_turn(platform),
        _turn("twinproof, an instance asked again", verifier, lambda: platform.instances(NUMBER, collateral)),
        _turn(
            "twinproof, another instance each time",
            verifier,
            lambda: platform.instances(NUMBER, collateral, other_boots=True),
        ),
    ]
    figures = in_turns(turns, rounds)
    ecdsa, again, other = figures
    unit, asked_again = median(ecdsa.seconds), median(again.seconds)
    return [
        Section(
            "One instance",
            METHOD,
            [figure.to_json("µs") for figure in figures],
            [
                Bar("a whole instance on a known platform, against one ECDSA verification", ratio(again, ecdsa), 2.5),
                Bar("the same for another instance each time", ratio(other, ecdsa), 2.5),
            ],
            [
                (
                    f"A Verdict is {len(PLAN)} checks, each written down with what was found. Beyond the one signature,"
                    f" a check of the first row takes {(asked_again - unit) / len(PLAN) * 1e6:.1f} µs on average; the"
                    f" bar would be {1.5 * unit / len(PLAN) * 1e6:.1f} µs."
                ),
            ],
        )
    ]
