"""Ask all instances at once; one that fails does not lose the others, and Ctrl-C does not wait for any."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from twinproof.errors import TwinproofError

__all__ = ["fetch_all"]

Item = TypeVar("Item")
MAX_WORKERS = 32


def fetch_all(
    names: Sequence[str],
    fetch: Callable[[int, str], Item],
    *,
    progress: Callable[[int, int, str], None] | None = None,
) -> list[Item | TwinproofError]:
    """`fetch(index, name)` for every name, concurrently; results in the order of the names.

    An error of ours becomes that name's result; any other exception is a bug and leaves, here, in the caller's thread.
    `progress(done, total, name)` is called there too, after each result. The threads are daemons: each ends by its own
    deadline, and nothing at the end of the program waits for one that was left behind.
    """
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Item | None, BaseException | None]] = queue.SimpleQueue()
    left = threading.Event()

    def work() -> None:
        while not left.is_set():
            try:
                index = todo.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((index, fetch(index, names[index]), None))
            except BaseException as error:  # noqa: BLE001  (raised again in the caller's thread)
                done.put((index, None, error))

    for index in range(len(names)):
        todo.put(index)
    for number in range(min(MAX_WORKERS, len(names))):
        threading.Thread(target=work, name=f"fetch {number}", daemon=True).start()
    results: dict[int, Item | TwinproofError] = {}
    try:
        while len(results) < len(names):
            index, item, error = done.get()
            if error is not None and not isinstance(error, TwinproofError):
                raise error
            results[index] = error if error is not None else item  # type: ignore[assignment]  # fetch gave this item
            if progress is not None:
                progress(len(results), len(names), names[index])
    finally:
        left.set()
    return [results[index] for index in range(len(names))]
