"""`twinproof history --html FILE`: what could ever run as an app, as one page that carries its proofs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from twinproof.chain.evidence import PlacedLog
from twinproof.chain.history import Moment, Span
from twinproof.chain.power import Power, power_facts, power_sentence
from twinproof.release.publication import AllowedVersion, FindingKind
from twinproof.report.history_text import FAILS, SHOWN_NOTES, Change, HistoryReport, changes
from twinproof.report.html.embedded import Block, json_block
from twinproof.report.html.page import render_page
from twinproof.report.html.timeline import Piece, Timeline, Track, draw_tracks
from twinproof.report.layout import capital
from twinproof.report.verdict_text import time_text

__all__ = ["history_page"]

_TONES = {True: "good", False: "bad", None: "warn"}
_SUPERSEDED = (FindingKind.STILL_ALLOWED, FindingKind.LATELY_SUPERSEDED)
_OUTCOMES = {True: "EVERY VERSION IS PUBLISHED", False: "NOT EVERY VERSION IS PUBLISHED", None: "CANNOT BE TOLD"}


@dataclass(frozen=True, slots=True)
class At:
    """A place in the chain, for people; empty texts for what is not known."""

    block: int
    time: str
    transaction: str
    actor: str


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One span in which a compose hash was allowed."""

    title: str
    compose_hash: str
    sources: tuple[str, ...]
    since: At | None
    until: At | None
    replaced: str
    status: str
    word: str


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One log. `log` is what the page's script calls it; `time` is in unix seconds, empty when it is not known."""

    sign: str
    text: str
    at: At
    log: str
    time: str
    compose_hash: str
    dark: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of what stands out."""

    status: str
    text: str


@dataclass(frozen=True, slots=True)
class HistoryContent:
    """The whole page."""

    simulated: str
    outcome: str
    tone: str
    sentence: str
    whose: str
    app: str
    chain_id: int
    blocks: str
    made: str
    timeline: Timeline
    versions: tuple[VersionRow, ...]
    changes: tuple[ChangeRow, ...]
    pending: tuple[tuple[int, str, str], ...]
    findings: tuple[Finding, ...]
    power: tuple[tuple[str, str, str, str], ...]
    power_sentence: str
    power_missing: str
    proofs: int


def history_page(
    report: HistoryReport,
    *,
    power: Power | None,
    power_missing: str,
    proofs: Sequence[PlacedLog],
    now: int,
) -> str:
    """The page. `proofs` are the logs that were proved, with their proofs; `power_missing` says why there is none.

    Raises UsageError when Jinja2 is not installed.
    """
    publication = report.publication
    content = HistoryContent(
        simulated="",
        outcome=_OUTCOMES[publication.all_published],
        tone=_TONES[publication.all_published] if report.exit_code == 0 else "bad",
        sentence=f"{capital(publication.sentence)}.",
        whose=report.whose,
        app=f"0x{report.history.contract.hex()}",
        chain_id=report.chain_id,
        blocks=f"{report.history.from_block} to {report.history.to_block}",
        made=time_text(now),
        timeline=_timeline(report, now),
        versions=tuple(_versions(report)),
        changes=tuple(_change_row(change, report) for change in changes(report)),
        pending=tuple(
            (log.block_number, f"0x{log.transaction_hash.hex()}", log.data.hex()[:64]) for log in report.pending
        ),
        findings=tuple(_findings(report)),
        power=tuple(
            (fact.question, fact.answer, fact.shown_by, "warn" if fact.concern else "pass")
            for fact in (power_facts(power) if power is not None else ())
        ),
        power_sentence=f"{capital(power_sentence(power))}." if power is not None else "",
        power_missing=power_missing,
        proofs=len(proofs),
    )
    return render_page("history.html.jinja", content, list(_blocks(report, proofs)))


def _blocks(report: HistoryReport, proofs: Sequence[PlacedLog]) -> Iterator[Block]:
    yield json_block(
        "report", {"checks": {}, "instances": [], "history": {"app": f"0x{report.history.contract.hex()}"}}
    )
    yield json_block("history-proofs", [proof.to_json() for proof in proofs])
    for version in report.publication.versions:
        text = report.texts.get(version.compose_hash)
        if text is not None:
            yield json_block(f"text-{version.compose_hash.hex()}", text)


def _at(moment: Moment, report: HistoryReport) -> At:
    seconds = report.times.get(moment.block_number)
    return At(
        block=moment.block_number,
        time="" if seconds is None else time_text(seconds),
        transaction=f"0x{moment.transaction_hash.hex()}",
        actor="" if moment.actor is None else f"0x{moment.actor.hex()}",
    )


def _versions(report: HistoryReport) -> Iterator[VersionRow]:
    after = dict(_successors(report))
    for version in report.publication.versions:
        follower = after.get(version.compose_hash)
        for span in version.spans:
            status, word = _standing(version, span, follower, report)
            yield VersionRow(
                title=version.title,
                compose_hash=version.compose_hash.hex(),
                sources=version.sources,
                since=None if span.since is None else _at(span.since, report),
                until=None if span.until is None else _at(span.until, report),
                replaced=_replaced(follower),
                status=status,
                word=word,
            )


def _successors(report: HistoryReport) -> Iterator[tuple[bytes, AllowedVersion]]:
    """Each hash, and what was first allowed after it."""
    started = sorted(
        report.publication.versions,
        key=lambda item: item.spans[0].since.position if item.spans[0].since else (-1, -1),
    )
    yield from ((before.compose_hash, after) for before, after in pairwise(started))


def _replaced(after: AllowedVersion | None) -> str:
    if after is None:
        return "not replaced: the newest"
    since = after.spans[0].since
    return f"by {after.title} {after.compose_hash.hex()[:12]}" + (f" in block {since.block_number}" if since else "")


def _standing(
    version: AllowedVersion, span: Span, after: AllowedVersion | None, report: HistoryReport
) -> tuple[str, str]:
    if version.dark:
        return "fail", "DARK, still allowed" if span.until is None else "DARK, no longer allowed"
    if span.until is not None:
        return "info", "no longer allowed"
    superseded = any(
        finding.compose_hash == version.compose_hash and finding.kind in _SUPERSEDED
        for finding in report.publication.findings
    )
    return ("warn", "replaced, still allowed") if superseded and after is not None else ("pass", "allowed")


def _timeline(report: HistoryReport, now: int) -> Timeline:
    until = report.times.get(report.history.to_block, now)
    tracks = []
    for version in report.publication.versions:
        pieces = []
        for span in version.spans:
            start = _seconds(span.since, report)
            if start is not None:
                end = _seconds(span.until, report)
                status = "fail" if version.dark else "pass"
                pieces.append(Piece(start, end, status, f"{version.title} {version.compose_hash.hex()[:16]}"))
        tracks.append(Track(f"{version.title} {version.compose_hash.hex()[:8]}", tuple(pieces)))
    return draw_tracks(tracks, until=until)


def _seconds(moment: Moment | None, report: HistoryReport) -> int | None:
    return None if moment is None else report.times.get(moment.block_number)


def _change_row(change: Change, report: HistoryReport) -> ChangeRow:
    moment = change.moment
    return ChangeRow(
        sign=change.sign,
        text=change.text,
        at=_at(moment, report),
        log=f"log-{moment.block_number}-{moment.log.log_index}",
        time=str(report.times.get(moment.block_number, "")),
        compose_hash=change.compose_hash.hex(),
        dark=change.dark,
    )


def _findings(report: HistoryReport) -> Iterator[Finding]:
    for finding in report.publication.findings:
        late = "pass" if finding.kind is FindingKind.LATELY_SUPERSEDED else "warn"
        yield Finding("fail" if finding.kind in FAILS else late, f"{finding.kind}: {finding.text}")
    for note in report.history.noted(SHOWN_NOTES):
        text = f" ({note.text})" if note.text else ""
        yield Finding("warn", f"block {note.log.block_number}: {note.kind}{text}")
    if report.registered is False:
        yield Finding("warn", "this app is not registered at the KMS")
    for name, reason in report.dissent:
        yield Finding("warn", f"endpoint {name} {reason}")
    for question in report.open_questions:
        yield Finding("not_checked", f"not read: {question}")
    if not report.proved:
        yield Finding("not_checked", "no log was proved (--proof): all of this is the word of an endpoint")
