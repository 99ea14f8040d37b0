"""The contracts as they were at three commits of dstack: a proxy keeps the code that was current when it was made."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Generation"]


class Generation(StrEnum):
    """Named by a commit of dstack that has this interface; the newest one is the default everywhere."""

    FIRST = "04b6bed6"
    """Factory and initializer with five arguments; one-step ownership; no `version`, no TCB rule."""
    TCB = "7bf5bfb8"
    """And the forms with six arguments, `version`, `requireTcbUpToDate`."""
    AUDITED = "a3d862aa"
    """And two-step ownership, and PolicyChanged on every change by an owner."""

    @property
    def features(self) -> frozenset[str]:
        """The names of the marked blocks in contracts/*.vy that this generation has."""
        return _FEATURES[self]


_FEATURES = {
    Generation.FIRST: frozenset({"one-step"}),
    Generation.TCB: frozenset({"one-step", "tcb"}),
    Generation.AUDITED: frozenset({"two-step", "tcb", "policy"}),
}
