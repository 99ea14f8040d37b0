"""A cloud whose answers are changed on their way to the client: what it does is honest, what it says is not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from twinproof_devnet.cloud.service import CloudService
from twinproof_devnet.loopback import Answer, Request

__all__ = ["Lie", "lying"]

Lie = Callable[[Request, Any], object]
"""From a request and the JSON of its honest answer to what is answered."""


@contextmanager
def lying(service: CloudService, lie: Lie) -> Iterator[None]:
    asking = threading.local()

    def interrupted(request: Request) -> Answer | None:
        if getattr(asking, "inside", False):
            return None
        asking.inside = True
        try:
            honest = service.answer(request)
        finally:
            asking.inside = False
        return replace(honest, body=json.dumps(lie(request, _parsed(honest))).encode())

    service.interruption = interrupted
    try:
        yield
    finally:
        service.interruption = None


def _parsed(answer: Answer) -> Any:
    assert isinstance(answer.body, bytes)
    return json.loads(answer.body or b"null")
