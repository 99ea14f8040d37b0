"""Every path that the cloud answers, and who answers it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from twinproof_devnet.cloud.body import Body
from twinproof_devnet.cloud.problems import Json
from twinproof_devnet.loopback import Request

__all__ = ["Call", "Reply", "Route", "matched"]


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `names` are the path's variable parts, `date` is the API version asked for."""

    request: Request
    names: Mapping[str, str]
    date: str

    @property
    def body(self) -> Body:
        """Raises a Problem when it is not a JSON object."""
        return Body.parse(self.request.body)

    @property
    def prepare_only(self) -> bool:
        return self.request.headers.get("x-prepare-only", "").lower() == "true"


@dataclass(frozen=True, slots=True)
class Reply:
    """`text`: plain text instead of JSON. No body at all with status 204."""

    body: Json = None
    status: int = 200
    text: str | None = None


Handler = Callable[[Call], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """`path` is below the prefix, with {names}. Anyone may ask an `open` one, the others need the key."""

    method: str
    path: str
    handler: Handler
    open: bool = False

    def match(self, path: str) -> Mapping[str, str] | None:
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.path))
        found = re.fullmatch(pattern, path)
        return found.groupdict() if found else None


def matched(routes: list[Route], method: str, path: str) -> tuple[Route | None, Mapping[str, str], bool]:
    """The route, the path's names, and whether the path is known with another method."""
    other = False
    for route in routes:
        names = route.match(path)
        if names is not None and route.method == method:
            return route, names, True
        other = other or names is not None
    return None, {}, other
