"""One piece of evidence, two verifiers: what each says, and whether the difference is one that is explained."""

from __future__ import annotations

import atexit
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from random import Random

from differential.classes import DIFFERENCES, Difference
from twinproof.dcap.attributes import AttributeRules, check_report_attributes
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import TrustRoot
from twinproof.dcap.second_opinion import Accepts, Refuses
from twinproof.dcap.verify import PLAN, appraise
from twinproof.errors import Malformed, Refused
from twinproof.ledger import Ledger
from twinproof.memo import Memo
from twinproof.sources.dcap_qvl import DcapQvl
from twinproof.verdict import Status

__all__ = ["SEED", "Case", "Generator", "Tally", "answers", "chosen_factor", "chosen_seed", "run"]

SEED = 20260921
DEFAULT_COUNT = 21_500
CRASH = "crash"
_COUNT, _SEED = "TWINPROOF_DIFFERENTIAL", "TWINPROOF_DIFFERENTIAL_SEED"
MEMO = Memo()
"""As long-lived as a Verifier's: the answers have to come out with a memory of everything else, too."""


@dataclass(frozen=True, slots=True)
class Case:
    """`what` says how it was made; `collateral` is the text of a collateral file."""

    what: str
    quote: bytes
    collateral: str
    at: int
    root: TrustRoot


Generator = Callable[[Random, int], Iterator[Case]]


@dataclass(frozen=True, slots=True)
class Answer:
    """`step` and `error` are ours only; `text` is the reason of a refusal."""

    accepted: bool
    status: str = ""
    advisory_ids: frozenset[str] = frozenset()
    step: str = ""
    error: str = ""
    text: str = ""

    @property
    def verdict(self) -> str:
        return "accept" if self.accepted else "crash" if self.error == CRASH else "refuse"


@dataclass
class Tally:
    """How a run went. `unexplained` holds what no class covers."""

    total: int = 0
    accepted: int = 0
    """By both, with the same status and advisories."""
    refused: int = 0
    """By both."""
    differences: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    def add(self, case: Case) -> None:
        ours, theirs = answers(case)
        self.total += 1
        if not ours.accepted and not theirs.accepted and theirs.error != CRASH:
            self.refused += 1
        elif ours.accepted and theirs == ours:
            self.accepted += 1
        elif (known := explanation(case, ours, theirs)) is not None:
            self.differences[known.name] += 1
        else:
            self.unexplained.append(f"{case.what}\n    twinproof: {ours}\n    dcap-qvl:  {theirs}")

    def line(self) -> str:
        return (
            f"{self.total} cases: {self.accepted} accepted by both, {self.refused} refused by both, "
            f"{sum(self.differences.values())} explained differences in {len(self.differences)} classes"
        )


def run(cases: Iterable[Case]) -> Tally:
    tally = Tally()
    for case in cases:
        tally.add(case)
    return tally


def explanation(case: Case, ours: Answer, theirs: Answer) -> Difference | None:
    return next((known for known in DIFFERENCES if _covers(known, case, ours, theirs)), None)


def _covers(known: Difference, case: Case, ours: Answer, theirs: Answer) -> bool:
    if (ours.accepted, theirs.verdict) != (known.we_accept, known.they):
        return False
    if ours.accepted:
        return re.search(known.text, theirs.text) is not None and known.when(case, ours, theirs)
    if ours.step not in known.steps or ours.error != known.error:
        return False
    return re.search(known.text, ours.text) is not None and known.when(case, ours, theirs)


def answers(case: Case) -> tuple[Answer, Answer]:
    return _ours(case), _theirs(case)


def _ours(case: Case) -> Answer:
    """Accepted means: genuine, and the strict rules on report attributes hold, which dcap-qvl checks too."""
    try:
        collateral = _our_collateral(case.collateral)
    except Malformed as error:
        return Answer(accepted=False, step="collateral", error="Malformed", text=str(error))
    ledger = Ledger(PLAN)
    appraisal = appraise(case.quote, collateral, at=case.at, root=case.root, ledger=ledger, memo=MEMO)
    if appraisal is None:
        failure = next(check for check in ledger.checks() if check.status is Status.FAIL)
        return Answer(accepted=False, step=failure.id, error=failure.error, text=failure.reason)
    try:
        check_report_attributes(appraisal.quote.report, AttributeRules())
    except Refused as error:
        return Answer(accepted=False, step="policy.report_attributes", error="Refused", text=str(error))
    return Answer(accepted=True, status=appraisal.tcb_status.value, advisory_ids=frozenset(appraisal.advisory_ids))


def _theirs(case: Case) -> Answer:
    opinion = _peer().ask(case.quote, case.collateral, at=case.at, root=case.root)
    if isinstance(opinion, Accepts):
        return Answer(accepted=True, status=opinion.status, advisory_ids=opinion.advisory_ids)
    return Answer(accepted=False, error="" if isinstance(opinion, Refuses) else CRASH, text=opinion.reason)


@cache
def _peer() -> DcapQvl:
    peer = DcapQvl()
    atexit.register(peer.close)
    return peer


@lru_cache(maxsize=64)
def _our_collateral(text: str) -> Collateral:
    return Collateral.from_json(text)


def chosen_factor() -> float:
    """How many times the default number of cases: TWINPROOF_DIFFERENTIAL says about how many in all."""
    named = os.environ.get(_COUNT)
    return int(named) / DEFAULT_COUNT if named else 1.0


def chosen_seed() -> int:
    return int(os.environ.get(_SEED) or SEED)
