"""An archive of a hundred thousand bundles: the speed and memory of its audit, and how fast a page answers."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.command import Spent, spent
from bench.evidence_archive import PLATFORMS, VERSIONS, Made, make
from bench.progress import rounds_within, say
from bench.results import Bar, Section
from bench.rounds import Figure

__all__ = ["measure"]

FEW, MANY = 5_000, 100_000
SMALL_FEW, SMALL_MANY = 100, 400
REQUESTS = 50
MAX_ROUNDS = 3
MAX_SECONDS = 420.0  # for the rounds; the archive is made in about two minutes before
MIB = 1 << 20
METHOD = f"""\
Distinct bundles of {PLATFORMS} devnet platforms and {VERSIONS} versions, each with an answer of its own, in an
archive. `twinproof audit ARCHIVE --jobs 2` judges all of them; taking turns with it, `twinproof verify --batch
FILE.jsonl --jobs 2` judges the same bundles from a file. Whole commands, wall time; memory is the sum of the largest
resident sizes of all processes. A page is `GET /` of `twinproof serve` on loopback, {REQUESTS} times, whole, each over
a connection of its own; the first one after the start stands alone."""


def _pages(made: Made) -> tuple[float, ...]:
    """Seconds of each request; the first is the server's first."""
    command = [sys.executable, "-m", "twinproof", "serve", made.archive(made.many), *made.flags]
    times = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101  (it was asked for)
        url = process.stdout.readline().strip()
        for _ in range(REQUESTS + 1):
            start = time.perf_counter()
            with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310  (our own server on loopback)
                hashlib.sha256(answer.read())
            times.append(time.perf_counter() - start)
        process.terminate()
    return tuple(times)


def measure(rounds: int, *, small: bool = False) -> list[Section]:
    few, many = (SMALL_FEW, SMALL_MANY) if small else (FEW, MANY)
    with tempfile.TemporaryDirectory() as folder:
        say(f"making {many:,} bundles")
        made = make(Path(folder), few, many)

        def batch() -> Spent:
            command = ["verify", "--batch", made.lines, *made.flags, "--jobs", "2"]
            return spent(command, b"%d accepted" % many)

        def audit(number: int) -> Spent:
            command = ["audit", made.archive(number), *made.flags, "--jobs", "2", "--json"]
            return spent(command, b'"holds": %d' % number)

        runs = _Runs([], [], [])
        for _ in rounds_within(min(rounds, MAX_ROUNDS), MAX_SECONDS):
            runs.short.append(audit(few))
            runs.audits.append(audit(many))
            runs.batches.append(batch())
            say(f"audit {runs.audits[-1].seconds:.1f} s, batch {runs.batches[-1].seconds:.1f} s")
        say("asking for the overview")
        first, *pages = _pages(made)
    return [_section(few, many, runs, first, pages)]


@dataclass(frozen=True, slots=True)
class _Runs:
    """What each round spent: on a batch of all bundles, an audit of all and one of the few."""

    batches: list[Spent]
    audits: list[Spent]
    short: list[Spent]


def _section(few: int, many: int, spent_by: _Runs, first: float, later: list[float]) -> Section:
    batch = Figure(f"batch of {many:,}, one bundle", tuple(run.seconds / many for run in spent_by.batches))
    audit = Figure(f"audit of {many:,}, one bundle", tuple(run.seconds / many for run in spent_by.audits))
    memory = [
        Figure(f"memory of all processes of an audit of {number:,}", tuple(run.memory / MIB for run in runs))
        for number, runs in ((few, spent_by.short), (many, spent_by.audits))
    ]
    rate = median(theirs / mine for mine, theirs in zip(audit.seconds, batch.seconds, strict=True))
    growth = median(memory[1].seconds) - median(memory[0].seconds)
    overview = Figure(f"the overview of {many:,} bundles", tuple(later))
    return Section(
        "An archive",
        METHOD,
        [
            batch.to_json("µs"),
            audit.to_json("µs"),
            *({**figure.to_json("s"), "unit": "MiB"} for figure in memory),
            Figure("the first overview after the start of the server", (first,)).to_json("ms"),
            overview.to_json("ms"),
        ],
        [
            Bar("the rate of an audit, against that of a batch of the same bundles", rate, 0.7, at_least=True),
            Bar(f"memory of an audit of {many:,} bundles beyond that of {few:,}", growth, 100, "MiB"),
            Bar("the overview page, median", median(later) * 1000, 100, "ms"),
        ],
    )
