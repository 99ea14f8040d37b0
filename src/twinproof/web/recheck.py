"""A re-check from the page: one at a time, of instances that were configured, and only for those who have the token."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

__all__ = ["PAUSE", "Busy", "Recheck", "Rechecked", "RecheckedInstance"]

PAUSE = 10
"""Seconds from the end of one re-check to the start of the next."""


@dataclass(frozen=True, slots=True)
class RecheckedInstance:
    """What came of one instance. `status` is a Status's value, or `info` while it is asked; `entry` is its number."""

    name: str
    status: str = "info"
    text: str = "not asked yet"
    entry: int | None = None


@dataclass(frozen=True, slots=True)
class Rechecked:
    """What a re-check came to: its outcome and exit code in the words of `compare`, and what was not archived."""

    instances: tuple[RecheckedInstance, ...]
    outcome: str
    exit_code: int
    not_archived: str = ""


@dataclass(frozen=True, slots=True)
class _State:
    state: str
    instances: tuple[RecheckedInstance, ...]
    done: int = 0
    started_at: int | None = None
    finished_at: int | None = None
    outcome: str = ""
    exit_code: int | None = None
    error: str = ""


class Busy(Exception):
    """Not now. `wait` is in seconds, 0 while one is running."""

    def __init__(self, wait: int) -> None:
        super().__init__("a re-check is running" if not wait else f"the last re-check ended less than {PAUSE} s ago")
        self.wait = wait


class Recheck:
    """The one re-check of a server, and its state.

    `ask(told)` asks, judges and archives; it calls `told(name)` for each answer.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        ask: Callable[[Callable[[str], None]], Rechecked],
        *,
        token: str,
        clock: Callable[[], int],
    ) -> None:
        self._ask, self._token, self._clock = ask, token.encode(), clock
        self._lock = threading.Lock()
        self._state = _State("idle", tuple(RecheckedInstance(name) for name in names))

    def knows(self, token: str) -> bool:
        """In a time that does not tell how much of it is right."""
        return hmac.compare_digest(token.encode(errors="replace"), self._token)

    def start(self) -> None:
        """Begin in a thread of its own, which ends by the deadlines of its requests. Raises Busy."""
        with self._lock:
            now, last = self._clock(), self._state.finished_at
            if self._state.state == "running":
                raise Busy(0)
            if last is not None and 0 <= now - last < PAUSE:  # a clock that was set back stops nobody for long
                raise Busy(PAUSE - (now - last))
            asked = tuple(RecheckedInstance(item.name, text="asking") for item in self._state.instances)
            self._state = _State("running", asked, started_at=now)
        threading.Thread(target=self._run, name="re-check", daemon=True).start()

    def _run(self) -> None:
        try:
            found = self._ask(self._told)
        except Exception as error:  # noqa: BLE001  (shown on the page: the server goes on)
            self._end(error=str(error) or type(error).__name__, outcome="NOT RE-CHECKED", exit_code=1)
        else:
            self._end(
                instances=found.instances,
                outcome=found.outcome,
                exit_code=found.exit_code,
                error=found.not_archived,
            )

    def _told(self, name: str) -> None:
        with self._lock:
            shown = tuple(
                replace(item, text="answered, being judged") if item.name == name else item
                for item in self._state.instances
            )
            self._state = replace(self._state, instances=shown, done=self._state.done + 1)

    def _end(
        self,
        *,
        outcome: str,
        exit_code: int,
        error: str,
        instances: tuple[RecheckedInstance, ...] | None = None,
    ) -> None:
        with self._lock:
            shown = instances or tuple(
                replace(item, status="not_checked", text="nothing was judged") for item in self._state.instances
            )
            self._state = replace(
                self._state,
                state="done",
                instances=shown,
                done=len(shown),
                finished_at=self._clock(),
                outcome=outcome,
                exit_code=exit_code,
                error=error,
            )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(item.name for item in self._state.instances)

    def document(self) -> dict[str, object]:
        """The state for the page and for machines. The token is not in it."""
        with self._lock:
            state = self._state
        return {**asdict(state), "total": len(state.instances)}
