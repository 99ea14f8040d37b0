"""What a worker of a batch does: one Verifier for its life, and for every item an exit code and a finished line.

Results are what the parent prints and counts, nothing more, so that little travels back.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

from twinproof.cli.settings import Settings
from twinproof.cli.supplied import SuppliedCollateral
from twinproof.dcap.second_opinion import SecondOpinion
from twinproof.errors import TwinproofError, Unavailable, UsageError
from twinproof.report.batch_text import error_json, error_line, verdict_json, verdict_line
from twinproof.report.style import Style
from twinproof.sources.batch_input import Item, bytes_of
from twinproof.sources.files import evidence_from_bytes
from twinproof.verifier import Verdict, Verifier
from twinproof.wire import shown

__all__ = ["Brief", "Judge", "Judged", "judge_items", "prepare"]


@dataclass(frozen=True, slots=True)
class Brief:
    """What every worker is told once. Without a `style` the lines are JSON."""

    settings: Settings
    collateral: SuppliedCollateral
    app_compose: str | None
    second_opinion: bool
    style: Style | None


@dataclass(frozen=True, slots=True)
class Judged:
    """One item's exit code, and its line without the end of line."""

    exit_code: int
    line: str

    def __reduce__(self) -> tuple[type[Judged], tuple[object, ...]]:
        """As for `Item`: it travels back for each of them."""
        return Judged, (self.exit_code, self.line)


class Judge:
    """Judges as `twinproof verify FILE` does, but never asks the network. Raises UsageError for a wrong brief."""

    def __init__(self, brief: Brief) -> None:
        self._brief = brief
        settings, opinion = brief.settings, _second_opinion() if brief.second_opinion else None
        self._verifier = Verifier(roots=settings.roots, policy=settings.policy, second_opinion=opinion)

    def judged(self, item: Item) -> Judged:
        """Whatever an item holds, it costs nobody else's result: a bug in judging it is reported as its error."""
        style = self._brief.style
        try:
            verdict = self._verdict(item)
            line = verdict_json(item.name, verdict) if style is None else verdict_line(item.name, verdict, style)
            return Judged(verdict.exit_code, line)
        except UsageError as error:  # one item of many: the command was not wrong
            told = {"where": error.where, "got": error.got, "expected": error.expected, "hint": error.hint}
            return self.failed(item, Unavailable(error.what, **told))
        except TwinproofError as error:
            return self.failed(item, error)
        except MemoryError:
            return self.failed(item, Unavailable("not enough memory to judge it", where=item.name))
        except Exception as error:  # noqa: BLE001  (reported, with exit code 1)
            if os.environ.get("TWINPROOF_DEBUG"):
                traceback.print_exc()
            what = f"bug: {type(error).__name__}: {shown(str(error), 1000)}"
            return self.failed(item, TwinproofError(what, where=item.name, hint="TWINPROOF_DEBUG=1 shows where"))

    def failed(self, item: Item, error: TwinproofError) -> Judged:
        """The result of an item without a verdict."""
        style = self._brief.style
        line = error_json(item.name, error) if style is None else error_line(item.name, error, style)
        return Judged(error.exit_code, line)

    def _verdict(self, item: Item) -> Verdict:
        brief = self._brief
        evidence = evidence_from_bytes(bytes_of(item), shown(item.name, 1000))
        if brief.app_compose is not None and evidence.app_compose is None:
            evidence = evidence.with_app_compose(brief.app_compose)
        if brief.collateral:
            evidence = evidence.with_collateral(brief.collateral.for_platform(evidence))
        if evidence.collateral is None:
            hint = "pass --collateral FILE: a batch fetches nothing"
            raise Unavailable("it brings no collateral to judge it by", where=item.name, hint=hint)
        return self._verifier.verify(evidence, at=brief.settings.time_for(evidence.fetched_at))


def _second_opinion() -> SecondOpinion:
    """Its process starts with the first question, and ends with this process."""
    from twinproof.sources.dcap_qvl import DcapQvl

    return DcapQvl()


_judge: ContextVar[Judge] = ContextVar("judge of this process")


def prepare(brief: Brief) -> None:
    """Once per process, before `judge_items`."""
    _judge.set(Judge(brief))


def judge_items(items: Sequence[Item]) -> Iterator[Judged]:
    """The results in the order of the items, each as soon as it is there."""
    judge = _judge.get()
    return (judge.judged(item) for item in items)
