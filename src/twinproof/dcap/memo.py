"""A bounded memory of what depends on bytes alone: parsed forms, and signatures that held.

A key is a purpose and the exact bytes that the result depends on, the trust root or signer among them. Keys are
compared in full, so an entry can never speak for other bytes; Python keeps the hash of a text or bytes object with it,
so asking again with the same object costs nothing. Windows, revocation and policy are never kept: they are judged at
every call. Failures are not kept either.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import TypeVar, cast

__all__ = ["Memo"]

Result = TypeVar("Result")
_NOTHING = object()


class Memo:
    """Least recently used entries go first. Threads may share one: at worst two compute the same result."""

    def __init__(self, max_entries: int = 1024) -> None:
        self._max = max_entries
        self._entries: OrderedDict[tuple[str | bytes, ...], object] = OrderedDict()
        self._lock = Lock()

    def recall(self, key: tuple[str | bytes, ...], compute: Callable[[], Result]) -> Result:
        """The result of `compute()`, which depends on `key` alone; its exceptions pass through and leave no trace."""
        with self._lock:
            found = self._entries.get(key, _NOTHING)
            if found is not _NOTHING:
                self._entries.move_to_end(key)
                return cast("Result", found)
        computed = compute()
        with self._lock:
            self._entries[key] = computed
            while len(self._entries) > self._max:
                self._entries.popitem(last=False)
        return computed

    def __len__(self) -> int:
        return len(self._entries)
