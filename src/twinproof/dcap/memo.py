"""A bounded memory of what depends on bytes alone: parsed forms and signatures that held.

Keys are SHA-256 digests over the exact bytes, the key and the purpose, so an entry can never speak for other bytes.
Windows, revocation and policy are never kept: they are judged anew at every call. Failures are not kept either.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar, cast

__all__ = ["Memo"]

Result = TypeVar("Result")


class Memo:
    """Least recently used entries go first. One per Verifier; not shared between threads that write at once."""

    def __init__(self, max_entries: int = 4096) -> None:
        self._max = max_entries
        self._entries: OrderedDict[bytes, object] = OrderedDict()

    def recall(self, purpose: str, parts: tuple[bytes, ...], compute: Callable[[], Result]) -> Result:
        """The result of `compute()`, which depends on `purpose` and `parts` alone; its exceptions pass through."""
        digest = hashlib.sha256(purpose.encode())
        for part in parts:
            digest.update(len(part).to_bytes(8, "big"))  # so that no two lists of parts hash alike
            digest.update(part)
        key = digest.digest()
        try:
            found = self._entries[key]
            self._entries.move_to_end(key)
        except KeyError:
            found = compute()
            self._entries[key] = found
            while len(self._entries) > self._max:
                self._entries.popitem(last=False)
        return cast("Result", found)

    def __len__(self) -> int:
        return len(self._entries)
