"""How a request is answered: a page for people, the same as JSON for machines, and the headers that guard both."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from twinproof.report.html.page import page_policy, style_and_script
from twinproof.report.html.templating import csp_hash, environment_of, shared_templates, templates_in
from twinproof.web.request import wants_json
from twinproof.web.site import Site

__all__ = ["badge", "json_file", "json_response", "page", "report", "script_page"]

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_BARE = "default-src 'none'"
_OUTCOMES = {0: ("pass", "accepted"), 3: ("fail", "NOT GENUINE"), 4: ("fail", "not as wanted")}


def page(
    site: Site, request: Request, template: str, document: dict[str, Any], *, status: int = 200, **values: Any
) -> Response:
    """The template with `values`, or the document, at the same address (`Accept`, or `?format=json`)."""
    if wants_json(request):
        return json_response(document, status)
    policy = f"default-src 'none'; style-src {csp_hash(_style())}; base-uri 'none'; form-action 'self'"
    return _html(_rendered(site, template, **values), policy, status)


def script_page(
    site: Site, request: Request, template: str, document: dict[str, Any], *, script: str, **values: Any
) -> Response:
    """As `page`, with a script of this package, which may ask this server."""
    if wants_json(request):
        return json_response(document)
    text = (files(__package__) / "templates" / script).read_text("utf-8")
    policy = (
        f"default-src 'none'; style-src {csp_hash(_style())}; script-src {csp_hash(text)}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'"
    )
    return _html(_rendered(site, template, script=Markup(text), **values), policy)  # noqa: S704  (this package's own)


def report(text: str) -> Response:
    """A self-contained page, with its own policy as a header too."""
    return _html(text, page_policy())


def json_response(document: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(document, status, headers={**_guarded(_BARE), **(headers or {})})


def json_file(text: bytes) -> Response:
    """JSON as it is kept, byte for byte."""
    return Response(text, media_type="application/json", headers=_HEADERS)


def badge(site: Site, word: str, tone: str) -> Response:
    label = "simulated" if any(not root.is_intel for root in site.verifier.roots) else "twinproof"
    text = _environment().get_template("badge.svg.jinja").render(label=label, word=word, tone=tone)
    return Response(text, media_type="image/svg+xml", headers=_guarded(_BARE))


def _html(text: str, policy: str, status: int = 200) -> Response:
    return Response(text, status, media_type="text/html", headers=_guarded(policy))


def _guarded(policy: str) -> dict[str, str]:
    return {**_HEADERS, "Content-Security-Policy": policy}


def _rendered(site: Site, template: str, **values: Any) -> str:
    return (
        _environment()
        .get_template(template)
        .render(
            style=Markup(_style()),  # noqa: S704  (this package's own)
            simulated=", ".join(sorted({root.name for root in site.verifier.roots if not root.is_intel})),
            can_recheck=site.recheck is not None,
            **values,
        )
    )


def _style() -> str:
    return style_and_script()[0]


@cache
def _environment() -> Environment:
    made = environment_of({**shared_templates(), **templates_in(files(__package__) / "templates")})
    made.globals["outcomes"] = _OUTCOMES
    return made
