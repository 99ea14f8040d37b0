"""The comparison as text, in the shape users of the toy example know: table, results, expected differences, verdict."""

from __future__ import annotations

from collections.abc import Sequence

from twinproof.comparison import Proof
from twinproof.names import short_source
from twinproof.report.chain_text import chain_sentence
from twinproof.report.layout import bullet, marked, paragraph, shorten, table
from twinproof.report.outcome import Failure, headline_text, outcome_text, proof_sentence
from twinproof.report.side_by_side import Named, expected_differences, having, open_checks, rows, titles
from twinproof.report.style import PLAIN, Style
from twinproof.report.verdict_text import (
    age_lines,
    channel_lines,
    check_lines,
    explained,
    hint_lines,
    not_checked_lines,
    policy_lines,
    simulated_line,
)
from twinproof.verdict import Status
from twinproof.verifier import Verdict
from twinproof.wire import shown

__all__ = ["heading", "proof_text"]


def heading(style: Style) -> str:
    """The title rule, printed before anything is fetched."""
    title = "TWINPROOF: do these machines run the same code?"
    return "\n".join((style.rule(double=True), f"  {style.paint(title, 'bold')}", style.rule(double=True))) + "\n"


def proof_text(
    proof: Proof | None,
    verdicts: Sequence[Verdict],
    failures: Sequence[Failure] = (),
    style: Style = PLAIN,
    *,
    now: int,
    explain: bool = False,
) -> str:
    """Everything after the fetching: `proof` is None when fewer than two instances could be judged."""
    named = list(zip(titles(verdicts), verdicts, strict=True))
    lines = _table_and_results(proof, named, style, explain=explain) if named else []
    if len(named) > 1:
        lines += ["", "EXPECTED DIFFERENCES", *_expected_differences(verdicts, proof, style)]
    for name, error in failures:
        lines += ["", *marked(Status.FAIL, f"{short_source(name)}: {error}", style)]
        lines += hint_lines(error.hint, style)
    return "\n".join([*lines, "", *_verdict(proof, failures, named, now, style)]) + "\n"


def _table_and_results(proof: Proof | None, named: Named, style: Style, *, explain: bool) -> list[str]:
    verdicts = [verdict for _, verdict in named]
    lines = [*table([name for name, _ in named], rows(verdicts), style), "", "RESULTS"]
    for name, verdict in named:
        for check in verdict.failures:
            lines += marked(Status.FAIL, f"{name}: {shorten(check.reason, style)} [{check.id}]", style)
            lines += hint_lines(check.hint, style)
    for (step_id, reason), who in having(Status.WARN, named).items():
        lines += marked(Status.WARN, f"{', '.join(who)}: {shorten(reason, style)} [{step_id}]", style)
    for check in proof.checks if proof is not None else ():
        if check.status is not Status.NOT_CHECKED:
            lines += check_lines(check, style)
            lines += explained(check, style) if explain else []
    return lines + (_explained_instances(named, style) if explain else [])


def _expected_differences(verdicts: Sequence[Verdict], proof: Proof | None, style: Style) -> list[str]:
    lines: list[str] = []
    drifts = {drift.register: drift for drift in (proof.drifts if proof is not None else ())}
    for label, values, reason in expected_differences(verdicts):
        short = " / ".join(style.ellipsis(text, 12) for text in values)
        lines += bullet("-", 1, f"{label}: {short} ({reason})", style)
        if label in drifts:
            lines += paragraph(f"{drifts[label].where}. {drifts[label].declared}.", style, indent=" " * 5)
    return lines or ["  none"]


def _explained_instances(named: Named, style: Style) -> list[str]:
    lines: list[str] = []
    for name, verdict in named:
        lines += ["", f"{shown(name, 200)}, check by check"]
        registers = verdict.claims.registers
        if registers:
            for register in ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3"):
                lines += paragraph(f"{register} {getattr(registers, register).hex()}", style)
        for check in verdict.checks:
            lines += check_lines(check, style)
            lines += explained(check, style)
    return lines


def _verdict(proof: Proof | None, failures: Sequence[Failure], named: Named, now: int, style: Style) -> list[str]:
    lines = [style.rule(double=True)]
    if proof is None or failures:
        lines.append(style.paint(outcome_text(proof, failures), "bold", "red"))
    else:
        colour = "green" if proof.complete else "yellow" if proof.exit_code == 0 else "red"
        lines.append(style.paint(headline_text(proof, failures), "bold", colour))
        lines += paragraph(shorten(proof_sentence(proof, named), style), style)
        if proof.exit_code == 0:
            lines += paragraph(shorten(chain_sentence(proof.verdicts), style), style)
        lines += age_lines(proof.verdicts, now, style)
        lines += channel_lines(proof.verdicts, style)
        if proof.simulated:
            lines += simulated_line({v.root.name for v in proof.verdicts if v.simulated}, style)
    if proof is not None:
        lines += not_checked_lines(open_checks(proof, named), style)
        lines += policy_lines(proof.verdicts[0].policy)
        challenge = proof.verdicts[0].evidence.challenge
        if challenge is not None:
            lines.append(f"  session {challenge.session.hex()}")
    lines.append(style.rule(double=True))
    return lines
