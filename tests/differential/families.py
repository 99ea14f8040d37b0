"""The kinds of generated evidence, how many of each a run makes, and what docs/dcap-differences.md says came out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from differential.certificates import certificate_cases
from differential.classes import DIFFERENCES
from differential.crls import real_crl_cases, signed_crl_cases
from differential.documents import collateral_file_cases, document_cases
from differential.harness import SEED, Generator, Tally, chosen_factor, chosen_seed, run
from differential.quotes import real_quote_cases
from differential.recorded_cases import recorded_cases
from differential.signed_quotes import signed_quote_cases

__all__ = ["DOCUMENT", "FAMILIES", "Family", "check"]

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "dcap-differences.md"


@dataclass(frozen=True, slots=True)
class Family:
    """`count` None: all there are, whatever was asked for."""

    name: str
    generator: Generator
    count: int | None

    def tally(self) -> Tally:
        count = 0 if self.count is None else round(self.count * chosen_factor())
        return run(self.generator(Random(f"{chosen_seed()} {self.name}"), count))


FAMILIES = {
    family.name: family
    for family in (
        Family("recorded", recorded_cases, None),
        Family("real quotes", real_quote_cases, 6000),
        Family("signed quotes", signed_quote_cases, 3000),
        Family("certificates", certificate_cases, 3000),
        Family("real lists", real_crl_cases, 500),
        Family("signed lists", signed_crl_cases, 2000),
        Family("documents", document_cases, 6000),
        Family("files", collateral_file_cases, 1000),
    )
}


def check(name: str, record_property: Callable[[str, object], None]) -> None:
    """Run one family: nothing unexplained, and in a default run the counts that the document states."""
    tally = FAMILIES[name].tally()
    record_property("counts", f"twinproof and dcap-qvl, {name}: {tally.line()}")
    shown = "\n".join(tally.unexplained[:10])
    assert not tally.unexplained, f"{len(tally.unexplained)} differences that no class explains:\n{shown}"
    if (chosen_factor(), chosen_seed()) != (1, SEED):
        return
    assert (
        stated_totals(name),
        stated_classes(name),
    ) == (
        (tally.total, tally.accepted, tally.refused, sum(tally.differences.values())),
        dict(tally.differences),
    ), "docs/dcap-differences.md states other counts; `make differences` writes those of this run"


def stated_totals(name: str) -> tuple[int, ...]:
    row = re.search(rf"^\| {name} \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|", _text(), re.MULTILINE)
    return tuple(int(number.replace(",", "")) for number in row.groups()) if row else ()


def stated_classes(name: str) -> dict[str, int]:
    """How often each class was seen in a family, by the document."""
    found = {}
    for known in DIFFERENCES:
        row = re.search(rf"^\| `{known.name}` \| [^|]*(?<!\w ){name} (\d+)[^|]* \|", _text(), re.MULTILINE)
        if row:
            found[known.name] = int(row[1])
    return found


def _text() -> str:
    return DOCUMENT.read_text(encoding="utf-8")
