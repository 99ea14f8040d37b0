"""One line per item of a batch: for people, or one JSON document per line."""

from __future__ import annotations

import json

from twinproof.errors import TwinproofError
from twinproof.report.layout import shorten
from twinproof.report.style import Style
from twinproof.report.verdict_text import verdict_sentence
from twinproof.verdict import Status
from twinproof.verifier import Verdict
from twinproof.wire import shown

__all__ = ["error_json", "error_line", "verdict_json", "verdict_line"]

MAX_NAME = 1000
MAX_LINE = 4000


def verdict_line(name: str, verdict: Verdict, style: Style) -> str:
    """`mark  name  sentence  TCB status  first failing check`, cut to the style's width."""
    text = f"{shown(name, MAX_NAME)}  {verdict_sentence(verdict)}  {verdict.tcb_status or '-'}"
    failures = verdict.failures
    if failures:
        first = failures[0]
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        hint = f" (hint: {first.hint})" if first.hint else ""
        text += f"  {first.id}: {shorten(first.reason, style)}{more}{hint}"
    return _line(Status.PASS if verdict.accepted else Status.FAIL, text, style)


def error_line(name: str, error: TwinproofError, style: Style) -> str:
    """An item without a verdict, and why there is none."""
    text = f"{shown(name, MAX_NAME)}  NO VERDICT  -  {type(error).__name__}: {error}"
    return _line(Status.FAIL, text + (f" (hint: {error.hint})" if error.hint else ""), style)


def verdict_json(name: str, verdict: Verdict) -> str:
    """The verdict's JSON, and first in it the item's name and its exit code."""
    return json.dumps({"item": shown(name, MAX_NAME), "exit_code": verdict.exit_code, **verdict.to_json()})


def error_json(name: str, error: TwinproofError) -> str:
    return json.dumps(
        {
            "item": shown(name, MAX_NAME),
            "exit_code": error.exit_code,
            "schema": "twinproof/no-verdict/v1",
            "error": type(error).__name__,
            "message": shown(str(error), MAX_LINE),
            "hint": error.hint,
        }
    )


def _line(status: Status, text: str, style: Style) -> str:
    width = style.width - 2 - (6 if style.unicode else 4)
    return f"{style.mark(status)}  {style.ellipsis(shown(text, MAX_LINE), width)}"
