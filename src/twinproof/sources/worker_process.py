"""What a worker process runs: tasks from its standard input, which is a socket pair, one at a time, until it closes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

__all__ = ["COUNT_BYTES", "main"]

COUNT_BYTES = 4
"""Of the number that is kept in the file shared with the parent: little-endian, at its start."""


def main(count: int) -> None:
    """`count` is the descriptor of the file in which this process notes how many items of its task are finished."""
    link: Connection = Connection(os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # no task reads what is meant for this loop
    os.close(nothing)
    with link, contextlib.suppress(EOFError, ConnectionError):  # the parent has finished, or is gone
        while True:
            work, arguments, named = link.recv()
            link.send(_outcome(work, arguments, named, count))


def _outcome(
    work: Callable[..., object], arguments: tuple[object, ...], named: dict[str, object], count: int
) -> tuple[bool, object]:
    """Whether it succeeded, and the result (of an iterator the list of what it yields) or the exception."""
    try:
        result = work(*arguments, **named)
        return True, _counted(result, count) if isinstance(result, Iterator) else result
    except Exception as error:  # noqa: BLE001  (raised again in the parent)
        return False, error


def _counted(results: Iterator[object], count: int) -> list[object]:
    """The parent reads the count only after this process died; a message for each item would wake it every time."""
    finished = []
    for result in results:
        finished.append(result)
        os.pwrite(count, len(finished).to_bytes(COUNT_BYTES, "little"), 0)
    return finished
