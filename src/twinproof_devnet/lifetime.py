"""What runs until it is closed: at the end of a `with`, by `close`, or with the interpreter."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from types import TracebackType
from typing import Self

__all__ = ["Lifetime"]


class Lifetime:
    """Owns resources that end in the reverse order of their beginning."""

    _resources: ExitStack

    def _keep(self, resources: ExitStack) -> None:
        """From here on they end with this object, or with the interpreter."""
        self._resources = resources.pop_all()
        atexit.register(self.close)

    def close(self) -> None:
        """End everything, within seconds."""
        self._resources.close()
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
