"""Threads that want the same thing at the same time share one attempt, and its outcome, good or bad."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

__all__ = ["SingleFlight"]

Item = TypeVar("Item")


class SingleFlight(Generic[Item]):
    """Nothing is remembered: who comes after the end of an attempt starts another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flying: dict[Hashable, Future[Item]] = {}

    def run(self, key: Hashable, make: Callable[[], Item]) -> Item:
        """The result of `make()`, or of the one that is running for this key. Raises what it raises."""
        with self._lock:
            mine: Future[Item] = Future()
            first = self._flying.setdefault(key, mine)
        if first is not mine:
            return first.result()
        try:
            item = make()
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            mine.set_result(item)
            return item
        finally:
            with self._lock:
                del self._flying[key]
