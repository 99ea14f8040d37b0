"""Ctrl-C and SIGTERM end a world in order."""

from __future__ import annotations

import signal
from queue import SimpleQueue
from types import FrameType

__all__ = ["Stop", "told_to_stop"]


class Stop:
    """Waited for by the main thread, and told by a signal handler, which interrupts that very thread.

    Not a `threading.Event`: a handler that sets one just while the thread takes the Event's lock waits for itself for
    ever. `SimpleQueue.put` may interrupt `get`.
    """

    def __init__(self) -> None:
        self._told: SimpleQueue[None] = SimpleQueue()

    def tell(self) -> None:
        self._told.put(None)

    def wait(self) -> None:
        """Until it was told."""
        self._told.get()


def told_to_stop() -> Stop:
    """Told when someone wants this process to end. Only the main thread may ask for it."""
    stop = Stop()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.tell()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask_to_stop)
    return stop
