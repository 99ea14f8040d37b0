"""Many quotes through worker processes: speed of two against one, memory, and the cost of the hundred thousandth."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median

from bench.results import Bar, Section
from bench.rounds import Figure, ratio
from bench.simulated import AT, Platform
from twinproof.cli.judge_items import Brief, Judge
from twinproof.cli.main import build_parser
from twinproof.cli.settings import read_settings
from twinproof.cli.supplied import SuppliedCollateral
from twinproof.report.style import Style
from twinproof.sources.batch_input import Item
from twinproof_devnet.host import TdxHost

__all__ = ["measure", "peaks"]

FEW, MANY, MOST = 200, 20_000, 100_000
PLATFORMS = 50
BLOCK = 100
EVERY = 10  # blocks after which a new process is imitated
MAX_ROUNDS = 5
PAUSE = 0.02  # seconds between two looks at the processes
MIB = 1 << 20
METHOD = f"""\
`twinproof verify --batch FILE.jsonl --collateral FILE`: distinct quotes in hex, one per line, of {PLATFORMS} devnet
platforms in turn. Whole commands, wall time, start of the processes included; one and two workers take turns. Each
worker is a process beside the one that reads and prints, so \"one process\" is one worker. Memory is the sum of the
largest resident sizes of all processes of the command. The cost of a quote is the CPU time of what a worker does with
a line, in blocks of {BLOCK}; a fresh memory that has seen one quote of each platform is measured in between, so that
what disturbs the machine disturbs both."""


@dataclass(frozen=True, slots=True)
class _Files:
    """The quotes as lines: all of them, and the first ones in files of their own."""

    folder: Path

    def lines(self, number: int) -> Path:
        return self.folder / f"{number}.jsonl"

    @property
    def flags(self) -> list[str]:
        root, collateral = self.folder / "root.der", self.folder / "collateral.json"
        return ["--trust-root", str(root), "--collateral", str(collateral), "--at", str(AT)]

    @classmethod
    def write(cls, folder: Path) -> _Files:
        files = cls(folder)
        platform = Platform.create()
        hosts = [TdxHost.create(platform.pki, AT, name=f"machine {number}") for number in range(PLATFORMS)]
        (folder / "root.der").write_bytes(platform.root_der)
        (folder / "collateral.json").write_text(platform.collateral_text, encoding="utf-8")
        counts = (FEW, MANY, MOST)
        opened = {count: files.lines(count).open("wb") for count in counts}
        for number in range(MOST):
            report_data = hashlib.sha512(b"batch %d" % number).digest()
            line = hosts[number % PLATFORMS].quote(platform.boot.measurements, report_data).hex().encode() + b"\n"
            for count in counts:
                if number < count:
                    opened[count].write(line)
        for file in opened.values():
            file.close()
        return files


def _command(files: _Files, number: int, jobs: int) -> tuple[float, int]:
    """Seconds and bytes of one batch."""
    command = [sys.executable, "-m", "twinproof", "verify", "--batch", str(files.lines(number)), *files.flags]
    found: dict[int, int] = {}
    start = time.perf_counter()
    with subprocess.Popen(
        [*command, "--jobs", str(jobs)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        while process.poll() is None:
            found.update(peaks(process.pid))
            time.sleep(PAUSE)
        seconds = time.perf_counter() - start
        summary = (process.stderr or sys.stdin.buffer).read().decode()
    if f"{number} accepted (exit 0)" not in summary:
        raise AssertionError(summary)
    return seconds, sum(found.values())


def peaks(pid: int) -> Iterator[tuple[int, int]]:
    """Largest resident size of the process and of its children, which its threads start."""
    try:
        children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _words(task / "children")]
        for one in (pid, *children):
            words = _words(Path(f"/proc/{one}/status"))
            if "VmHWM:" in words:
                yield one, int(words[words.index("VmHWM:") + 1]) * 1024
    except OSError:
        return  # it has just ended


def _words(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split()


def _judge(files: _Files) -> Judge:
    arguments = build_parser().parse_args(["verify", "--batch", "x", *files.flags])
    collateral = SuppliedCollateral.read(arguments.collateral)
    return Judge(Brief(read_settings(arguments), collateral, None, second_opinion=False, style=Style()))


def _seconds_per_quote(judge: Judge, items: Sequence[Item]) -> float:
    start = time.process_time()
    codes = {judge.judged(item).exit_code for item in items}
    took = time.process_time() - start
    if codes != {0}:
        raise AssertionError(codes)
    return took / len(items)


def _costs(files: _Files) -> tuple[list[float], list[float]]:
    """Of each block in one long life, and of some of the blocks with a memory that is new but for the platforms."""
    long, fresh = [], []
    with files.lines(MOST).open("rb") as lines:
        items = (Item(f"line {number}", line.rstrip()) for number, line in enumerate(lines))
        known = list(islice(items, PLATFORMS))
        judge = _judge(files)
        _seconds_per_quote(judge, known)
        while len(block := list(islice(items, BLOCK))) == BLOCK:
            long.append(_seconds_per_quote(judge, block))
            if len(long) % EVERY == 1:
                other = _judge(files)
                _seconds_per_quote(other, known)
                fresh.append(_seconds_per_quote(other, block))
    return long, fresh


def measure(rounds: int) -> list[Section]:
    with tempfile.TemporaryDirectory() as folder:
        files = _Files.write(Path(folder))
        runs: dict[tuple[int, int], list[tuple[float, int]]] = {(MANY, 1): [], (MANY, 2): [], (FEW, 2): []}
        for _ in range(min(rounds, MAX_ROUNDS)):
            for (number, jobs), results in runs.items():
                results.append(_command(files, number, jobs))
        long, fresh = _costs(files)

    def figure(name: str, number: int, jobs: int) -> Figure:
        return Figure(name, tuple(seconds for seconds, _ in runs[number, jobs]))

    def memory(number: int) -> Figure:
        peaks = tuple(peak / MIB for _, peak in runs[number, 2])
        return Figure(f"memory of all processes, {number:,} quotes, two workers", peaks)

    one, two = figure(f"{MANY:,} quotes, one worker", MANY, 1), figure(f"{MANY:,} quotes, two workers", MANY, 2)
    most, least = memory(MANY), memory(FEW)
    growth = median(most.seconds) - median(least.seconds)
    blocks = [
        Figure("a quote among the first 100 of a process", tuple(fresh)),
        Figure("a quote among the first 1,000", tuple(long[: 1000 // BLOCK])),
        Figure("a quote among the first 10,000", tuple(long[: 10_000 // BLOCK])),
        Figure("a quote among 100,000", tuple(long)),
    ]
    flat = median(mine / base for mine, base in zip(long[::EVERY], fresh, strict=True))
    return [
        Section(
            "A batch",
            METHOD,
            [
                *(run.to_json("s") for run in (one, two)),
                *({**peak.to_json("s"), "unit": "MiB"} for peak in (least, most)),
                *(block.to_json("µs") for block in blocks),
            ],
            [
                Bar(
                    f"a batch of {MANY:,} quotes, so many times faster with two workers",
                    ratio(one, two),
                    1.7,
                    at_least=True,
                ),
                Bar(f"memory for {MANY:,} quotes beyond that for {FEW}", growth, 100, "MiB"),
                Bar("the cost of a quote among 100,000, against the first 100", flat, 1.2),
            ],
        )
    ]
