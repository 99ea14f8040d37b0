"""The page of the re-check, and the one route that changes something: who may, from where, and how often."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from twinproof.web.recheck import Busy, Recheck
from twinproof.web.response import json_response, script_page
from twinproof.web.site import Site

__all__ = ["RecheckPage"]

_BEARER = "bearer "


class RecheckPage:
    """Shows how far a re-check is, and starts one."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def recheck(self, request: Request) -> Response:
        recheck = self._site.recheck
        if recheck is None:
            document: dict[str, object] = {"instances": [], "state": "not configured"}
            return self._page(request, document, ())
        if request.method == "POST":
            status, document, headers = _started(recheck, request)
            return json_response(document, status, headers)
        return self._page(request, recheck.document(), recheck.names)

    def _page(self, request: Request, document: dict[str, object], names: tuple[str, ...]) -> Response:
        return script_page(self._site, request, "recheck.html.jinja", document, script="recheck.js", names=names)


def _started(recheck: Recheck, request: Request) -> tuple[int, dict[str, object], dict[str, str]]:
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
