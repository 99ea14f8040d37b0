"""The versions: where each ran and since when it is allowed, and the lines in which two of them differ."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from twinproof.evidence.bundle import parse_bundle
from twinproof.evidence.carrier import unpack
from twinproof.report.html.compose_lines import compose_lines
from twinproof.sources.archive import lookup
from twinproof.sources.archive.store import Archive
from twinproof.verifier import Verdict
from twinproof.web.request import number
from twinproof.web.response import page
from twinproof.web.site import PER_PAGE, Site
from twinproof.web.version_rows import machine_tracks, version_rows

__all__ = ["VersionPages"]


@dataclass(frozen=True, slots=True)
class _Ran:
    """What ran by the archive with this head, and its verdicts so far: a page of versions needs one for each."""

    head: str
    runs: list[lookup.Run]
    judged: dict[int, Verdict] = field(default_factory=dict)


class VersionPages:
    """One method per address."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._ran: _Ran | None = None

    def versions(self, request: Request) -> Response:
        number_of_page = number(request, "page", 0)
        histories = self._site.histories()
        ran = self._what_ran()
        names = {
            machine.device_id.hex(): machine.title
            for machine in self._site.verifier.policy.machines
            if machine.device_id is not None
        }

        def judged(entry: int) -> Verdict:
            if entry not in ran.judged:
                ran.judged[entry] = self._site.verdict(entry)
            return ran.judged[entry]

        start = min(number_of_page, 1 << 30) * PER_PAGE
        rows, total = version_rows(ran.runs, histories, names, judged, start=start, size=PER_PAGE)
        timeline, left_out = machine_tracks(ran.runs, names)
        document = {
            "versions": [asdict(row) for row in rows],
            "histories": [{**asdict(history), "versions": len(history.versions)} for history in histories],
            "total": total,
        }
        return page(
            self._site,
            request,
            "versions.html.jinja",
            document,
            rows=rows,
            histories=histories,
            timeline=timeline,
            left_out=left_out,
            page=number_of_page,
            more=total > start + PER_PAGE,
        )

    def _what_ran(self) -> _Ran:
        with self._site.archive() as archive:
            head, ran = archive.head, self._ran
            if ran is None or ran.head != head:
                ran = self._ran = _Ran(head, lookup.runs(archive))
        return ran

    def diff(self, request: Request) -> Response:
        names = [request.query_params.get(name, "") for name in ("from", "to")]
        if not all(names):
            raise HTTPException(400, "from and to name the two versions")
        with self._site.archive() as archive:
            (first, before), (last, after) = [_newest_text(archive, name) for name in names]
        lines = compose_lines(before, after)
        document = {
            "from": {"version": names[0], "entry": first},
            "to": {"version": names[1], "entry": last},
            "lines": [asdict(line) for line in lines],
        }
        return page(self._site, request, "diff.html.jinja", document, names=names, lines=lines)


def _newest_text(archive: Archive, version: str) -> tuple[int, str]:
    """The newest accepted entry of a version, and its compose text."""
    entry = lookup.newest_of_version(archive, version)
    if entry is None:
        raise HTTPException(404, "no accepted proof of this version")
    return entry, unpack(parse_bundle(archive.bundle(entry))).app_compose or ""
