"""An archive of a hundred thousand bundles: the speed and memory of its audit, and how fast a page answers."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median

from bench.batch import peaks
from bench.results import Bar, Section
from bench.rounds import Figure
from bench.simulated import AT, Platform
from twinproof.evidence.bundle import bundle_to_json
from twinproof.evidence.evidence import Evidence
from twinproof.sources.archive.entry import summary_of
from twinproof.sources.archive.store import Archive, New
from twinproof.verifier import Verifier
from twinproof_devnet.host import TdxHost

__all__ = ["measure"]

MANY, FEW = 100_000, 5_000
PLATFORMS, VERSIONS = 50, 200
REQUESTS = 50
MAX_ROUNDS = 3
PAUSE = 0.05  # seconds between two looks at the processes
MIB = 1 << 20
METHOD = f"""\
Distinct bundles of {PLATFORMS} devnet platforms and {VERSIONS} versions, each with an answer of its own, in an archive.
`twinproof audit ARCHIVE --jobs 2` judges all of them; beside it, `twinproof verify --batch FILE.jsonl --jobs 2` judges
{FEW:,} of the same bundles from a file. Whole commands, wall time; memory is the sum of the largest resident sizes of
all processes. A page is `GET /` of `twinproof serve` on loopback, {REQUESTS} times, after one that is not counted."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A folder with two archives, `FEW` bundles as lines, and the root."""

    folder: Path
    many: int

    def archive(self, number: int) -> Path:
        return self.folder / f"archive-{number}"

    @property
    def root(self) -> list[str]:
        return ["--trust-root", str(self.folder / "root.der")]


def _evidence(number: int) -> Iterator[tuple[Platform, Evidence]]:
    platform = Platform.create()
    collateral = platform.collateral()
    hosts = [TdxHost.create(platform.pki, AT, name=f"machine {index}") for index in range(PLATFORMS)]
    document = json.loads(platform.boot.app_compose)
    boots = [
        replace(platform.boot, app_compose=json.dumps({**document, "name": f"toy-{version}"}), app_id=bytes(20))
        for version in range(VERSIONS)
    ]
    for index in range(number):
        # Machines and versions in turn, but not in step.
        one = replace(platform, host=hosts[index % PLATFORMS], boot=boots[index // PLATFORMS % VERSIONS])
        (answer,) = one.instances(1, collateral)
        yield platform, answer


def _make(folder: Path, many: int) -> _Made:
    made, verifier = _Made(folder, many), None

    def news() -> Iterator[New]:
        nonlocal verifier
        with (folder / "few.jsonl").open("w", encoding="utf-8") as lines:
            for index, (platform, evidence) in enumerate(_evidence(many)):
                if verifier is None:
                    verifier = Verifier(roots=(platform.root,))
                    (folder / "root.der").write_bytes(platform.root_der)
                text = bundle_to_json(evidence)
                if index < FEW:
                    lines.write(json.dumps(json.loads(text)) + "\n")
                yield New(text.encode(), evidence.source, summary_of(verifier.verify(evidence)))

    with (
        Archive(str(made.archive(many)), write=True) as archive,
        Archive(str(made.archive(FEW)), write=True) as small,
    ):
        source = news()
        first = list(islice(source, FEW))
        list(small.add(first, clock=lambda: AT))
        list(archive.add(first, clock=lambda: AT))
        for _ in archive.add(source, clock=lambda: AT):
            pass
    return made


def _run(arguments: list[str], expected: bytes) -> tuple[float, int]:
    """Seconds and bytes of one command."""
    found: dict[int, int] = {}
    start = time.perf_counter()
    command = [sys.executable, "-m", "twinproof", *arguments]
    with tempfile.TemporaryFile() as output:
        with subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
            while process.poll() is None:
                found.update(peaks(process.pid))
                time.sleep(PAUSE)
            seconds = time.perf_counter() - start
        output.seek(0)
        said = output.read()
    if expected not in said:
        raise AssertionError(said[-2000:].decode())
    return seconds, sum(found.values())


def _pages(made: _Made) -> tuple[float, ...]:
    command = [sys.executable, "-m", "twinproof", "serve", str(made.archive(made.many)), *made.root]
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
    return tuple(times[1:])


def measure(rounds: int, *, many: int = MANY) -> list[Section]:
    with tempfile.TemporaryDirectory() as folder:
        made = _make(Path(folder), many)
        audits: list[tuple[float, int]] = []
        batches: list[tuple[float, int]] = []
        small: list[tuple[float, int]] = []
        for _ in range(min(rounds, MAX_ROUNDS)):
            lines = str(made.folder / "few.jsonl")
            batches.append(_run(["verify", "--batch", lines, *made.root, "--jobs", "2"], b"%d accepted" % FEW))
            for number, results in ((FEW, small), (many, audits)):
                command = ["audit", str(made.archive(number)), *made.root, "--jobs", "2", "--json"]
                results.append(_run(command, b'"holds": %d' % number))
        pages = _pages(made)
    batch = Figure(f"batch, seconds per 1,000 of {FEW:,}", tuple(took / FEW * 1000 for took, _ in batches))
    audit = Figure(f"audit, seconds per 1,000 of {many:,}", tuple(took / many * 1000 for took, _ in audits))
    rate = median(mine / theirs for mine, theirs in zip(batch.seconds, audit.seconds, strict=True))
    memory = [
        Figure(f"memory of all processes of an audit of {number:,}", tuple(peak / MIB for _, peak in results))
        for number, results in ((FEW, small), (many, audits))
    ]
    page = Figure(f"the overview of {many:,} bundles", pages)
    growth = median(memory[1].seconds) - median(memory[0].seconds)
    return [
        Section(
            "An archive",
            METHOD,
            [
                batch.to_json("ms"),
                audit.to_json("ms"),
                *({**figure.to_json("s"), "unit": "MiB"} for figure in memory),
                page.to_json("ms"),
            ],
            [
                Bar("the rate of an audit, against that of a batch of the same bundles", rate, 0.7, at_least=True),
                Bar(f"memory of an audit of {many:,} bundles beyond that of {FEW:,}", growth, 100, "MiB"),
                Bar("the overview page, median", median(pages) * 1000, 100, "ms"),
            ],
        )
    ]
