"""`twinproof verify --batch`: many items through worker processes, one line each, in order; nothing is fetched."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator

from twinproof.batch import in_order
from twinproof.cli.judge_items import Brief, Judge, Judged, judge_items, prepare
from twinproof.cli.output import style_of
from twinproof.cli.progress import Progress
from twinproof.cli.settings import Settings, read_settings
from twinproof.cli.summary_signing import given_signing_flags
from twinproof.cli.supplied import SuppliedCollateral, read_app_compose
from twinproof.errors import Unavailable, UsageError, worst_exit_code
from twinproof.report.style import Style
from twinproof.report.verdict_text import STORED, policy_lines, simulated_line
from twinproof.sources.batch_input import BatchInput, Item, open_batch
from twinproof.sources.workers import Workers

__all__ = ["run_batch"]

MAX_JOBS = 256
CHUNKS_PER_JOB = 4
"""In flight or waiting for their turn: a slow item does not keep the other workers idle for long."""
UNCUT = 1 << 16
_WORDS = {
    0: "accepted",
    1: "bugs of twinproof",
    3: "not genuine or malformed",
    4: "not as expected",
    5: "not obtained",
}


def run_batch(arguments: argparse.Namespace) -> int:
    """The exit code over all items: 3 before 5 before 4, and 0 only when every one of them has it."""
    jobs = _jobs(arguments)
    settings = read_settings(arguments)
    brief = Brief(
        settings=settings,
        collateral=SuppliedCollateral.read(arguments.collateral),
        app_compose=read_app_compose(arguments.app_compose),
        second_opinion=arguments.second_opinion,
        style=None if arguments.json else _line_style(),
    )
    judge = Judge(brief)  # what is wrong with the policy is told before anything is read
    with open_batch(arguments.batch) as batch, Workers(jobs, prepare, brief) as workers:

        def lost(item: Item, death: BaseException) -> Judged:
            hint = "nothing is known about it; `twinproof verify` judges it alone"
            return judge.failed(item, Unavailable("its worker died", where=item.name, got=str(death), hint=hint))

        results = in_order(batch.chunks, workers, judge_items, lost=lost, window=CHUNKS_PER_JOB * jobs)
        return _print(results, batch, settings, brief.style)


def _jobs(arguments: argparse.Namespace) -> int:
    """Raises UsageError for flags that say something else than a batch does."""
    for given, flag in (
        (arguments.target, "URL|FILE"),
        (arguments.explain, "--explain"),
        (arguments.save, "--save"),
        (arguments.html, "--html"),
        (arguments.junit, "--junit"),
        (arguments.sarif, "--sarif"),
        (arguments.format, "--format"),
        *((True, flag) for flag in given_signing_flags(arguments)),
        (arguments.ra_tls, "--ra-tls"),
        (arguments.collateral_url, "--collateral-url"),
        (arguments.ca_file, "--ca-file"),
        (arguments.chain, "--chain"),
        (arguments.proof, "--proof"),
    ):
        if given:
            raise UsageError(
                f"--batch and {flag} exclude each other",
                where="twinproof verify",
                hint="a batch prints one line per file, and fetches nothing",
            )
    jobs: int | None = arguments.jobs
    if jobs is None:
        return min(MAX_JOBS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    if not 1 <= jobs <= MAX_JOBS:
        raise UsageError("not a number of processes", where="--jobs", got=str(jobs), expected=f"1 to {MAX_JOBS}")
    return jobs


def _line_style() -> Style:
    """Lines are cut to a terminal's width, and nowhere else."""
    style = style_of()
    return style if sys.stdout.isatty() else style._replace(width=UNCUT)


def _print(results: Iterator[Judged], batch: BatchInput, settings: Settings, style: Style | None) -> int:
    codes: Counter[int] = Counter()
    progress = Progress(batch.total, batch.fraction)
    same_terminal = sys.stdout.isatty()
    try:
        for done, judged in enumerate(results, start=1):
            if same_terminal:
                progress.hide()
            if not codes and style is not None:
                _print_opening(settings, style)
            print(judged.line, flush=True)
            codes[judged.exit_code] += 1
            progress.show(done, done - codes[0])
    finally:
        progress.hide()
    seconds = progress.seconds
    counts = ", ".join(f"{codes[code]} {word} (exit {code})" for code, word in _WORDS.items() if codes[code])
    rate = codes.total() / max(seconds, 1e-3)
    print(f"twinproof: {codes.total()} in {seconds:.1f} s, {rate:.0f}/s: {counts}", file=sys.stderr)
    return worst_exit_code(codes)


def _print_opening(settings: Settings, style: Style) -> None:
    """What every report says: simulated hardware first, that files are no word about now, how the policy is weak."""
    narrow = style._replace(width=min(80, style.width))
    if settings.simulated:
        print("\n".join(simulated_line({root.name for root in settings.roots}, narrow)))
    print(STORED)
    print("\n".join(policy_lines(settings.policy)))
