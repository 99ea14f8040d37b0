"""What a verification says: a list of Checks, one for every step of the plan, whether it ran or not."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

__all__ = ["Check", "Parts", "Question", "Status", "Step"]


class Status(StrEnum):
    """`not_checked` is never a pass, is always printed, and always has a reason."""

    PASS = "pass"  # noqa: S105  (a status, not a password)
    FAIL = "fail"
    WARN = "warn"
    NOT_CHECKED = "not_checked"


class Question(StrEnum):
    """Genuine and wanted are different questions, with different errors and exit codes."""

    GENUINE = "genuine"
    WANTED = "wanted"


class Step(NamedTuple):
    """One line of a verification plan.

    `id` is stable and part of the interface (`dcap.pck_chain`); `title` says what holds when it passes; `why` says what
    an attacker gains without it; `source` names the specification that demands it.
    """

    id: str
    title: str
    why: str
    source: str
    question: Question = Question.GENUINE


Parts = tuple[tuple[str, tuple[str | bytes, ...]], ...]
"""Names, and the texts and bytes behind them."""


class Check(NamedTuple):
    """The outcome of one Step. `error` is the name of the error class when the status is `fail`.

    A named tuple, because a verification makes dozens: it is as unchangeable as the frozen classes around it, and made
    in a quarter of the time.
    """

    step: Step
    status: Status
    reason: str = ""
    got: str = ""
    expected: str = ""
    error: str = ""
    parts: Parts = ()
    """Names and what stands behind them, for `--explain`: texts and the exact bytes, as they were when it ran."""
    hint: str = ""
    """For a failure, the mistake that people really make."""

    @property
    def id(self) -> str:
        return self.step.id

    @property
    def detail(self) -> tuple[tuple[str, str], ...]:
        """`parts` in print: bytes as hex."""
        return tuple(
            (name, "".join(part if isinstance(part, str) else part.hex() for part in parts))
            for name, parts in self.parts
        )

    @property
    def passed(self) -> bool:
        """It ran, and it holds; a warning adds something to know, and takes nothing away."""
        return self.status is Status.PASS or self.status is Status.WARN

    def to_json(self) -> dict[str, object]:
        return {
            "id": self.step.id,
            "title": self.step.title,
            "question": self.step.question.value,
            "status": self.status.value,
            "reason": self.reason,
            "got": self.got,
            "expected": self.expected,
            "error": self.error,
            "hint": self.hint,
            "why": self.step.why,
            "source": self.step.source,
            "detail": dict(self.detail),
        }
