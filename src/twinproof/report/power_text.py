"""`twinproof power` as text and as JSON: who can change what runs, and what shows it."""

from __future__ import annotations

from collections.abc import Sequence

from twinproof.chain.power import Power, power_facts, power_sentence
from twinproof.report.layout import bullet, capital, paragraph
from twinproof.report.style import Style
from twinproof.verdict import Status

__all__ = ["power_json", "power_text"]

SCHEMA = "twinproof/power/v1"


def power_text(power: Power, *, chain_id: int, whose: str, dissent: Sequence[tuple[str, str]], style: Style) -> str:
    """The whole report, with its last line break."""
    lines = [
        style.rule(double=True),
        style.paint("  TWINPROOF: who can change what runs as this app?", "bold"),
        style.rule(double=True),
        f"  app 0x{power.app_id.hex()}",
        *paragraph(f"chain {chain_id}: {whose}", style),
        "",
    ]
    mark_width = 6 if style.unicode else 4
    for fact in power_facts(power):
        status = Status.WARN if fact.concern else Status.PASS
        lines += bullet(style.mark(status), mark_width, f"{fact.question}: {fact.answer}", style)
        lines += [style.paint(line, "dim") for line in paragraph(f"[{fact.shown_by}]", style, " " * (mark_width + 4))]
    for name, reason in dissent:
        lines += bullet(style.mark(Status.WARN), mark_width, f"endpoint {name} {reason}", style)
    lines += [
        style.rule(double=True),
        *(style.paint(line, "bold") for line in paragraph(f"{capital(power_sentence(power))}.", style, "")),
        style.rule(double=True),
    ]
    return "\n".join(lines) + "\n"


def power_json(
    power: Power, *, chain_id: int, block: int, whose: str, proved: bool, dissent: Sequence[tuple[str, str]]
) -> dict[str, object]:
    """Schema `twinproof/power/v1`."""
    return {
        "schema": SCHEMA,
        "chain_id": chain_id,
        "block": block,
        "app_id": f"0x{power.app_id.hex()}",
        "proved": proved,
        "whose_word": whose,
        "owner": f"0x{power.owner.address.hex()}",
        "owner_kind": power.owner.kind.value,
        "one_key_decides": power.owner.alone,
        "facts": [
            {
                "name": fact.name,
                "question": fact.question,
                "answer": fact.answer,
                "shown_by": fact.shown_by,
                "concern": fact.concern,
            }
            for fact in power_facts(power)
        ],
        "dissent": [{"endpoint": name, "reason": reason} for name, reason in dissent],
        "sentence": power_sentence(power),
    }
