"""The overview and the badge: where the fleet stands now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response

from twinproof.report.html.timeline import Piece, Timeline, Track, draw_tracks
from twinproof.sources.archive.lookup import VersionSpan
from twinproof.web.entry_pages import plain
from twinproof.web.response import badge, page
from twinproof.web.site import Site
from twinproof.web.standing import FAILED, NO_RECENT_PROOF, PROVED, Standing

__all__ = ["FleetPages"]

_TONES = {PROVED: "#0b6b35", FAILED: "#b01020", NO_RECENT_PROOF: "#5c6570"}


class FleetPages:
    """One method per address."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._standing = Standing(site)

    def overview(self, request: Request) -> Response:
        fleet = self._standing.fleet()
        word, reason = self._standing.word(fleet)
        document = {
            "entries": fleet.total,
            "head": fleet.head,
            "standing": word,
            "reason": reason,
            "last_proof": fleet.last_proof,
            "stale": self._standing.stale(fleet.last_proof),
            "machines": [{**plain(machine.entry), "exit_code_now": machine.exit_code} for machine in fleet.machines],
            "versions": [asdict(span) for span in fleet.versions],
        }
        timeline = _over_time(fleet.versions)
        return page(
            self._site,
            request,
            "overview.html.jinja",
            document,
            fleet=fleet,
            timeline=timeline,
            standing=word,
            reason=reason,
        )

    def badge(self, _request: Request) -> Response:
        word, _ = self._standing.word(self._standing.fleet())
        return badge(self._site, word, _TONES[word])


def _over_time(spans: Sequence[VersionSpan]) -> Timeline:
    return draw_tracks(
        [
            Track(span.version or "no version", (Piece(span.first, span.last, "pass", f"{span.count} proofs"),))
            for span in spans
        ]
    )
