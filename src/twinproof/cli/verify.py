"""`twinproof verify`: one instance, one verdict."""

from __future__ import annotations

import argparse
import json

from twinproof.cli.collect import collect
from twinproof.cli.output import style_of
from twinproof.cli.report_files import check_report_files, print_summary, write_report_files
from twinproof.cli.second_opinion import second_opinion
from twinproof.cli.settings import read_settings
from twinproof.errors import TwinproofError, UsageError
from twinproof.report.verdict_text import verdict_text
from twinproof.sources import clock
from twinproof.verifier import Verifier

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    if arguments.batch is not None:
        from twinproof.cli.batch import run_batch

        return run_batch(arguments)
    if arguments.target is None:
        raise UsageError(
            "a URL or FILE is required, or --batch", where="twinproof verify", hint="twinproof verify --help"
        )
    if arguments.jobs is not None:
        raise UsageError("--jobs is about --batch", where="twinproof verify")
    check_report_files(arguments)
    settings = read_settings(arguments)
    with second_opinion(arguments) as opinion:
        verifier = Verifier(roots=settings.roots, policy=settings.policy, second_opinion=opinion)
        (collected,) = collect([arguments.target], settings, arguments, chain=True)
        if isinstance(collected.result, TwinproofError):
            raise collected.result
        verdict = verifier.verify(collected.result, at=settings.time_for(collected.result.fetched_at))
    write_report_files(arguments, None, [verdict])
    if arguments.format == "vsa":
        print_summary(arguments, None, [verdict])
    elif arguments.json:
        print(json.dumps(verdict.to_json(), indent=1))
    else:
        print(verdict_text(verdict, style_of(), now=clock.now(), explain=arguments.explain), end="")
    return verdict.exit_code
