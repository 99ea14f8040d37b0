"""`twinproof history` as text and as JSON: a timeline as the chain has it, what stands out, one line of verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from twinproof.chain.events import Kind, decode_event
from twinproof.chain.history import History, Moment, NoteKind, Span, Subject, Value
from twinproof.chain.log import Log
from twinproof.errors import Malformed
from twinproof.release.publication import FindingKind, Publication
from twinproof.report.layout import bullet, capital, paragraph
from twinproof.report.style import Style
from twinproof.verdict import Status

__all__ = ["FAILS", "SHOWN_NOTES", "Change", "HistoryReport", "changes", "history_json", "history_text"]

SCHEMA = "twinproof/history/v1"
_WORDS = {
    Subject.ALLOW_ANY_DEVICE: "any device",
    Subject.REQUIRE_TCB_UP_TO_DATE: "TCB must be UpToDate",
    Subject.UPGRADES_DISABLED: "upgrades disabled",
    Subject.IMPLEMENTATION: "code",
}
SHOWN_NOTES = {
    NoteKind.UNKNOWN_IMPLEMENTATION,
    NoteKind.UPGRADED_THOUGH_DISABLED,
    NoteKind.UNEXPLAINED_POLICY,
    NoteKind.OTHER_EVENT,
}
_MEMBERS = {Subject.COMPOSE_HASH, Subject.DEVICE}
FAILS = {
    FindingKind.DARK,
    FindingKind.ATTESTED_NOT_LOGGED,
    FindingKind.OPAQUE,
    FindingKind.INCOMPLETE,
    FindingKind.STALE,
    FindingKind.NOT_FROM_FACTORY,
    FindingKind.NOT_REGISTERED,
}


@dataclass(frozen=True, slots=True)
class HistoryReport:
    """All that the report shows. `devices` are names of machines by device id; `whose` says whose word the log is.

    `texts` are published app-compose texts by their hashes, as far as they are at hand. `told_by` are the endpoints
    that tell of each pending log, `unproved` the transactions (hashes) of which hash and sender are the word of
    `named_by` though proofs were asked for, and why.
    """

    chain_id: int
    history: History
    publication: Publication
    times: Mapping[int, int]
    pending: Sequence[Log]
    head_block: int
    whose: str
    proved: bool
    registered: bool | None
    dissent: Sequence[tuple[str, str]]
    open_questions: Sequence[str]
    devices: Mapping[bytes, str]
    texts: Mapping[bytes, str] = field(default_factory=dict)
    told_by: Mapping[Log, Sequence[str]] = field(default_factory=dict)
    unproved: Mapping[bytes, str] = field(default_factory=dict)
    named_by: str = ""

    @property
    def exit_code(self) -> int:
        """4 when something could have had keys that nobody published, or ran that the log never allowed."""
        return 4 if any(finding.kind in FAILS for finding in self.publication.findings) else 0


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the log: `sign` is + or -, `compose_hash` is empty where it is about something else."""

    moment: Moment
    sign: str
    text: str
    dark: bool = False
    compose_hash: bytes = b""


def history_text(report: HistoryReport, style: Style) -> str:
    """The whole report, with its last line break."""
    history = report.history
    lines = [
        style.rule(double=True),
        style.paint("  TWINPROOF: what could ever run as this app?", "bold"),
        style.rule(double=True),
        f"  app 0x{history.contract.hex()}",
        *paragraph(
            f"chain {report.chain_id}, blocks {history.from_block} to {history.to_block}: {report.whose}", style
        ),
        "",
        f"  {'Block':<9} {'Time (UTC)':<16} {'Change':<28} {'Transaction':<11} By",
        "  " + style.rule()[: style.width - 2],
        *(_line(change, report, style) for change in changes(report)),
        *_unproved_lines(report, style),
        *_pending_lines(report, style),
        "",
    ]
    for finding in report.publication.findings:
        late = Status.PASS if finding.kind is FindingKind.LATELY_SUPERSEDED else Status.WARN
        status = Status.FAIL if finding.kind in FAILS else late
        lines += bullet(style.mark(status), 6 if style.unicode else 4, f"{finding.kind}: {finding.text}", style)
    for note in history.noted(SHOWN_NOTES):
        text = f"block {note.log.block_number}: {note.kind}" + (f" ({note.text})" if note.text else "")
        lines += bullet(style.mark(Status.WARN), 6 if style.unicode else 4, text, style)
    for name, reason in report.dissent:
        lines += bullet(style.mark(Status.WARN), 6 if style.unicode else 4, f"endpoint {name} {reason}", style)
    for question in report.open_questions:
        lines += bullet(style.mark(Status.NOT_CHECKED), 6 if style.unicode else 4, f"not read: {question}", style)
    colour = {True: "green", False: "red", None: "yellow"}[report.publication.all_published]
    lines += [
        style.rule(double=True),
        *(style.paint(line, "bold", colour) for line in paragraph(capital(report.publication.sentence), style, "")),
        style.rule(double=True),
    ]
    return "\n".join(lines) + "\n"


def history_json(report: HistoryReport) -> dict[str, object]:
    """Schema `twinproof/history/v1`; hashes and addresses as hex with 0x, times in unix seconds."""
    history, publication = report.history, report.publication
    return {
        "schema": SCHEMA,
        "chain_id": report.chain_id,
        "app_id": _hex(history.contract),
        "from_block": history.from_block,
        "to_block": history.to_block,
        "proved": report.proved,
        "whose_word": report.whose,
        "registered": report.registered,
        "all_published": publication.all_published,
        "versions": [
            {
                "compose_hash": _hex(version.compose_hash),
                "versions": list(version.names),
                "sources": list(version.sources),
                "dark": version.dark,
                "allowed_now": version.allowed_now,
                "spans": [_span_json(span, report) for span in version.spans],
            }
            for version in publication.versions
        ],
        "spans": [_span_json(span, report) for span in history.spans if span.subject is not Subject.COMPOSE_HASH],
        "pending": [
            {
                "block": log.block_number,
                "depth": _depth(log, report),
                "transaction": _hex(log.transaction_hash),
                "told_by": list(report.told_by.get(log, ())),
            }
            for log in report.pending
        ],
        "findings": [
            {"kind": finding.kind.value, "text": finding.text, "compose_hash": finding.compose_hash.hex()}
            for finding in publication.findings
        ],
        "notes": [
            {
                "kind": note.kind.value,
                "block": note.log.block_number,
                "log_index": note.log.log_index,
                "text": note.text,
            }
            for note in history.notes
        ],
        "dissent": [{"endpoint": name, "reason": reason} for name, reason in report.dissent],
        "not_read": list(report.open_questions),
        "exit_code": report.exit_code,
    }


def _span_json(span: Span, report: HistoryReport) -> dict[str, object]:
    value = _hex(span.value) if isinstance(span.value, bytes) else span.value
    return {
        "subject": span.subject.value,
        "value": value,
        "since": _moment_json(span.since, report),
        "until": _moment_json(span.until, report),
    }


def _moment_json(moment: Moment | None, report: HistoryReport) -> dict[str, object] | None:
    if moment is None:
        return None
    return {
        "block": moment.block_number,
        "time": report.times.get(moment.block_number),
        "transaction": _hex(moment.transaction_hash),
        "transaction_proved": report.proved and moment.transaction_hash not in report.unproved,
        "log_index": moment.log.log_index,
        "actor": None if moment.actor is None else _hex(moment.actor),
    }


def changes(report: HistoryReport) -> list[Change]:
    """One for each start and each end of a span; a single value's end is the next one's start."""
    found: list[Change] = []
    for span in report.history.spans:
        if span.since is not None:
            found.append(_change(span.since, "+", span, report))
        if span.until is not None and span.subject in _MEMBERS:
            found.append(_change(span.until, "-", span, report))
    return sorted(found, key=lambda change: change.moment.position)


def _change(moment: Moment, sign: str, span: Span, report: HistoryReport) -> Change:
    compose_hash = span.value if span.subject is Subject.COMPOSE_HASH and isinstance(span.value, bytes) else b""
    return Change(moment, sign, _what(span, report), _dark(span, report), compose_hash)


def _what(span: Span, report: HistoryReport) -> str:
    if span.subject is Subject.COMPOSE_HASH and isinstance(span.value, bytes):
        version = next(item for item in report.publication.versions if item.compose_hash == span.value)
        return f"{version.title} {span.value.hex()}"
    if span.subject is Subject.DEVICE and isinstance(span.value, bytes):
        name = report.devices.get(span.value)
        return f"device {name} {span.value.hex()}" if name else f"device {span.value.hex()}"
    return f"{_WORDS.get(span.subject, span.subject.value)}: {_value(span.value)}"


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _hex(value) if isinstance(value, bytes) else value


def _dark(span: Span, report: HistoryReport) -> bool:
    return span.subject is Subject.COMPOSE_HASH and any(
        version.dark and version.compose_hash == span.value for version in report.publication.versions
    )


def _line(change: Change, report: HistoryReport, style: Style) -> str:
    moment = change.moment
    text = style.ellipsis(f"{change.sign} {change.text}", 28).ljust(28)
    if change.dark:
        text = style.paint(text, "red")
    actor = "" if moment.actor is None else style.ellipsis(_hex(moment.actor), 10)
    word = "*" if moment.transaction_hash in report.unproved else ""
    transaction = style.ellipsis(_hex(moment.transaction_hash), 11 - len(word)) + word
    return f"  {moment.block_number:<9} {_time(moment.block_number, report)} {text} {transaction:<11} {actor}".rstrip()


def _time(block: int, report: HistoryReport) -> str:
    seconds = report.times.get(block)
    return " " * 16 if seconds is None else datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M")


def _unproved_lines(report: HistoryReport, style: Style) -> Iterator[str]:
    for reason in dict.fromkeys(report.unproved.values()):
        text = f"* the transaction's hash and who sent it are as {report.named_by} says, and not proved: {reason}"
        yield from paragraph(text, style)


def _pending_lines(report: HistoryReport, style: Style) -> Iterator[str]:
    for log in report.pending:
        try:
            event = decode_event(log, report.history.contract)
        except Malformed:
            event = None
        if event is not None and event.kind is Kind.POLICY_CHANGED:
            continue  # it tells of the event beside it
        what = "an event of another kind" if event is None else str(event.kind)
        text = style.ellipsis(f"? {what} {log.data.hex()}", 28).ljust(28)
        transaction = style.ellipsis(_hex(log.transaction_hash), 11)
        line = f"  {log.block_number:<9} {_time(log.block_number, report)} {text} {transaction:<11}"
        yield f"{line} {_depth(log, report)} deep"
    if report.pending:
        told = sorted({name for log in report.pending for name in report.told_by.get(log, ())})
        whose = f" It is as {', '.join(told)} say{'' if len(told) > 1 else 's'}." if told else ""
        yield from paragraph(f"? is pending: its block is not final, and may be undone.{whose}", style)


def _depth(log: Log, report: HistoryReport) -> int:
    """Blocks on top of it, itself included."""
    return max(1, report.head_block - log.block_number + 1)


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"
