"""The one route that changes something: who may, from where, and how often."""

from __future__ import annotations

from starlette.requests import Request

from twinproof.web.recheck import Busy, Recheck

__all__ = ["answer"]

_BEARER = "bearer "


def answer(recheck: Recheck, request: Request) -> tuple[int, dict[str, object], dict[str, str]]:
    """Status, document and headers of a POST.

    The token comes in a header, which no form and no link can send, and which a page of another origin could send only
    if this server allowed it to. A browser also says where the request comes from: that has to be here.
    """
    origin = request.headers.get("origin")
    here = f"{request.url.scheme}://{request.headers.get('host', '')}"
    site = request.headers.get("sec-fetch-site", "same-origin")
    if (origin is not None and origin != here) or site != "same-origin":
        return 403, {"error": "a request of another origin"}, {}
    given = request.headers.get("authorization", "")
    if not given.lower().startswith(_BEARER) or not recheck.knows(given[len(_BEARER) :].strip()):
        return 401, {"error": "this needs the token of this server"}, {"WWW-Authenticate": "Bearer"}
    try:
        recheck.start()
    except Busy as busy:
        if not busy.wait:
            return 409, {"error": str(busy)}, {}
        return 429, {"error": str(busy)}, {"Retry-After": str(busy.wait)}
    return 202, recheck.document(), {}
