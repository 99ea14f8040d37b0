"""The archive's entries: all of them, each with its report and its bundle, and several compared."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from twinproof.comparison import compare
from twinproof.report.html.page import html_report
from twinproof.sources.archive import lookup
from twinproof.sources.archive.entry import Entry
from twinproof.web.request import entry_number, number, numbers, wants_json
from twinproof.web.response import json_file, json_response, page, report
from twinproof.web.site import PER_PAGE, Site

__all__ = ["EntryPages", "plain"]


class EntryPages:
    """One method per address."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def entries(self, request: Request) -> Response:
        with self._site.archive() as archive:
            found = lookup.entries_before(archive, number(request, "before", 1 << 60), PER_PAGE + 1)
        shown = found[:PER_PAGE]
        following = shown[-1].number if len(found) > PER_PAGE else None
        document = {"entries": [plain(entry) for entry in shown], "before": following}
        return page(self._site, request, "entries.html.jinja", document, entries=shown, following=following)

    def entry(self, request: Request) -> Response:
        verdict = self._site.verdict(entry_number(request))
        if wants_json(request):
            return json_response(verdict.to_json())
        return report(html_report(None, [verdict], now=self._site.clock()))

    def bundle(self, request: Request) -> Response:
        with self._site.archive() as archive:
            return json_file(archive.bundle(entry_number(request)))

    def compare(self, request: Request) -> Response:
        verdicts = [self._site.verdict(each) for each in numbers(request, "entries")]
        proof = compare(verdicts)
        if wants_json(request):
            return json_response(proof.to_json())
        return report(html_report(proof, verdicts, now=self._site.clock()))


def plain(entry: Entry) -> dict[str, Any]:
    """An entry for machines."""
    return {**asdict(entry), "summary": asdict(entry.judged)}
