"""`twinproof history APP_ID`: everything that was ever allowed to run, joined with what was published."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from twinproof.cli.chain_reading import chain_reader, whose_word
from twinproof.cli.chain_settings import address_of, with_flags
from twinproof.cli.configuration import read_configuration
from twinproof.cli.output import style_of
from twinproof.cli.report_files import check_html, write_report
from twinproof.errors import TwinproofError, UsageError
from twinproof.release.publication import publication
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


def run(arguments: argparse.Namespace) -> int:
    from twinproof.chain.events import Kind, topics
    from twinproof.sources.app_history import read_app_history
    from twinproof.sources.rpc import header_at

    app_id = address_of(arguments.app_id, "APP_ID")
    check_html(arguments.html)
    configuration = read_configuration(arguments.config)
    files = [item for name in arguments.published for item in compose_files(name)]
    records, tagged, questions = _repository(app_id)
    with chain_reader(with_flags(configuration.chain, arguments), arguments) as reader:
        read = read_app_history(reader, app_id)
        head = header_at(reader.first, "latest").number if read.pending else read.agreement.block.number
        whose = whose_word(read.agreement, reader)
        power, power_missing = _power(reader, read) if arguments.html is not None else (None, "")
        dissent = tuple(sorted({**dict(read.agreement.dissent), **reader.quorum.dissent}.items()))
        proofs = reader.proofs(app_id)
    report = HistoryReport(
        chain_id=read.chain_id,
        history=read.history,
        publication=publication(
            read.history,
            [*files, *records.published],
            tagged=tagged,
            attested=records.attested,
            complete=read.complete,
            pending=[log.data for log in read.pending if log.topics == topics(Kind.COMPOSE_HASH_ADDED)],
        ),
        times=read.times,
        pending=read.pending,
        head_block=head,
        whose=whose,
        proved=read.proved,
        registered=read.registered,
        dissent=dissent,
        open_questions=(*read.open_questions, *questions),
        devices={machine.device_id: machine.name for machine in configuration.machines if machine.device_id},
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


def _power(reader: ChainReader, read: AppHistory) -> tuple[Power | None, str]:
    """Who could change it, for the page; where that cannot be read, the history is still told."""
    from twinproof.sources.app_power import read_power

    try:
        return read_power(reader, read), ""
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
