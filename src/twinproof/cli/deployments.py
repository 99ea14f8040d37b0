"""`twinproof deployments verify|render|import`: the records, the documents made of them, and whether they are true."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from textwrap import wrap

from twinproof.cli.chain_settings import with_flags
from twinproof.cli.configuration import Configuration, policy_of, read_configuration
from twinproof.cli.http_client import http_client
from twinproof.cli.output import style_of
from twinproof.cli.report_files import check_html, write_report
from twinproof.cli.settings import roots_of
from twinproof.deployments.anchor import Mined
from twinproof.deployments.check import Assessment, assess, clock_findings, cross_check, replays
from twinproof.deployments.documents import NAMES, documents
from twinproof.deployments.historical import HistoricalRow, judge_rows, read_table
from twinproof.deployments.proof import bundle_digest, proof_digest
from twinproof.deployments.record import Anchor, Record
from twinproof.deployments.standing import rows
from twinproof.errors import Malformed, Refused, TwinproofError, Unavailable, UsageError, worst_exit_code
from twinproof.evidence.bundle import parse_bundle
from twinproof.policy import Pins
from twinproof.report.layout import bullet
from twinproof.report.verdict_text import simulated_line
from twinproof.sources import clock
from twinproof.sources.deployment_records import FOLDER, read_bundle_text, read_records
from twinproof.sources.disk import write_over
from twinproof.sources.files import read_file
from twinproof.sources.git import find_repository
from twinproof.sources.mined import chain_id_of, mined_transaction, what_is
from twinproof.sources.rpc import Endpoint
from twinproof.sources.rpc_errors import RpcUntrue
from twinproof.sources.rpc_quorum import Quorum
from twinproof.verifier import Verdict, Verifier
from twinproof.wire import shown

__all__ = ["run"]

_INDENT = " " * 13


def run(arguments: argparse.Namespace) -> int:
    return {"verify": _verify, "render": _render, "import": _import}[arguments.action](arguments)


def _top(arguments: argparse.Namespace) -> Path:
    """Raises UsageError for a named directory without any: of no records it is easily said that none is false."""
    if not arguments.directory:
        return find_repository().top
    top = Path(arguments.directory)
    if not (top / FOLDER).is_dir() and not any((top / name).is_file() for name in NAMES):
        where, expected = f"--directory {shown(arguments.directory)}", f"a directory with {FOLDER}/"
        raise UsageError("no deployment records here", where=where, expected=expected)
    return top


def _render(arguments: argparse.Namespace) -> int:
    top = _top(arguments)
    records = read_records(top / FOLDER).whole()
    before = {name: _text(top / name) for name in NAMES if (top / name).is_file()}
    after = documents(before, records)
    stale = [name for name, text in after.items() if before.get(name) != text]
    if arguments.check and stale:
        raise Refused(
            "not what the records say", where=", ".join(stale), hint="`twinproof deployments render` writes these files"
        )
    for name in stale:
        write_over(top / name, after[name].encode())
        print(f"twinproof: wrote {name}", file=sys.stderr)
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("cannot be read as UTF-8 text", where=str(path)) from error


def _verify(arguments: argparse.Namespace) -> int:
    check_html(arguments.html)
    folder = _top(arguments) / FOLDER
    found = read_records(folder)
    configuration = read_configuration(arguments.config)
    policy = policy_of(arguments, configuration)
    policy = replace(
        policy,
        machines=configuration.machines,
        chain=with_flags(configuration.chain, arguments).believed(policy.chain),
        pins=Pins(app_id=policy.pins.app_id, kms_root=policy.pins.kms_root),
        required=frozenset(),
    )  # the other pins name the newest version, and records are about all of them
    verifier = Verifier(roots=roots_of(arguments.trust_root), policy=policy)
    simulated = {root.name for root in verifier.roots if not root.is_intel}
    chain = _Chain(_quorum(arguments, configuration))
    proofs = _proofs(folder, found.records)
    crossed = cross_check(found.records)
    now = clock.now()
    nonces: dict[str, bytes] = {}
    verdicts: dict[str, Verdict] = {}
    assessments = []
    for row in rows(found.records):
        record = row.record
        verdict, bundle = _verdict(folder, record, verifier)
        if isinstance(verdict, Verdict):
            verdicts[record.name] = verdict
        if isinstance(verdict, Verdict) and verdict.claims.statement is not None:
            nonces[record.name] = verdict.claims.statement.eat_nonce
        assessment = assess(
            record,
            mined=chain.mined(record),
            verdict=verdict,
            bundle=bundle,
            proof=proofs.get(record.name, b""),
        )
        pending = "" if assessment.findings or assessment.unchecked else chain.pending(record)
        assessments.append(
            replace(
                assessment,
                findings=assessment.findings + crossed.get(record.name, ()) + clock_findings(record, now),
                unchecked=assessment.unchecked + ((pending,) if pending else ()),
                codes=assessment.codes | ({Unavailable.exit_code} if pending else set()),
            )
        )
    replayed = replays(nonces, found.records)
    assessments = [replace(item, findings=item.findings + replayed.get(item.record.name, ())) for item in assessments]
    code = worst_exit_code([*(item.exit_code for item in assessments), *(error.exit_code for _, error in found.broken)])
    if arguments.html is not None:
        from twinproof.report.html.deployments_page import deployments_page

        write_report("--html", arguments.html, deployments_page(assessments, found.broken, verdicts, now=now))
    if arguments.json:
        print(json.dumps(_json(assessments, found.broken, code, simulated=bool(simulated)), indent=1))
    else:
        if simulated:
            print("\n".join(simulated_line(simulated, style_of())))
        for name, error in found.broken:
            print("\n".join(_wrapped(f"FALSE        {name}: {shown(str(error), 300)}", indent="")))
        for assessment in assessments:
            print("\n".join(_lines(assessment)))
        _summary(assessments, len(found.broken))
    return code


def _quorum(arguments: argparse.Namespace, configuration: Configuration) -> Quorum | None:
    """The endpoints and how many have to agree; None when no chain was named. Raises UsageError."""
    settings = with_flags(configuration.chain, arguments)
    if not settings.rpc:
        return None
    quorum = settings.opened(http_client(arguments))
    with contextlib.suppress(Unavailable):  # each record says that it was not checked, and why
        quorum.check_chain_id()
    return quorum


def _enough(quorum: Quorum | None) -> tuple[Endpoint, ...]:
    """As many as have to agree, of those that were not caught at anything where they are enough."""
    if quorum is None:
        return ()
    trusted = quorum.trusted if len(quorum.trusted) >= quorum.needed else tuple(quorum.endpoints)
    return trusted[: quorum.needed]


class _Chain:
    """What the endpoints say, each thing asked once: machines of one version share a transaction."""

    def __init__(self, quorum: Quorum | None) -> None:
        endpoints = _enough(quorum)
        self._quorum, self._endpoint = quorum, endpoints[0] if endpoints else None
        self._others = endpoints[1:]
        self._found: dict[bytes, Mined | TwinproofError] = {}

    def mined(self, record: Record) -> Mined | TwinproofError | None:
        """The record's transaction, or why it is not there; None without an endpoint or a transaction."""
        if record.anchor is None or self._endpoint is None:
            return None
        transaction = record.anchor.transaction
        if transaction not in self._found:
            try:
                self._found[transaction] = self._ask(self._endpoint, record.anchor)
            except TwinproofError as error:
                self._found[transaction] = error
        return self._found[transaction]

    def _ask(self, endpoint: Endpoint, anchor: Anchor) -> Mined:
        if self._chain_id != anchor.chain_id:
            raise UsageError(
                "an endpoint of another chain",
                where=endpoint.name,
                got=f"chain id {self._chain_id}",
                expected=f"chain id {anchor.chain_id}",
            )
        found = mined_transaction(endpoint, anchor.transaction)
        for other in self._others:
            try:
                same = _told(mined_transaction(other, anchor.transaction)) == _told(found)
            except Refused:
                same = False
            if not same:
                raise RpcUntrue(
                    "the endpoints do not agree on the transaction",
                    where=f"0x{anchor.transaction.hex()}",
                    got=f"{endpoint.name} and {other.name} say different things",
                    hint="one of them lies or lags; ask more endpoints",
                )
        return found

    @cached_property
    def _chain_id(self) -> int:
        return 0 if self._endpoint is None else chain_id_of(self._endpoint)

    @cached_property
    def _final(self) -> int | TwinproofError:
        try:
            return 0 if self._quorum is None else self._quorum.finalized().block.number
        except TwinproofError as error:
            return error

    def pending(self, record: Record) -> str:
        """Why the block may still be taken out of the chain; empty when it may not, or there is nothing to ask."""
        if self._endpoint is None or record.anchor is None:
            return ""
        if isinstance(self._final, TwinproofError):
            return f"whether its block is final is not known: {self._final}"
        return (
            ""
            if record.anchor.block <= self._final
            else f"its block {record.anchor.block} is not final yet: {self._final} is"
        )


def _told(mined: Mined) -> tuple[object, ...]:
    """What a record rests on; endpoints may differ in the rest."""
    receipt = mined.receipt
    return receipt.succeeded, receipt.block_number, receipt.block_hash, receipt.logs, mined.block_time


def _verdict(folder: Path, record: Record, verifier: Verifier) -> tuple[Verdict | TwinproofError | None, bytes]:
    if record.attested is None:
        return None, b""
    try:
        text = read_bundle_text(folder, record)
        return verifier.verify(parse_bundle(text)), bundle_digest(text)
    except TwinproofError as error:
        return error, b""


def _proofs(folder: Path, records: tuple[Record, ...]) -> dict[str, bytes]:
    """The proof digest of every record, from the bundles of its version and run as they are now."""
    runs: dict[tuple[str, str], list[bytes]] = {}
    for record in records:
        if record.attested is not None:
            try:
                digest = bundle_digest(read_bundle_text(folder, record))
            except TwinproofError:  # the record's own assessment names it
                continue
            runs.setdefault((str(record.version), record.run), []).append(digest)
    return {record.name: proof_digest(runs.get((str(record.version), record.run), ())) for record in records}


def _lines(item: Assessment) -> list[str]:
    word = "FALSE" if item.findings else "NOT CHECKED" if item.unchecked else "true"
    outcome = "" if item.record.failure is None else " (failed)"
    lines = [f"{word:<12} {item.record.name}{outcome}"]
    for finding in item.findings:
        lines += _wrapped(shown(str(finding), 400))
    for hint in dict.fromkeys(finding.hint for finding in item.findings if finding.hint):
        lines += _wrapped(f"hint: {hint}")
    for text in item.unchecked:
        lines += _wrapped(f"not checked: {shown(text, 400)}")
    return lines


def _wrapped(text: str, indent: str = _INDENT) -> list[str]:
    return wrap(text, style_of().width, initial_indent=indent, subsequent_indent=_INDENT, break_on_hyphens=False)


def _summary(items: list[Assessment], broken: int) -> None:
    false = sum(bool(item.findings) for item in items) + broken
    unchecked = sum(bool(item.unchecked) and not item.findings for item in items)
    failed = sum(item.record.failure is not None for item in items)
    print(
        f"{len(items) + broken} records: {sum(item.holds for item in items)} true, {false} false, "
        f"{unchecked} not checked in full" + (f"; {failed} of deployments that failed" if failed else ""),
        file=sys.stderr,
    )


def _json(
    items: list[Assessment], broken: tuple[tuple[str, TwinproofError], ...], code: int, *, simulated: bool
) -> dict[str, object]:
    return {
        "schema": "twinproof/deployments/v1",
        "exit_code": code,
        "simulated_hardware": simulated,
        "records": [
            {
                "name": item.record.name,
                "status": item.record.outcome.value,
                "true": item.holds,
                "findings": [
                    {
                        "fact": finding.fact,
                        "recorded": finding.recorded,
                        "found": finding.found,
                        "hint": finding.hint,
                    }
                    for finding in item.findings
                ],
                "not_checked": list(item.unchecked),
            }
            for item in items
        ],
        "broken": [{"name": name, "message": str(error)} for name, error in broken],
    }


def _import(arguments: argparse.Namespace) -> int:
    """Nothing is imported as true: a row of such a table is no evidence. Exit 4, for a table has at least one row."""
    try:
        text = read_file(arguments.file, "table", max_bytes=1 << 20).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8 text", where=shown(arguments.file)) from error
    table = read_table(text, shown(arguments.file))
    endpoints = _enough(_quorum(arguments, read_configuration(None)))
    marks = judge_rows(table, (lambda value: what_is(endpoints[0], value)) if endpoints else None)
    if arguments.json:
        print(json.dumps([_row_json(row, found) for row, found in zip(table, marks, strict=True)], indent=1))
        return 4
    for row, found in zip(table, marks, strict=True):
        print(f"line {row.line}: {shown(row.version, 20)} on {shown(row.machine, 40)}, {shown(row.timestamp, 40)}")
        for mark in found:
            print("\n".join(bullet("-", 1, shown(mark, 400), style_of())))
    print(f"{len(table)} rows, none of them evidence of a deployment", file=sys.stderr)
    return 4


def _row_json(row: HistoricalRow, found: tuple[str, ...]) -> dict[str, object]:
    return {
        "schema": "twinproof/deployments-import/v1",
        "line": row.line,
        "version": row.version,
        "machine": row.machine,
        "timestamp": row.timestamp,
        "wrong": list(found),
    }
