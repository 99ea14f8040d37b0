"""A bounded memory of what depends on bytes alone: parsed forms, and signatures that held.

A key is a purpose and the exact bytes that the result depends on, the trust root or signer among them. Keys are
compared in full, which is stricter than comparing their hashes: an entry can never speak for other bytes. It is also
cheaper than SHA-256 over them, because Python keeps the hash of a text or bytes object with it. What it costs is the
memory of the keys, so both their number and their size are bounded.

Windows, revocation and policy are never kept: they are judged at every call. Failures are not kept either.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import ParamSpec, TypeVar, cast

__all__ = ["Memo", "remembered"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Key = tuple[str | bytes, ...]
_NOTHING = object()


class Memo:
    """What was asked recently is kept, what was not is forgotten. Threads may share one.

    There are two generations of entries, each with half of the room. A question finds its answer in either, and moves
    it to the young one; when that is full it becomes the old one, and what was old and not asked for again is gone.
    That keeps no order, so a repeated question costs one look-up and no lock. At worst two threads compute the same.
    """

    __slots__ = ("_lock", "_max_bytes", "_max_entries", "_old", "_size", "_young")

    def __init__(self, max_entries: int = 4096, max_bytes: int = 32 << 20) -> None:
        """`max_bytes` is about the keys; what is parsed from them takes a small multiple of that."""
        self._max_entries, self._max_bytes = max(1, max_entries // 2), max_bytes // 2
        self._young: dict[Key, object] = {}
        self._old: dict[Key, object] = {}
        self._size = 0
        self._lock = Lock()

    def recall(self, key: Key, compute: Callable[[], Result]) -> Result:
        """The result of `compute()`, which depends on `key` alone; its exceptions pass through and leave no trace."""
        found = self._young.get(key, _NOTHING)
        if found is _NOTHING:
            found = self._old.get(key, _NOTHING)
            if found is _NOTHING:
                found = compute()
            self.keep(key, found)
        return cast("Result", found)

    def find(self, key: Key) -> object | None:
        """What was kept for this key, or None."""
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.keep(key, found)
        return found

    def keep(self, key: Key, result: object) -> None:
        """Keep a result that depends on `key` alone, for `find` and `recall`."""
        size = sum(map(len, key))
        with self._lock:
            if self._young and (len(self._young) >= self._max_entries or self._size + size > self._max_bytes):
                self._old, self._young, self._size = self._young, {}, 0
            self._old.pop(key, None)
            if key not in self._young:
                self._young[key] = result
                self._size += size

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


def remembered(parse: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A function of texts and bytes whose result depends on nothing else and cannot be changed: asked again, recalled.

    For positional arguments; `__wrapped__` is the function itself.
    """
    memo = Memo(max_entries=256, max_bytes=16 << 20)

    @wraps(parse)
    def recalled(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if kwargs:
            return parse(*args, **kwargs)
        key = cast("Key", args)
        found = memo.find(key)
        if found is None:
            found = parse(*args, **kwargs)
            memo.keep(key, found)
        return cast("Result", found)

    return recalled
