"""The chain of one key as text: the sentence, whose key it is, every check, and what it all does not prove."""

from __future__ import annotations

from twinproof.dstack.key_chain import DOES_NOT_PROVE, PROVES, KeyVerdict
from twinproof.report.layout import marked, paragraph
from twinproof.report.style import PLAIN, Style
from twinproof.report.verdict_text import check_lines, explained, not_checked_lines
from twinproof.verdict import Status
from twinproof.wire import shown

__all__ = ["key_sentence", "key_text"]


def key_sentence(verdict: KeyVerdict) -> str:
    if verdict.proved:
        return "THE PINNED KMS VOUCHES FOR THIS KEY"
    return "NOT GENUINE" if verdict.failures else "NOT PROVED: NO KMS ROOT IS PINNED"


def key_text(verdict: KeyVerdict, style: Style = PLAIN, *, explain: bool = False) -> str:
    """The whole report of `twinproof key`. Nothing of a secret key is in it."""
    lines = [style.rule(double=True), *paragraph(shown(verdict.source, 200), style), style.rule(double=True)]
    for name, value in _facts(verdict):
        lines += paragraph(f"{name.ljust(12)}{shown(value, 1000)}", style)
    if verdict.app_key and not verdict.proved:
        lines += paragraph("App key and KMS root are what the signatures recover to, and not proved.", style)
    lines += ["", "WHO VOUCHES FOR IT?"]
    for check in verdict.checks:
        if check.status is not Status.NOT_CHECKED:
            lines += check_lines(check, style)
        elif explain:
            lines += marked(check.status, check.id, style)
        lines += explained(check, style) if explain else []
    lines += ["", style.rule()]
    lines += [style.paint(key_sentence(verdict), "bold", "green" if verdict.proved else "red")]
    if verdict.proved:
        lines += paragraph(f"Proved: {PROVES}.", style)
    lines += paragraph(f"Not proved: {DOES_NOT_PROVE}.", style)
    open_checks = ((check.id, check.reason) for check in verdict.checks if check.status is Status.NOT_CHECKED)
    return "\n".join([*lines, *not_checked_lines(open_checks, style)]) + "\n"


def _facts(verdict: KeyVerdict) -> list[tuple[str, str]]:
    facts = [("App id", verdict.app_id.hex())]
    if verdict.answer:
        answer = verdict.answer
        facts.append(("Answer", f"{answer.method}, {answer.algorithm}, purpose {verdict.purpose or '(none)'}"))
        facts.append(("Public key", answer.public_key.hex()))
    facts += [("App key", verdict.app_key.hex())] if verdict.app_key else []
    facts += [("KMS root", verdict.root.hex())] if verdict.root else []
    return facts
