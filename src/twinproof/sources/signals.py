"""SIGINT and SIGTERM as something to look at and to wait for, so that what is being written is written to its end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from types import FrameType

__all__ = ["Signalled", "until_a_signal"]


class Signalled:
    """Whether a signal came. Looked at and waited for by the main thread, the one that a handler interrupts.

    Not a `threading.Event`: a handler that sets one just while the thread takes the Event's lock waits for itself for
    ever. `SimpleQueue.put` may interrupt `get`.
    """

    def __init__(self) -> None:
        self._came = False
        self._queue: SimpleQueue[None] = SimpleQueue()

    def tell(self) -> None:
        self._came = True
        self._queue.put(None)

    def is_set(self) -> bool:
        return self._came

    def wait(self, seconds: float) -> bool:
        """Whether one came, at once or within so many seconds."""
        if not self._came:
            with suppress(Empty):
                self._queue.get(timeout=seconds)
        return self._came


@contextmanager
def until_a_signal() -> Iterator[Signalled]:
    """Told by SIGINT and SIGTERM; what they did before comes back at the end."""
    signalled = Signalled()

    def tell(_number: int, _frame: FrameType | None) -> None:
        signalled.tell()

    handlers = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signalled
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
