"""Many quotes through worker processes: speed of two against one, memory, and the cost of the hundred thousandth."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from statistics import median

from bench.command import Spent, spent
from bench.progress import rounds_within, say
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

__all__ = ["measure"]

PLATFORMS = 50
BLOCK = 100
EVERY = 20  # blocks after which a new process is imitated
MAX_ROUNDS = 5
MAX_SECONDS = 130.0  # for the rounds
MAX_COST_SECONDS = 150.0  # for the cost of each quote, which is not told when they are not enough
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Sizes:
    """Quotes of the smaller and the larger command, and those of which the cost of each is looked at."""

    few: int = 200
    many: int = 20_000
    most: int = 100_000


SMALL = Sizes(few=20, many=200, most=2_200)
METHOD = f"""\
`twinproof verify --batch FILE.jsonl --collateral FILE`: distinct quotes in hex, one per line, of {PLATFORMS} devnet
platforms in turn. Whole commands, wall time, start of the processes included; one and two workers take turns. Each
worker is a process beside the one that reads and prints, so \"one process\" is one worker. In the same rounds two
processes that share nothing check ECDSA signatures, at once and one behind the other: more than that this machine does
not give. Memory is the sum of the largest resident sizes of all processes of the command. The cost of a quote is the
CPU time of what a worker does with a line, in blocks of {BLOCK}; a fresh memory that has seen one quote of each
platform is measured in between, so that what disturbs the machine disturbs both."""
_SIGNATURES = """\
import hashlib
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
key = ec.generate_private_key(ec.SECP256R1())
signature = key.sign(b"a quote", ec.ECDSA(SHA256()))
for _ in range(5_000):
    key.public_key().verify(signature, b"a quote", ec.ECDSA(SHA256()))
"""


class _Quotes:
    """Never the same twice: the quotes of all platforms in turn, as lines in hex."""

    def __init__(self) -> None:
        self._platform = Platform.create()
        self._hosts = [TdxHost.create(self._platform.pki, AT, name=f"machine {n}") for n in range(PLATFORMS)]
        self._measurements = self._platform.boot.measurements
        self._numbers = count()

    def lines(self, number: int) -> Iterator[bytes]:
        for serial in islice(self._numbers, number):
            report_data = hashlib.sha512(b"batch %d" % serial).digest()
            yield self._hosts[serial % PLATFORMS].quote(self._measurements, report_data).hex().encode()

    def flags(self, folder: Path) -> list[str]:
        """What a command needs to accept them, written to this folder."""
        root, collateral = folder / "root.der", folder / "collateral.json"
        root.write_bytes(self._platform.root_der)
        collateral.write_text(self._platform.collateral_text, encoding="utf-8")
        return ["--trust-root", str(root), "--collateral", str(collateral), "--at", str(AT)]


@dataclass(frozen=True, slots=True)
class _Commands:
    """What each round found."""

    one: list[Spent]
    two: list[Spent]
    few: list[Spent]
    alone: list[float]
    """Seconds of two processes that share nothing, one behind the other."""
    at_once: list[float]


def _commands(quotes: _Quotes, folder: Path, flags: list[str], sizes: Sizes, rounds: int) -> _Commands:
    say(f"making {sizes.many:,} quotes")
    many, few = folder / "many.jsonl", folder / "few.jsonl"
    with many.open("wb") as file:
        file.writelines(line + b"\n" for line in quotes.lines(sizes.many))
    with many.open("rb") as lines:
        few.write_bytes(b"".join(islice(lines, sizes.few)))
    found = _Commands([], [], [], [], [])

    def batch(file: Path, number: int, jobs: int) -> Spent:
        command = ["verify", "--batch", str(file), *flags, "--jobs", str(jobs)]
        return spent(command, b"%d accepted (exit 0)" % number)

    for _ in rounds_within(min(rounds, MAX_ROUNDS), MAX_SECONDS):
        found.one.append(batch(many, sizes.many, 1))
        found.two.append(batch(many, sizes.many, 2))
        found.few.append(batch(few, sizes.few, 2))
        found.alone.append(_signatures(1) + _signatures(1))
        found.at_once.append(_signatures(2))
        say(f"one worker {found.one[-1].seconds:.1f} s, two {found.two[-1].seconds:.1f} s")
    return found


def _signatures(processes: int) -> float:
    start = time.perf_counter()
    running = [subprocess.Popen([sys.executable, "-c", _SIGNATURES]) for _ in range(processes)]
    codes = [process.wait() for process in running]
    if any(codes):
        raise AssertionError("a signature was refused")
    return time.perf_counter() - start


def _judge(flags: list[str]) -> Judge:
    arguments = build_parser().parse_args(["verify", "--batch", "x", *flags])
    collateral = SuppliedCollateral.read(arguments.collateral)
    return Judge(Brief(read_settings(arguments), collateral, None, second_opinion=False, style=Style()))


def _seconds_per_quote(judge: Judge, items: Sequence[Item]) -> float:
    start = time.process_time()
    codes = {judge.judged(item).exit_code for item in items}
    took = time.process_time() - start
    if codes != {0}:
        raise AssertionError(codes)
    return took / len(items)


def _costs(quotes: _Quotes, flags: list[str], most: int) -> tuple[list[float], list[float]]:
    """Of each block in one long life, and of some of the blocks with a memory that is new but for the platforms."""
    long, fresh = [], []
    end = time.monotonic() + MAX_COST_SECONDS

    def items(number: int) -> list[Item]:
        return [Item(f"line {index}", line) for index, line in enumerate(quotes.lines(number))]

    known, judge = items(PLATFORMS), _judge(flags)
    _seconds_per_quote(judge, known)
    for number in range(most // BLOCK):
        if number % 100 == 0:
            say(f"the cost of each quote: {number * BLOCK:,} of {most:,}")
        if time.monotonic() > end:
            say("the rest of them takes too long beside so much other work")
            break
        block = items(BLOCK)
        long.append(_seconds_per_quote(judge, block))
        if number % EVERY == 0:
            other = _judge(flags)
            _seconds_per_quote(other, known)
            fresh.append(_seconds_per_quote(other, block))
    return long, fresh


def measure(rounds: int, *, small: bool = False) -> list[Section]:
    sizes, quotes = SMALL if small else Sizes(), _Quotes()
    with tempfile.TemporaryDirectory() as name:
        flags = quotes.flags(Path(name))
        found = _commands(quotes, Path(name), flags, sizes, rounds)
        long, fresh = _costs(quotes, flags, sizes.most)
    one = Figure(f"{sizes.many:,} quotes, one worker", tuple(run.seconds for run in found.one))
    two = Figure(f"{sizes.many:,} quotes, two workers", tuple(run.seconds for run in found.two))
    reading = Figure("of that, CPU time of reading and printing", tuple(run.parent_cpu for run in found.two))
    alone = Figure("two processes of nothing but signatures, one behind the other", tuple(found.alone))
    at_once = Figure("the same two at once", tuple(found.at_once))
    least, most = (
        Figure(f"memory of all processes, {number:,} quotes, two workers", tuple(run.memory / MIB for run in runs))
        for number, runs in ((sizes.few, found.few), (sizes.many, found.two))
    )
    blocks = [
        Figure(f"a quote among the first {BLOCK} of a process", tuple(fresh)),
        *(
            Figure(f"a quote among the first {number:,}", tuple(long[: number // BLOCK]))
            for number in (1_000, 10_000, 100_000)
            if number <= len(long) * BLOCK
        ),
    ]
    growth = median(most.seconds) - median(least.seconds)
    flat = median(mine / base for mine, base in zip(long[::EVERY], fresh, strict=True))
    reached = len(long) * BLOCK
    apart = f"Two processes that share nothing were {ratio(alone, at_once):.2f} times as fast at once as one behind the"
    missing = "What is missing from 2 was taken by other work, or by the machine itself."
    notes = [f"{apart} other (rounds: {len(found.one)}). {missing}"]
    if reached < sizes.most:
        notes.append(f"**Not run** to the end: after {reached:,} quotes the time was over; until then {flat:.2f} x.")
    return [
        Section(
            "A batch",
            METHOD,
            [
                *(run.to_json("s") for run in (one, two, reading, alone, at_once)),
                *({**peak.to_json("s"), "unit": "MiB"} for peak in (least, most)),
                *(block.to_json("µs") for block in blocks),
            ],
            [
                Bar(
                    f"a batch of {sizes.many:,} quotes, so many times faster with two workers",
                    ratio(one, two),
                    1.7,
                    at_least=True,
                ),
                Bar(f"memory for {sizes.many:,} quotes beyond that for {sizes.few}", growth, 100, "MiB"),
                Bar(
                    f"the cost of a quote among {sizes.most:,}, against the first {BLOCK}",
                    flat if reached >= sizes.most else None,
                    1.2,
                ),
            ],
            notes,
        )
    ]
