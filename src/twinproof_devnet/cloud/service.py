"""The REST API on loopback: key, version, path, answer. Behind it a fleet of real instances."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from urllib.parse import unquote

from twinproof_devnet.cloud.fleet import Fleet
from twinproof_devnet.cloud.on_chain import OnChain
from twinproof_devnet.cloud.problems import Problem
from twinproof_devnet.cloud.reading import Reading
from twinproof_devnet.cloud.routes import Call, matched
from twinproof_devnet.cloud.shapes import NEWEST, OLDEST
from twinproof_devnet.cloud.writing import Writing
from twinproof_devnet.loopback import Answer, Request, Service

__all__ = ["PREFIX", "CloudService"]

PREFIX = "/api/v1"
Interruption = Callable[[Request], Answer | None]


class CloudService(Service):
    """`key` is what X-API-Key has to be. `interruption` may answer instead of the service: for tests of clients."""

    def __init__(self, fleet: Fleet, on_chain: OnChain, *, key: str) -> None:
        self.fleet, self._key = fleet, key
        self.interruption: Interruption | None = None
        self._routes = [*Writing(fleet, on_chain).routes(), *Reading(fleet, on_chain).routes()]
        super().__init__()
        on_chain.prefix = self.url

    @property
    def url(self) -> str:
        """With the prefix: what PHALA_CLOUD_API_PREFIX has to be."""
        return super().url + PREFIX

    def answer(self, request: Request) -> Answer:
        """One request, without a socket. ConnectionError: it was done, and the answer gets lost."""
        try:
            interrupted = self.interruption(request) if self.interruption else None
            return interrupted or self._answered(request)
        except Problem as problem:
            return problem.answer()
        except ConnectionError:
            raise
        except OSError as error:
            return Problem(502, f"the chain cannot be asked: {error}").answer()

    def _answered(self, request: Request) -> Answer:
        path = unquote(request.path)
        if not path.startswith(PREFIX):
            raise Problem(404, "Not Found")
        route, names, known = matched(self._routes, request.method, path.removeprefix(PREFIX))
        if route is None:
            raise Problem(405 if known else 404, "Method Not Allowed" if known else "Not Found")
        if not route.open and not hmac.compare_digest(
            request.headers.get("x-api-key", "").encode(), self._key.encode()
        ):
            raise Problem(401, "Invalid API key")
        date = request.headers.get("x-phala-version", NEWEST)
        if date not in {OLDEST, NEWEST}:
            raise Problem(400, f"unknown API version {date[:20]!r}: this cloud has {OLDEST} and {NEWEST}")
        reply = route.handler(Call(request, names, date))
        if reply.text is not None:
            return Answer(reply.text.encode(), reply.status, "text/plain; charset=utf-8")
        return Answer(json.dumps(reply.body).encode(), reply.status)
