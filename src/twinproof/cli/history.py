"""`twinproof history APP_ID`: everything that was ever allowed to run, joined with what was published."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from twinproof.cli.chain_reading import chain_reader, whose_word
from twinproof.cli.chain_settings import address_of, with_flags
from twinproof.cli.configuration import read_configuration
from twinproof.cli.output import style_of
from twinproof.cli.report_files import check_html, write_report
from twinproof.errors import TwinproofError, UsageError
from twinproof.release.publication import ReadLog, publication
from twinproof.release.versions import Version
from twinproof.report.history_text import HistoryReport, history_json, history_text
from twinproof.sources import clock
from twinproof.sources.git import find_repository
from twinproof.sources.published import Sources, compose_files, recorded, tagged_versions

if TYPE_CHECKING:
    from twinproof.chain.power import Power
    from twinproof.sources.app_history import AppHistory
    from twinproof.sources.chain_state import ChainReader

__all__ = ["run"]

_DAY, _MOST_DAYS = 86_400, 36_500


def run(arguments: argparse.Namespace) -> int:
    from twinproof.chain.trusted import TrustedChain
    from twinproof.sources.app_history import read_app_history

    app_id = address_of(arguments.app_id, "APP_ID")
    check_html(arguments.html)
    if not 0 <= arguments.superseded_days <= _MOST_DAYS:
        raise UsageError("out of range", where="--superseded-days", got=str(arguments.superseded_days))
    configuration = read_configuration(arguments.config)
    files = [item for name in arguments.published for item in compose_files(name)]
    records, tagged, questions = _repository(app_id)
    with chain_reader(with_flags(configuration.chain, arguments), arguments) as reader:
        trusted = configuration.policy.trusted_chain if configuration.policy is not None else TrustedChain()
        listed = trusted.app_implementations
        read = read_app_history(reader, app_id, known_code=frozenset(listed))
        whose = whose_word(read.agreement, reader)
        age = clock.now() - read.agreement.block.timestamp
        power, power_missing = _power(reader, read, age, trusted.max_age) if arguments.html is not None else (None, "")
        dissent = tuple(sorted({**dict(read.agreement.dissent), **reader.quorum.dissent}.items()))
        proofs = reader.proofs(app_id)
        named_by = reader.first.name
    report = HistoryReport(
        chain_id=read.chain_id,
        history=read.history,
        publication=publication(
            read.history,
            [*files, *records.published],
            tagged=tagged,
            attested=records.attested,
            log=ReadLog(
                complete=read.complete,
                by_factory=read.by_factory,
                registered=read.registered,
                pending=read.pending.compose_hashes,
                pending_code=read.pending.code_changes(read.known_code),
                times=read.times,
                at=read.agreement.block.timestamp,
                superseded_after=int(arguments.superseded_days * _DAY),
                age=age,
                most_age=trusted.max_age,
            ),
        ),
        times=read.times,
        pending=read.pending.logs,
        head_block=read.pending.head,
        whose=whose,
        proved=read.proved,
        registered=read.registered,
        dissent=dissent,
        open_questions=(*read.open_questions, *questions),
        devices={machine.device_id: machine.name for machine in configuration.machines if machine.device_id},
        told_by=read.pending.told_by,
        unproved=read.unproved,
        named_by=named_by,
        texts={item.compose_hash: item.text for item in (*files, *records.published) if item.text},
    )
    if arguments.html is not None:
        from twinproof.report.html.history_page import history_page

        page = history_page(report, power=power, power_missing=power_missing, proofs=proofs, now=clock.now())
        write_report("--html", arguments.html, page)
    if arguments.json:
        print(json.dumps(history_json(report), indent=1))
    else:
        print(history_text(report, style_of()), end="")
    return report.exit_code


def _power(reader: ChainReader, read: AppHistory, age: int, most_age: int) -> tuple[Power | None, str]:
    """Who could change it, for the page; where that cannot be read, the history is still told."""
    from twinproof.sources.app_power import read_power

    try:
        return replace(read_power(reader, read), age=age, most_age=most_age), ""
    except TwinproofError as error:
        return None, f"not read: {error}"


def _repository(app_id: bytes) -> tuple[Sources, tuple[Version, ...], list[str]]:
    """Records and tags of the repository that this is run in; without one there are none."""
    try:
        git = find_repository()
    except UsageError:
        found = recorded(Path.cwd(), app_id)
        return found, (), [f"deployments/{name}: not a record" for name in found.broken]
    found = recorded(git.top, app_id)
    return found, tagged_versions(git), [f"deployments/{name}: not a record" for name in found.broken]
