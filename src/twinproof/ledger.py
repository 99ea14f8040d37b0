"""The ledger turns numbered steps that raise into Checks; nothing in it can be skipped without being written down.

A verification opens a *group* (a straight line: the first failing step ends it) and runs its steps inside it. Steps of
the plan that were never reached appear as `not_checked (blocked by ...)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from twinproof.errors import EvidenceError, Refused
from twinproof.verdict import Check, Status, Step

__all__ = ["Ledger"]


class _GroupEndedError(Exception):
    """Leaves the straight line; the failure is already in the ledger."""


class Entry:
    """What a running step may add to its own Check: the bytes behind it, for `--explain`, or a warning."""

    def __init__(self) -> None:
        self.got = ""
        self.expected = ""
        self.warning = ""
        self.not_checked = ""
        self.detail: list[tuple[str, str]] = []

    def explain(self, name: str, value: str) -> None:
        self.detail.append((name, value))


class Ledger:
    """Collects the Checks of one verification, in the order of its plan."""

    def __init__(self, plan: Sequence[Step]) -> None:
        self._plan = {step.id: step for step in plan}
        if len(self._plan) != len(plan):
            raise ValueError("a plan names a step twice")
        self._done: dict[str, Check] = {}

    @contextmanager
    def group(self) -> Iterator[None]:
        """Run steps until the first one fails; the failure is recorded and does not leave the group."""
        with suppress(_GroupEndedError):
            yield

    @contextmanager
    def step(self, step_id: str) -> Iterator[Entry]:
        """Run one step: EvidenceError and Refused become a failed Check and end the group; anything else is a bug.

        Setting `entry.not_checked` inside the step records `not_checked` with that reason instead of a pass.
        """
        step = self._plan[step_id]
        if step_id in self._done:
            raise ValueError(f"step {step_id} ran twice")
        entry = Entry()
        try:
            yield entry
        except (EvidenceError, Refused) as error:
            self._done[step_id] = Check(
                step,
                Status.FAIL,
                reason=str(error),
                got=error.got or entry.got,
                expected=error.expected or entry.expected,
                error=type(error).__name__,
                detail=tuple(entry.detail),
            )
            raise _GroupEndedError from error
        status = Status.NOT_CHECKED if entry.not_checked else Status.WARN if entry.warning else Status.PASS
        self._done[step_id] = Check(
            step,
            status,
            reason=entry.not_checked or entry.warning,
            got=entry.got,
            expected=entry.expected,
            detail=tuple(entry.detail),
        )

    def not_checked(self, step_id: str, reason: str) -> None:
        """Record that a step did not run, and why. A reason is required: nothing is skipped in silence."""
        if not reason:
            raise ValueError(f"step {step_id}: not_checked needs a reason")
        if step_id in self._done:
            raise ValueError(f"step {step_id} ran twice")
        self._done[step_id] = Check(self._plan[step_id], Status.NOT_CHECKED, reason=reason)

    def passed(self, *step_ids: str) -> bool:
        """Whether every one of these steps ran and passed (a warning counts as passed)."""
        return all(
            step_id in self._done and self._done[step_id].status in (Status.PASS, Status.WARN) for step_id in step_ids
        )

    def failed(self, prefix: str) -> bool:
        """Whether any step whose id starts with `prefix` ran and failed."""
        return any(step_id.startswith(prefix) and check.status is Status.FAIL for step_id, check in self._done.items())

    def checks(self) -> tuple[Check, ...]:
        """Every step of the plan, in the plan's order, whether it ran or not."""
        failed = [check.step.id for check in self._done.values() if check.status is Status.FAIL]
        reason = f"blocked by {', '.join(failed)}" if failed else "blocked: an earlier step did not run"
        return tuple(
            self._done.get(step.id) or Check(step, Status.NOT_CHECKED, reason=reason) for step in self._plan.values()
        )
