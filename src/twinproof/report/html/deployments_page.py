"""`twinproof deployments verify --html FILE`: every record, every fact of it, and the evidence that is behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from twinproof.deployments.check import Assessment
from twinproof.deployments.explorer import transaction_url
from twinproof.deployments.fact_lines import fact_lines
from twinproof.deployments.standing import Row, Standing, rows
from twinproof.errors import TwinproofError
from twinproof.report.html.embedded import evidence_blocks, tool_block
from twinproof.report.html.page import render_page
from twinproof.report.html.timeline import Piece, Timeline, Track, draw_tracks
from twinproof.report.verdict_text import time_text
from twinproof.verifier import Verdict
from twinproof.wire import shown

__all__ = ["deployments_page"]

_READ_AGAIN = {
    "attested.compose_hash": "compare.compose_hash",
    "attested.device_id": "compare.machine",
    "attested.app_id": "compare.app_id",
    "attested.instance_id": "compare.instance_id",
    "version": "compare.version",
    "git_sha": "compare.git_sha",
}
"""Facts that the page's script reads out of the evidence itself, by its own names for them."""
_WORDS = {"pass": "true", "fail": "FALSE", "not_checked": "not checked"}


class FactRow(NamedTuple):
    """One fact. `value` is the script's name for it, empty where it cannot read it."""

    fact: str
    recorded: str
    status: str
    note: str
    value: str


class RecordRow(NamedTuple):
    """One record. `instance` is its evidence's place in the file, None where there is none."""

    name: str
    version: str
    machine: str
    standing: str
    when: str
    transaction: str
    url: str
    failure: str
    status: str
    word: str
    facts: tuple[FactRow, ...]
    instance: int | None
    simulated: bool


class DeploymentsContent(NamedTuple):
    """The whole page."""

    simulated: str
    outcome: str
    tone: str
    sentence: str
    made: str
    timeline: Timeline
    records: tuple[RecordRow, ...]
    broken: tuple[tuple[str, str], ...]
    evidence: int


def deployments_page(
    assessments: Sequence[Assessment],
    broken: Sequence[tuple[str, TwinproofError]],
    verdicts: Mapping[str, Verdict],
    *,
    now: int,
) -> str:
    """The page; `verdicts` are by the names of their records. Raises UsageError when Jinja2 is not installed."""
    names = [item.record.name for item in assessments if item.record.name in verdicts]
    judged = [verdicts[name] for name in names]
    places = {name: index for index, name in enumerate(names)}
    standings = rows(item.record for item in assessments)
    by_name = {row.record.name: row for row in standings}
    outcome, tone, sentence = _outcome(assessments, len(broken))
    content = DeploymentsContent(
        simulated=", ".join(sorted({verdict.root.name for verdict in judged if verdict.simulated})),
        outcome=outcome,
        tone=tone,
        sentence=sentence,
        made=time_text(now),
        timeline=_timeline(standings, {item.record.name: _status(item) for item in assessments}, now),
        records=tuple(_record(item, by_name[item.record.name], places) for item in assessments),
        broken=tuple((shown(name, 160), shown(str(error), 400)) for name, error in broken),
        evidence=len(judged),
    )
    return render_page(
        "deployments.html.jinja", content, [*evidence_blocks(judged), tool_block(judged, names, (), outcome)]
    )


def _outcome(assessments: Sequence[Assessment], broken: int) -> tuple[str, str, str]:
    """Outcome, tone and sentence."""
    total = len(assessments) + broken
    true = sum(item.holds for item in assessments)
    false = sum(bool(item.findings) for item in assessments) + broken
    failed = sum(item.record.failure is not None for item in assessments)
    sentence = f"{total} records: {true} true, {false} false, {total - true - false} not checked in full"
    sentence += f"; {failed} of deployments that failed." if failed else "."
    if not total:
        return "NO RECORDS", "warn", "Nothing was recorded, so nothing was checked."
    if false:
        return "FALSE RECORDS", "bad", sentence
    if true < total:
        return "NOT EVERYTHING WAS CHECKED", "warn", sentence
    if failed == total:
        return "NO DEPLOYMENT IS RECORDED", "warn", sentence
    return "EVERY RECORD IS TRUE", "good", sentence


def _status(item: Assessment) -> str:
    return "fail" if item.findings else "not_checked" if item.unchecked else "pass"


def _record(item: Assessment, row: Row, places: Mapping[str, int]) -> RecordRow:
    record = item.record
    anchor, failure = record.anchor, record.failure
    return RecordRow(
        name=record.name,
        version=str(record.version),
        machine=record.machine,
        standing=row.standing.value,
        when=time_text(row.time),
        transaction="" if anchor is None else f"0x{anchor.transaction.hex()}",
        url="" if anchor is None else transaction_url(anchor.chain_id, anchor.transaction),
        failure="" if failure is None else f"{failure.step}: {failure.reason}",
        status=_status(item),
        word=_WORDS[_status(item)],
        facts=tuple(
            FactRow(line.fact, line.recorded, line.status.value, line.note, _READ_AGAIN.get(line.fact, ""))
            for line in fact_lines(item)
        ),
        instance=places.get(record.name),
        simulated=record.attested is not None and record.attested.simulated,
    )


def _timeline(standings: Sequence[Row], statuses: Mapping[str, str], now: int) -> Timeline:
    """A track for each machine: from what was attested to what was attested next."""
    tracks: dict[tuple[bytes, bytes], list[Piece]] = {}
    names: dict[tuple[bytes, bytes], str] = {}
    ends: dict[tuple[bytes, bytes], int] = {}
    for row in standings:  # the newest first
        attested = row.record.attested
        if attested is None or row.standing is Standing.FAILED:
            continue
        place = (attested.app_id, attested.device_id)
        piece = Piece(attested.at, ends.get(place), statuses[row.record.name], str(row.record.version))
        tracks.setdefault(place, []).append(piece)
        names.setdefault(place, row.record.machine)
        ends[place] = attested.at
    made = [Track(names[place], tuple(reversed(pieces))) for place, pieces in tracks.items()]
    return draw_tracks(made, until=now)
