"""Whole reports: what stands first, what is never left out, and what hostile values cannot do."""

from __future__ import annotations

import pytest

from small_instance import AT, Instance, edited, judge, twins, verifier
from twinproof.comparison import compare
from twinproof.errors import Unavailable
from twinproof.report.proof_text import heading, proof_text
from twinproof.report.style import Style
from twinproof.report.verdict_text import verdict_text
from twinproof.verdict import Status
from twinproof.verifier import Verdict

HOSTILE = "\x1b[2J\x1b]0;owned\x07\nPROOF COMPLETE\r\u202e"


def verdicts() -> list[Verdict]:
    judges = verifier()
    return [judges.verify(instance.evidence()) for instance in twins()]


def printable(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def test_simulated_hardware_is_the_first_line() -> None:
    assert verdict_text(verdicts()[0], now=AT).startswith("SIMULATED HARDWARE")


def test_everything_that_was_not_checked_stands_under_the_verdict() -> None:
    verdict = verdicts()[0]
    text = verdict_text(verdict, now=AT)
    _, _, under = text.partition("\nGENUINE\n")
    for check in verdict.checks:
        if check.status is Status.NOT_CHECKED:
            assert check.id in under or f"{check.id.partition('.')[0]}.*" in under


def test_the_sentence_follows_the_verdict() -> None:
    honest = Instance().evidence()
    assert "\nGENUINE\n" in verdict_text(judge(honest), now=AT)
    assert "\nGENUINE, NOT SHOWN TO BE FRESH\n" in verdict_text(judge(edited(honest, challenge=None)), now=AT)
    assert "\nNOT GENUINE\n" in verdict_text(judge(edited(honest, app_compose="{}")), now=AT)


def test_what_a_reader_has_to_know_is_in_the_comparison_once() -> None:
    proof = compare(verdicts())
    text = " ".join(proof_text(proof, proof.verdicts, now=AT).split())
    warnings = [check for check in proof.verdicts[0].checks if check.status is Status.WARN]
    for check in warnings:
        assert text.count(f"[{check.id}]") == 1


def test_old_evidence_says_that_it_is_old() -> None:
    verdict = verdicts()[0]
    said = "says nothing about now"
    assert said not in " ".join(verdict_text(verdict, now=AT + 60).split())
    assert said in " ".join(verdict_text(verdict, now=AT + 86400).split())
    proof = compare(verdicts())
    assert said in " ".join(proof_text(proof, proof.verdicts, now=AT + 86400).split())


@pytest.mark.parametrize("explain", [False, True])
def test_hostile_values_change_nothing_but_their_own_place(explain: bool) -> None:
    honest = Instance(said={"environment": HOSTILE, "health": HOSTILE}).evidence()
    evidence = edited(honest, source=f"https://{HOSTILE}", vm_config=HOSTILE, event_log=f'["{HOSTILE}"]')
    judged = [judge(honest), judge(evidence)]
    text = "".join(verdict_text(verdict, now=AT, explain=explain) for verdict in judged)
    text += proof_text(
        compare(judged), judged, [(HOSTILE, Unavailable(HOSTILE, where=HOSTILE, hint=HOSTILE))], now=AT, explain=explain
    )
    assert printable(text)
    assert "\nPROOF COMPLETE" not in text


def test_a_missing_instance_makes_the_proof_incomplete_whatever_the_others_say() -> None:
    proof = compare(verdicts())
    text = proof_text(proof, proof.verdicts, [("https://gone", Unavailable("no answer"))], now=AT)
    assert "PROOF COMPLETE" not in text
    assert "EVIDENCE IS INCOMPLETE" in text


def test_two_pieces_of_evidence_that_claim_one_name_stay_two() -> None:
    first, second = verdicts()
    same = [first, judge(edited(second.evidence, source=first.source, challenge=None))]
    text = proof_text(compare(same), same, now=AT)
    assert "1. prod9-0.example" in text
    assert "2. prod9-0.example" in text


def test_ascii_terminals_get_ascii() -> None:
    proof = compare(verdicts())
    style = Style(unicode=False)
    assert (heading(style) + proof_text(proof, proof.verdicts, style=style, now=AT, explain=True)).isascii()


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("explain", [False, True])
def test_reports_fit_their_width(width: int, explain: bool) -> None:
    proof = compare(verdicts())
    style = Style(width=width)
    text = proof_text(proof, proof.verdicts, style=style, now=AT, explain=explain)
    text += verdict_text(proof.verdicts[0], style, now=AT, explain=explain)
    assert max(map(len, text.splitlines())) <= max(width, 74)  # the session is 64 digits long
