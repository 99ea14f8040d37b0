"""A node that answers as an honest one of the devnet does, but for what a test makes it say."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from twinproof_devnet.chain.endpoint import Endpoint
from twinproof_devnet.chain.rpc import Methods

__all__ = ["Lie", "LyingMethods", "lying"]

Lie = Callable[[str, Sequence[object], object], object]
"""method, params and the true answer, for the one that is given."""


class LyingMethods:
    """Errors are the honest node's own."""

    def __init__(self, honest: Methods, lie: Lie) -> None:
        self.honest, self.lie = honest, lie

    def answer(self, method: str, params: Sequence[object]) -> object:
        return self.lie(method, params, copy.deepcopy(self.honest.answer(method, params)))


@contextmanager
def lying(honest: Methods, lie: Lie) -> Iterator[str]:
    """The URL of the node while it answers."""
    endpoint = Endpoint(LyingMethods(honest, lie))
    try:
        yield endpoint.url
    finally:
        endpoint.close()
