"""The application: which address shows what, and what is said where nothing can be shown."""

from __future__ import annotations

from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from twinproof.errors import EvidenceError, UsageError
from twinproof.web.entry_pages import EntryPages
from twinproof.web.fleet_pages import FleetPages
from twinproof.web.recheck_route import RecheckPage
from twinproof.web.response import page
from twinproof.web.site import Site
from twinproof.web.version_pages import VersionPages

__all__ = ["make_app"]


def make_app(site: Site, *, hosts: list[str]) -> Starlette:
    """The application. `hosts` are the only names it answers to: somebody else's page cannot reach it by its own."""
    fleet, versions, entries = FleetPages(site), VersionPages(site), EntryPages(site)
    routes = [
        Route("/", fleet.overview),
        Route("/badge.svg", fleet.badge),
        Route("/versions", versions.versions),
        Route("/diff", versions.diff),
        Route("/entries", entries.entries),
        Route("/entries/{number}", entries.entry),
        Route("/entries/{number}/bundle.json", entries.bundle),
        Route("/compare", entries.compare),
        Route("/recheck", RecheckPage(site).recheck, methods=["GET"] if site.recheck is None else ["GET", "POST"]),
    ]
    handler = partial(_not_shown, site)
    return Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        exception_handlers={HTTPException: handler, UsageError: handler, EvidenceError: handler},
    )


async def _not_shown(site: Site, request: Request, error: Exception) -> Response:
    status, message = 500, f"this evidence cannot be shown: {error}"
    if isinstance(error, HTTPException):
        status, message = error.status_code, error.detail
    elif isinstance(error, UsageError):
        status, message = 404, str(error)
    return page(site, request, "error.html.jinja", {"error": message}, status=status, message=message)
