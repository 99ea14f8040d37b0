"""The pages: HTML for people, the same as JSON for machines at the same address (`Accept`, or `?format=json`)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from twinproof.comparison import compare
from twinproof.errors import EvidenceError, UsageError
from twinproof.evidence.bundle import parse_bundle
from twinproof.evidence.carrier import unpack
from twinproof.evidence.evidence import Evidence
from twinproof.release.history_file import HistoryFile
from twinproof.report.html.compose_lines import compose_lines
from twinproof.report.html.content import visible
from twinproof.report.html.page import html_report, page_policy, style_and_script, template_text
from twinproof.report.html.timeline import Piece, Timeline, Track, draw_tracks
from twinproof.report.verdict_text import time_text
from twinproof.sources.archive import lookup
from twinproof.sources.archive.entry import Entry
from twinproof.sources.archive.store import Archive
from twinproof.verifier import Verdict, Verifier
from twinproof.web.recheck import Recheck
from twinproof.web.recheck_route import answer
from twinproof.web.version_rows import VersionRow, machine_tracks, version_rows

__all__ = ["Site", "make_app"]

PER_PAGE = 50
MOST_COMPARED = 20
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
MOST_AHEAD = 300
"""Seconds that another machine's clock may be ahead of this one's."""
PROVED, FAILED, NO_RECENT_PROOF = "proved", "failed", "no recent proof"
_TONES = {PROVED: "#0b6b35", FAILED: "#b01020", NO_RECENT_PROOF: "#5c6570"}
OUTCOMES = {0: ("pass", "accepted"), 3: ("fail", "NOT GENUINE"), 4: ("fail", "not as wanted")}


@dataclass(frozen=True, slots=True)
class Site:
    """What the pages are about. `max_age` is in seconds: an older last proof makes badge and overview grey.

    `recheck` is None where nothing was configured to be asked: then there is no route that writes.
    """

    folder: str
    verifier: Verifier
    max_age: int
    clock: Callable[[], int]
    recheck: Recheck | None = None
    histories: Callable[[], tuple[HistoryFile, ...]] = tuple


class _Summary(NamedTuple):
    """What the overview says of an archive with this head: entries are only appended, so a head has one answer.

    `machines` are the newest entries with their exit codes now. `newest` is the latest of their times, `last` the
    latest of those that are accepted now.
    """

    head: str
    total: int
    machines: list[tuple[Entry, int]]
    versions: list[lookup.VersionSpan]
    newest: int | None
    last: int | None


@cache
def _environment() -> Environment:
    folder = files(__package__) / "templates"
    templates = {item.name: item.read_text("utf-8") for item in folder.iterdir() if item.name.endswith(".jinja")}
    templates["timeline.html.jinja"] = template_text("timeline.html.jinja")
    made = Environment(
        autoescape=True, loader=DictLoader(templates), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["visible"] = visible
    made.filters["time"] = time_text
    made.globals["outcomes"] = OUTCOMES
    return made


@cache
def _style() -> tuple[str, str]:
    """The style of all pages, and the policy that allows it and nothing else."""
    style = style_and_script()[0]
    return style, f"default-src 'none'; style-src 'sha256-{_hash(style)}'; base-uri 'none'; form-action 'self'"


@cache
def _recheck_script() -> tuple[str, str]:
    """The script of the re-check's page, and the policy that allows it, and its requests to this server."""
    script = (files(__package__) / "templates" / "recheck.js").read_text("utf-8")
    allowed = f"script-src 'sha256-{_hash(script)}'; connect-src 'self'; base-uri 'none'; form-action 'none'"
    return script, f"default-src 'none'; style-src 'sha256-{_hash(_style()[0])}'; {allowed}"


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def make_app(site: Site, *, hosts: list[str]) -> Starlette:
    """The application. `hosts` are the only names it answers to: somebody else's page cannot reach it by its own."""
    pages = _Pages(site)
    routes = [
        Route("/", pages.overview),
        Route("/versions", pages.versions),
        Route("/entries", pages.entries),
        Route("/entries/{number}", pages.entry),
        Route("/entries/{number}/bundle.json", pages.bundle),
        Route("/compare", pages.compare),
        Route("/diff", pages.diff),
        Route("/badge.svg", pages.badge),
        Route("/recheck", pages.recheck, methods=["GET"] if site.recheck is None else ["GET", "POST"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        exception_handlers={HTTPException: pages.error, UsageError: pages.not_there, EvidenceError: pages.broken},
    )


class _Pages:
    """One method per address. Handlers are plain functions, so each runs in a thread with an archive of its own."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._summed: _Summary | None = None
        self._ran: tuple[str, list[lookup.Run]] | None = None
        self._judged: dict[int, Verdict] = {}

    def overview(self, request: Request) -> Response:
        with self._archive() as archive:
            found = self._summary(archive)
        standing = self._standing(found)
        document = {
            "entries": found.total,
            "head": found.head,
            "standing": standing,
            "last_proof": found.last,
            "stale": self._stale(found.last),
            "machines": [{**_plain(entry), "exit_code_now": now} for entry, now in found.machines],
            "versions": [asdict(span) for span in found.versions],
        }
        return self._page(
            request,
            "overview.html.jinja",
            document,
            found=found,
            spans=found.versions,
            timeline=_spans_over_time(found.versions),
            standing=standing,
        )

    def _summary(self, archive: Archive) -> _Summary:
        """Each machine's newest entry, judged here, once per head.

        The index says how others judged it, under whatever root and policy they had, and it can be edited.
        """
        head, summed = archive.head, self._summed
        if summed is None or summed.head != head:
            judged = [(entry, *self._judged_now(archive, entry)) for entry in lookup.newest_per_machine(archive)]
            summed = self._summed = _Summary(
                head,
                len(archive),
                [(entry, exit_code) for entry, exit_code, _ in judged],
                lookup.versions(archive)[:PER_PAGE],
                max((at for _, _, at in judged), default=None),
                max((at for _, exit_code, at in judged if exit_code == 0), default=None),
            )
        return summed

    def _judged_now(self, archive: Archive, entry: Entry) -> tuple[int, int]:
        """Exit code, and time in unix seconds. What cannot be read is not genuine."""
        try:
            verdict = self._site.verifier.verify(parse_bundle(archive.bundle(entry.number)))
        except (EvidenceError, UsageError):
            return 3, entry.judged.at
        return verdict.exit_code, verdict.at

    def _standing(self, found: _Summary) -> str:
        """The word of badge and overview. Of evidence that is old nothing is said, good or bad."""
        if self._stale(found.newest):
            return NO_RECENT_PROOF
        return FAILED if any(exit_code for _, exit_code in found.machines) else PROVED

    def versions(self, request: Request) -> Response:
        page = _number(request, "page", 0)
        histories = self._site.histories()
        with self._archive() as archive:
            head = archive.head
            if self._ran is None or self._ran[0] != head:
                self._ran = (head, lookup.runs(archive))
                self._judged.clear()
        ran = self._ran[1]
        names = {
            machine.device_id.hex(): machine.title
            for machine in self._site.verifier.policy.machines
            if machine.device_id is not None
        }
        start = min(page, 1 << 30) * PER_PAGE
        rows, total = version_rows(ran, histories, names, self._once, start=start, size=PER_PAGE)
        timeline, left_out = machine_tracks(ran, names, until=max((run.last for run in ran), default=0))
        previous = [row.version for row in rows[1:]] + [""]
        document = {
            "versions": [asdict(row) for row in rows],
            "histories": [{**asdict(history), "versions": len(history.versions)} for history in histories],
            "total": total,
        }
        return self._page(
            request,
            "versions.html.jinja",
            document,
            rows=[{**_members(row), "previous": before} for row, before in zip(rows, previous, strict=True)],
            histories=histories,
            timeline=timeline,
            left_out=left_out,
            page=page,
            more=total > start + PER_PAGE,
        )

    def _once(self, number: int) -> Verdict:
        """An entry's verdict, judged once per head: a page of versions needs one for each."""
        if number not in self._judged:
            self._judged[number] = self._verdict(number)
        return self._judged[number]

    def recheck(self, request: Request) -> Response:
        recheck = self._site.recheck
        if request.method == "POST" and recheck is not None:
            status, document, headers = answer(recheck, request)
            return _json(document, status, headers)
        document = recheck.document() if recheck is not None else {"instances": [], "state": "not configured"}
        if _wants_json(request):
            return _json(document)
        script, policy = _recheck_script()
        names = recheck.names if recheck is not None else ()
        response = self._page(
            request,
            "recheck.html.jinja",
            document,
            names=names,
            script=Markup(script),  # noqa: S704  (this package's own)
        )
        response.headers["Content-Security-Policy"] = policy
        return response

    def entries(self, request: Request) -> Response:
        with self._archive() as archive:
            before = _number(request, "before", 1 << 60)
            found = lookup.entries_before(archive, before, PER_PAGE + 1)
        shown, more = found[:PER_PAGE], len(found) > PER_PAGE
        following = shown[-1].number if more else None
        document = {"entries": [_plain(entry) for entry in shown], "before": following}
        return self._page(request, "entries.html.jinja", document, entries=shown, following=following)

    def entry(self, request: Request) -> Response:
        verdict = self._verdict(_entry_number(request))
        if _wants_json(request):
            return _json(verdict.to_json())
        return _report(html_report(None, [verdict], now=self._site.clock()))

    def bundle(self, request: Request) -> Response:
        with self._archive() as archive:
            text = archive.bundle(_entry_number(request))
        return Response(text, media_type="application/json", headers=_HEADERS)

    def compare(self, request: Request) -> Response:
        numbers = _numbers(request, "entries")
        verdicts = [self._verdict(number) for number in numbers]
        proof = compare(verdicts)
        if _wants_json(request):
            return _json(proof.to_json())
        return _report(html_report(proof, verdicts, now=self._site.clock()))

    def diff(self, request: Request) -> Response:
        names = [request.query_params.get(name, "") for name in ("from", "to")]
        found = []
        with self._archive() as archive:
            for name in names:
                number = lookup.newest_of_version(archive, name)
                if number is None:
                    raise HTTPException(404, "no accepted proof of this version")
                found.append((number, _compose(parse_bundle(archive.bundle(number)))))
        lines = compose_lines(found[0][1], found[1][1])
        document = {
            "from": {"version": names[0], "entry": found[0][0]},
            "to": {"version": names[1], "entry": found[1][0]},
            "lines": [asdict(line) for line in lines],
        }
        signs = {"same": " ", "old": "-", "new": "+", "gap": " "}
        return self._page(request, "diff.html.jinja", document, names=names, lines=lines, signs=signs)

    def badge(self, _request: Request) -> Response:
        with self._archive() as archive:
            word = self._standing(self._summary(archive))
        text = _environment().get_template("badge.svg.jinja").render(word=word, tone=_TONES[word])
        return Response(text, media_type="image/svg+xml", headers={**_HEADERS, "Content-Security-Policy": _BARE})

    async def error(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return self._error(request, status, error.detail if isinstance(error, HTTPException) else "")

    async def not_there(self, request: Request, error: Exception) -> Response:
        return self._error(request, 404, str(error))

    async def broken(self, request: Request, error: Exception) -> Response:
        return self._error(request, 500, f"this evidence cannot be shown: {error}")

    def _error(self, request: Request, status: int, message: str) -> Response:
        return self._page(request, "error.html.jinja", {"error": message}, status=status, message=message)

    def _archive(self) -> Archive:
        return Archive(self._site.folder)

    def _verdict(self, number: int) -> Verdict:
        with self._archive() as archive:
            evidence = parse_bundle(archive.bundle(number))
        return self._site.verifier.verify(evidence)

    def _stale(self, last: int | None) -> bool:
        """Too old, or of a time that is still to come: by a clock that was set back, or dated so to stay for ever."""
        return last is None or not -MOST_AHEAD <= self._site.clock() - last <= self._site.max_age

    def _page(
        self, request: Request, template: str, document: dict[str, Any], *, status: int = 200, **values: Any
    ) -> Response:
        if _wants_json(request):
            return _json(document, status)
        style, policy = _style()
        roots = sorted({root.name for root in self._site.verifier.roots if not root.is_intel})
        text = (
            _environment()
            .get_template(template)
            .render(
                style=Markup(style),  # noqa: S704  (this package's own)
                simulated=", ".join(roots),
                can_recheck=self._site.recheck is not None,
                **values,
            )
        )
        headers = {**_HEADERS, "Content-Security-Policy": policy}
        return Response(text, status, media_type="text/html", headers=headers)


_BARE = "default-src 'none'"


def _report(text: str) -> Response:
    headers = {**_HEADERS, "Content-Security-Policy": page_policy()}
    return Response(text, media_type="text/html", headers=headers)


def _json(document: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(document, status, headers={**_HEADERS, "Content-Security-Policy": _BARE, **(headers or {})})


def _members(row: VersionRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in VersionRow.__slots__}


def _spans_over_time(spans: list[lookup.VersionSpan]) -> Timeline:
    tracks = [
        Track(span.version or "no version", (Piece(span.first, span.last, "pass", f"{span.count} proofs"),))
        for span in spans
    ]
    return draw_tracks(tracks, until=max((span.last for span in spans), default=0))


def _wants_json(request: Request) -> bool:
    asked = request.query_params.get("format")
    if asked is not None:
        return asked == "json"
    accepted = request.headers.get("accept", "")
    return "application/json" in accepted and "text/html" not in accepted


def _plain(entry: Entry) -> dict[str, Any]:
    return {**asdict(entry), "summary": asdict(entry.judged)}


def _entry_number(request: Request) -> int:
    text = str(request.path_params["number"])
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise HTTPException(404, "no such entry")
    return int(text)


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise HTTPException(400, f"{name} is not a number")
    return int(text)


def _numbers(request: Request, name: str) -> list[int]:
    texts = request.query_params.get(name, "").split(",")
    if not 2 <= len(texts) <= MOST_COMPARED or not all(t.isascii() and t.isdigit() and len(t) <= 18 for t in texts):
        raise HTTPException(400, f"{name} takes 2 to {MOST_COMPARED} numbers, separated by commas")
    return [int(text) for text in texts]


def _compose(evidence: Evidence) -> str:
    return unpack(evidence).app_compose or ""
