"""Ctrl-C and SIGTERM end a world in order."""

from __future__ import annotations

import signal
from threading import Event
from types import FrameType

__all__ = ["told_to_stop"]


def told_to_stop() -> Event:
    """Set when someone wants this process to end. Only the main thread may ask for it."""
    stop = Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask_to_stop)
    return stop
