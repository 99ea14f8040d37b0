"""A large archive, made quickly: distinct quotes signed one by one, everything else as its machine and version have it.

Several processes make bundles, one adds them. A bundle's verdict is taken once for each machine and version: another
answer of the same two differs in nonce, time and signature.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from bench.progress import say
from bench.simulated import AT, Platform
from twinproof.batch import Chunk, in_order
from twinproof.dcap.collateral import Collateral
from twinproof.evidence.bundle import bundle_to_json
from twinproof.sources.archive.entry import Summary, summary_of
from twinproof.sources.archive.store import Archive, New
from twinproof.verifier import Verifier
from twinproof_devnet.host import TdxHost

__all__ = ["PLATFORMS", "VERSIONS", "Made", "make"]

PLATFORMS, VERSIONS = 50, 200
PROCESSES = 2
CHUNK = 100  # bundles that are made and handed over together
_WINDOW = 6  # chunks on their way
_SAID = 20_000  # bundles after which progress is told


@dataclass(frozen=True, slots=True)
class Made:
    """A folder with two archives, and the bundles of the larger one as lines.

    `flags` are what a command needs to judge them.
    """

    folder: Path
    few: int
    many: int

    def archive(self, number: int) -> str:
        return str(self.folder / f"archive-{number}")

    @property
    def lines(self) -> str:
        return str(self.folder / "bundles.jsonl")

    @property
    def flags(self) -> list[str]:
        return ["--trust-root", str(self.folder / "root.der")]


class _Maker:
    """What every process that makes bundles has; a fork of one, so that all sign with the same keys."""

    def __init__(self) -> None:
        self._platform = Platform.create()
        hosts = [TdxHost.create(self._platform.pki, AT, name=f"machine {index}") for index in range(PLATFORMS)]
        document = json.loads(self._platform.boot.app_compose)
        boots = [
            replace(self._platform.boot, app_compose=json.dumps({**document, "name": f"toy-{version}"}))
            for version in range(VERSIONS)
        ]
        self._platforms = [replace(self._platform, host=host) for host in hosts]
        self._boots = [replace(boot, app_id=bytes(20)) for boot in boots]
        self._collateral: Collateral = self._platform.collateral()
        self._verifier = Verifier(roots=(self._platform.root,))
        self._judged: dict[tuple[int, int], Summary] = {}

    @property
    def root_der(self) -> bytes:
        return self._platform.root_der

    def news(self, numbers: Sequence[int]) -> list[New]:
        return [self._new(number) for number in numbers]

    def _new(self, number: int) -> New:
        """Machines and versions in turn, but not in step; each second one bundle."""
        machine, version, at = number % PLATFORMS, number // PLATFORMS % VERSIONS, AT + number
        platform, boot = self._platforms[machine], self._boots[version]
        evidence = platform.answer(boot, self._collateral, version=f"1.{version}.0", at=at)
        if (machine, version) not in self._judged:
            self._judged[machine, version] = summary_of(self._verifier.verify(evidence))
        summary = replace(self._judged[machine, version], at=at)
        return New(bundle_to_json(evidence).encode(), evidence.source, summary)


_MAKER: list[_Maker] = []  # of this process and those forked from it


def _news(numbers: Sequence[int]) -> list[New]:
    return _MAKER[0].news(numbers)


def _all(number: int) -> Iterator[New]:
    def lost(_: int, death: BaseException) -> New:
        raise death

    chunks = (Chunk(tuple(range(start, min(start + CHUNK, number)))) for start in range(0, number, CHUNK))
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("fork")) as executor:
        yield from in_order(chunks, executor, _news, lost=lost, window=_WINDOW)


def _written(news: Iterable[New], lines: BinaryIO) -> Iterator[New]:
    """A bundle's text has no line feed but those of its layout."""
    for new in news:
        lines.write(new.text.replace(b"\n", b"") + b"\n")
        yield new


def make(folder: Path, few: int, many: int) -> Made:
    """Bundles of one second each, all accepted, in an archive of `many` and one of the `few` first of them."""
    made = Made(folder, few, many)
    _MAKER[:] = [_Maker()]
    (folder / "root.der").write_bytes(_MAKER[0].root_der)
    with (
        Archive(made.archive(many), write=True) as large,
        Archive(made.archive(few), write=True) as small,
        Path(made.lines).open("wb") as lines,
    ):
        news = _written(_all(many), lines)
        first = list(islice(news, few))
        for archive, part in ((small, first), (large, first), (large, news)):
            for added, _ in archive.add(part, clock=lambda: AT):
                if added % _SAID == 0:
                    say(f"{added:,} of {many:,} bundles are in the archive")
    return made
