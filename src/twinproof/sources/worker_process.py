"""What a worker process runs: tasks from its standard input, which is a socket pair, one at a time, until it closes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

__all__ = ["main"]


def main() -> None:
    link: Connection = Connection(os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # no task reads what is meant for this loop
    os.close(nothing)
    with link, contextlib.suppress(EOFError, ConnectionError):  # the parent has finished, or is gone
        while True:
            work, arguments, named = link.recv()
            for message in _messages(work, arguments, named):
                link.send(message)


def _messages(
    work: Callable[..., object], arguments: tuple[object, ...], named: dict[str, object]
) -> Iterator[tuple[str, object]]:
    """("item", ...) for what an iterator yields, then ("end", None); or ("value", ...); or ("raised", ...)."""
    try:
        result = work(*arguments, **named)
        if not isinstance(result, Iterator):
            yield "value", result
            return
        for item in result:
            yield "item", item
    except Exception as error:  # noqa: BLE001  (raised again in the parent)
        yield "raised", error
    else:
        yield "end", None
