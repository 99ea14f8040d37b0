"""`twinproof explain CHECK_ID`: what a check proves, why, what an attacker gains without it, and who demands it."""

from __future__ import annotations

import argparse
import json
from difflib import get_close_matches

from twinproof import comparison, verifier
from twinproof.cli.output import style_of
from twinproof.dstack import key_chain
from twinproof.errors import UsageError
from twinproof.report.layout import paragraph
from twinproof.report.style import Style
from twinproof.report.trust_links import LINKS, link_of
from twinproof.verdict import Question, Step
from twinproof.wire import shown

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    steps = {step.id: step for step in (*verifier.PLAN, *comparison.PLAN, *key_chain.PLAN)}
    style = style_of()
    if arguments.check is None:
        found = list(steps.values())
        print(json.dumps([_plain(step) for step in found], indent=1) if arguments.json else _list(found, style))
        return 0
    step = steps.get(arguments.check)
    if step is None:
        close = get_close_matches(arguments.check, steps, n=3, cutoff=0.4)
        raise UsageError(
            "no such check",
            got=shown(arguments.check),
            hint=f"perhaps {', '.join(close)}" if close else "`twinproof explain` lists them",
        )
    print(json.dumps(_plain(step), indent=1) if arguments.json else _text(step, style))
    return 0


def _plain(step: Step) -> dict[str, str]:
    return {
        "schema": "twinproof/explain/v1",
        "id": step.id,
        "title": step.title,
        "why": step.why,
        "source": step.source,
        "question": step.question.value,
        "link": _link(step),
    }


def _link(step: Step) -> str:
    """Its place in the chain of trust; none for what is between instances."""
    if step.id.startswith("compare."):
        return ""
    link_id = link_of(step.id)
    return next(link.holds for link in LINKS if link.id == link_id)


def _list(steps: list[Step], style: Style) -> str:
    width = max(len(step.id) for step in steps) + 2
    return "\n".join(style.ellipsis(f"{step.id.ljust(width)}{step.title}", style.width) for step in steps)


def _text(step: Step, style: Style) -> str:
    question = {
        Question.GENUINE: "is it genuine? A failure means that the evidence is not to be trusted (exit 3).",
        Question.WANTED: "is it what was wanted? A failure means genuine, but not that (exit 4).",
    }
    parts = [
        ("what holds when it passes", step.title),
        ("what an attacker gains without it", step.why),
        ("question", question[step.question]),
        ("part of the proof that", _link(step)),
        ("source", step.source),
        ("to demand it", f"--require {step.id}"),
    ]
    lines = [style.paint(step.id, "bold")]
    for name, text in parts:
        if text:
            lines += [f"  {name}", *paragraph(text, style, indent="      ")]
    return "\n".join(lines)
