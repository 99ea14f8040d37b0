"""The ledger turns numbered steps that raise into Checks; nothing in it can be skipped without being written down.

A verification opens a *line* and runs steps in it, one after the other: beginning a step ends the one before, which
passed unless it said otherwise, and the first that fails ends the line. Steps of the plan that were never reached, or
never ended, appear as `not_checked (blocked by ...)`.

One verification runs some fifty steps, so a step makes no object of its own, and a Check that says nothing but its
outcome is made once per plan and shared: Checks cannot be changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from types import TracebackType
from typing import Self, overload

from twinproof.errors import EvidenceError, Refused
from twinproof.verdict import Check, Parts, Status, Step

__all__ = ["Ledger", "Line", "Plan", "Unwritten"]

_MOST_SHARED = 512
_PASS, _FAIL, _WARN, _NOT_CHECKED = Status.PASS, Status.FAIL, Status.WARN, Status.NOT_CHECKED
_new = tuple.__new__  # of all eight members of a Check, without the call in Python that their defaults cost


class Plan(Sequence[Step]):
    """The steps of a verification, in their order. Raises ValueError for a step named twice."""

    __slots__ = ("_not_checked", "_parts", "begun", "in_order", "passed", "steps")

    def __init__(self, steps: Iterable[Step]) -> None:
        listed = tuple(steps)
        self.steps: dict[str, Step] = {step.id: step for step in listed}
        if len(self.steps) != len(listed):
            raise ValueError("a plan names a step twice")
        self.passed: dict[str, Check] = {step.id: Check(step, _PASS) for step in listed}
        """For each step, the Check of a pass with nothing to add."""
        self.begun: dict[str, Check] = {step.id: Check(step, _NOT_CHECKED, reason="did not end") for step in listed}
        """For each step, what stands in its place while it runs."""
        self.in_order: Callable[[Mapping[str, Check]], tuple[Check, ...]] = _in_order(tuple(self.steps))
        """The Checks of all steps, in the order of the plan."""
        self._not_checked: dict[tuple[str, str], Check] = {}
        self._parts: dict[tuple[tuple[str, ...], str], dict[str, Check]] = {}

    @overload
    def __getitem__(self, index: int) -> Step: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Step]: ...
    def __getitem__(self, index: int | slice) -> Step | Sequence[Step]:
        return tuple(self.steps.values())[index]

    def __len__(self) -> int:
        return len(self.steps)

    def not_checked(self, step_id: str, reason: str) -> Check:
        """The Check of a step that did not run. Reasons are few, so most are shared; the memory is bounded."""
        key = step_id, reason
        check = self._not_checked.get(key)
        if check is None:
            check = Check(self.steps[step_id], _NOT_CHECKED, reason=reason)
            if len(self._not_checked) < _MOST_SHARED:
                self._not_checked[key] = check
        return check

    def none_checked(self, step_ids: tuple[str, ...], reason: str) -> dict[str, Check]:
        """The same for a whole part of the plan: one look-up, however many steps it has."""
        key = step_ids, reason
        checks = self._parts.get(key)
        if checks is None:
            checks = {step_id: self.not_checked(step_id, reason) for step_id in step_ids}
            if len(self._parts) < _MOST_SHARED:
                self._parts[key] = checks
        return checks


def _in_order(step_ids: tuple[str, ...]) -> Callable[[Mapping[str, Check]], tuple[Check, ...]]:
    if len(step_ids) > 1:
        return itemgetter(*step_ids)
    return lambda done: tuple([done[step_id] for step_id in step_ids])


class Line:
    """Steps in a straight line, and what the running one may add to its Check: a warning, or the bytes behind it."""

    __slots__ = ("_at", "_done", "_failed", "_plan", "expected", "got", "not_checked", "parts", "warning")

    def __init__(self, plan: Plan, done: dict[str, Check], failed: list[str], step_id: str) -> None:
        self._plan, self._done, self._failed = plan, done, failed
        self.got = self.expected = self.warning = self.not_checked = ""
        self.parts: Parts = ()
        if step_id in done:
            raise ValueError(f"step {step_id} ran twice")
        done[step_id] = plan.begun[step_id]
        self._at = step_id

    def step(self, step_id: str) -> None:
        """End the step before, and begin this one.

        EvidenceError and Refused from here on are its failure, and end the line. Setting `not_checked` makes it a step
        that did not run, with that reason. Raises ValueError for a step that was recorded before, KeyError for one that
        is not of this plan.
        """
        done, plan = self._done, self._plan
        if self.got or self.expected or self.parts or self.not_checked or self.warning:
            done[self._at] = self._outcome()
            self.got = self.expected = self.warning = self.not_checked = ""
            self.parts = ()
        else:
            done[self._at] = plan.passed[self._at]
        if step_id in done:
            raise ValueError(f"step {step_id} ran twice")
        done[step_id] = plan.begun[step_id]
        self._at = step_id

    def adopt(self, checks: Mapping[str, Check], step_id: str) -> None:
        """End the step before, record steps that were judged just now by the Checks they had before, begin this one.

        For steps that hold, and whose Checks say nothing but what the same bytes said before. This saves writing them
        down again, not judging them.
        """
        self.step(step_id)
        if not self._done.keys().isdisjoint(checks):
            raise ValueError(f"a step of {', '.join(checks)} ran twice")
        self._done.update(checks)

    def explain(self, name: str, *parts: str | bytes) -> None:
        """Texts and bytes that belong together; they are put into words (bytes as hex) when somebody reads them."""
        self.parts += ((name, parts),)

    def _outcome(self) -> Check:
        step = self._plan.steps[self._at]
        if self.not_checked:
            return _new(Check, (step, _NOT_CHECKED, self.not_checked, self.got, self.expected, "", self.parts, ""))
        status = _WARN if self.warning else _PASS
        return _new(Check, (step, status, self.warning, self.got, self.expected, "", self.parts, ""))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """Write the outcome down. An error that is no verdict is a bug: it passes through, and nothing is recorded."""
        if error is None:
            said = self.got or self.expected or self.parts or self.not_checked or self.warning
            self._done[self._at] = self._outcome() if said else self._plan.passed[self._at]
        elif isinstance(error, EvidenceError | Refused):
            self._done[self._at] = self._failure(error)
            self._failed.append(self._at)
            return True
        else:
            del self._done[self._at]
        return False

    def _failure(self, error: EvidenceError | Refused) -> Check:
        return Check(
            self._plan.steps[self._at],
            _FAIL,
            reason=str(error),
            got=error.got or self.got,
            expected=error.expected or self.expected,
            error=type(error).__name__,
            parts=self.parts,
            hint=error.hint,
        )


class Unwritten:
    """A line on which nothing is written: steps that run on it are judged, and their Checks are adopted afterwards."""

    __slots__ = ("expected", "got", "not_checked")
    got: str
    expected: str
    not_checked: str

    def step(self, step_id: str) -> None:
        """Nothing to write down; what a step raises passes through."""

    def explain(self, name: str, *parts: str | bytes) -> None:
        """Said by the Check that is adopted."""


class Ledger:
    """Collects the Checks of one verification, in the order of its plan."""

    __slots__ = ("_done", "_failed", "_plan")

    def __init__(self, plan: Sequence[Step]) -> None:
        self._plan = plan if isinstance(plan, Plan) else Plan(plan)
        self._done: dict[str, Check] = {}
        self._failed: list[str] = []

    def line(self, step_id: str) -> Line:
        """Run steps, of which this is the first, until one fails; the failure is recorded and does not leave the line.

        A question of its own is a line of one step.
        """
        return Line(self._plan, self._done, self._failed, step_id)

    def holds(self, step_id: str, got: str = "", expected: str = "", parts: Parts = ()) -> None:
        """Record a step that passed: a line of its own, for the many that have nothing more to say."""
        if step_id in self._done:
            raise ValueError(f"step {step_id} ran twice")
        plan = self._plan
        self._done[step_id] = (
            _new(Check, (plan.steps[step_id], _PASS, "", got, expected, "", parts, ""))
            if got or expected or parts
            else plan.passed[step_id]
        )

    def not_checked(self, step_id: str, reason: str, *, got: str = "", expected: str = "") -> None:
        """Record that a step did not run, and why. A reason is required: nothing is skipped in silence."""
        if not reason:
            raise ValueError(f"step {step_id}: not_checked needs a reason")
        if step_id in self._done:
            raise ValueError(f"step {step_id} ran twice")
        self._done[step_id] = (
            _new(Check, (self._plan.steps[step_id], _NOT_CHECKED, reason, got, expected, "", (), ""))
            if got or expected
            else self._plan.not_checked(step_id, reason)
        )

    def none_checked(self, step_ids: tuple[str, ...], reason: str) -> None:
        """The same for a part of the plan of which no step ran."""
        if not reason:
            raise ValueError(f"steps {', '.join(step_ids)}: not_checked needs a reason")
        checks = self._plan.none_checked(step_ids, reason)
        if not self._done.keys().isdisjoint(checks):
            raise ValueError(f"a step of {', '.join(step_ids)} ran twice")
        self._done.update(checks)

    def adopt(self, checks: Mapping[str, Check]) -> None:
        """Record steps that ran before, over the same bytes to the last one, with the Checks that they had then."""
        if not self._done.keys().isdisjoint(checks):
            raise ValueError(f"a step of {', '.join(checks)} ran twice")
        self._done.update(checks)

    def recorded(self, step_ids: Iterable[str]) -> dict[str, Check]:
        """The Checks of these steps, all of which have ended."""
        return {step_id: self._done[step_id] for step_id in step_ids}

    def not_checked_yet(self, step_ids: Iterable[str], reason: str) -> None:
        """The same for those of these steps that did not run before."""
        for step_id in step_ids:
            if step_id not in self._done:
                self.not_checked(step_id, reason)

    def passed(self, *step_ids: str) -> bool:
        """Whether every one of these steps ran and passed (a warning counts as passed)."""
        for step_id in step_ids:
            check = self._done.get(step_id)
            if check is None:
                return False
            status = check.status
            if status is not _PASS and status is not _WARN:
                return False
        return True

    def failed(self, prefix: str) -> bool:
        """Whether any step whose id starts with `prefix` ran and failed."""
        return bool(self._failed) and any(step_id.startswith(prefix) for step_id in self._failed)

    def checks(self) -> tuple[Check, ...]:
        """Every step of the plan, in the plan's order, whether it ran or not."""
        done, steps = self._done, self._plan.steps
        if len(done) < len(steps):
            failed = ", ".join(self._failed)
            reason = f"blocked by {failed}" if failed else "blocked: an earlier step did not run"
            return tuple(done.get(step_id) or self._plan.not_checked(step_id, reason) for step_id in steps)
        return self._plan.in_order(done)
