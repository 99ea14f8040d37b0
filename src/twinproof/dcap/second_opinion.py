"""Does another verifier say the same? Asked only on request; a disagreement is a failure, whichever way round.

The other verifier is an argument, so that a verdict stays a function of its inputs. Its answer is compared with the
answer to the same question here, *is this quote genuine at this time?*, and never replaces it:

    here \\ there   accepts                            refuses                     has no opinion
    genuine        pass when status and advisories    fail; warn when both        fail
                   are equal, else fail               refuse the same attributes
    not genuine    fail                               warn: both refuse           fail
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from twinproof.dcap.appraisal import Appraisal
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import TrustRoot
from twinproof.errors import Disputed
from twinproof.ledger import Ledger
from twinproof.verdict import Status, Step

__all__ = ["PLAN", "Accepts", "HasNone", "Opinion", "Refuses", "SecondOpinion", "check_second_opinion"]

STEP = "dcap.second_opinion"
NOT_ASKED = "not asked for (--second-opinion)"
_ATTRIBUTES = "policy.report_attributes"

PLAN = (
    Step(
        STEP,
        "a second, independent verifier gives the same answer",
        "one verifier's bug would be enough to have a forged quote believed",
        "dcap-qvl; docs/dcap-differences.md",
    ),
)


class Accepts(NamedTuple):
    """The quote is genuine; `status` is the TCB status in Intel's spelling, advisories have no order."""

    status: str
    advisory_ids: frozenset[str]

    def __str__(self) -> str:
        advisories = f" ({', '.join(sorted(self.advisory_ids))})" if self.advisory_ids else ""
        return f"accepted, {self.status}{advisories}"


class Refuses(NamedTuple):
    """`attributes` says that the refusal is about report attributes, which are policy here and not genuineness."""

    reason: str
    attributes: bool = False

    def __str__(self) -> str:
        return f"refused, {self.reason}"


class HasNone(NamedTuple):
    """It could not take the input, or crashed over it. That is never agreement."""

    reason: str

    def __str__(self) -> str:
        return f"gave no opinion: {self.reason}"


Opinion = Accepts | Refuses | HasNone


class SecondOpinion(Protocol):
    """Another verifier. It answers whatever the bytes are, and raises nothing because of them."""

    @property
    def name(self) -> str: ...

    def __call__(self, quote: bytes, collateral: Collateral, *, at: int, root: TrustRoot) -> Opinion: ...


def check_second_opinion(name: str, theirs: Opinion, appraisal: Appraisal | None, ledger: Ledger) -> None:
    """Compare the answer of the verifier called `name` with ours: `appraisal`, or why there is none, in the ledger.

    Runs after the quote and its report attributes were judged, and whatever came out.
    """
    ours = _ours(appraisal, ledger)
    both = f"twinproof: {ours}; {name}: {theirs}"
    with ledger.line(STEP) as entry:
        entry.got, entry.expected = str(theirs), str(ours)
        entry.explain("asked", name)
        if isinstance(theirs, Refuses) and (isinstance(ours, Refuses) or _attributes(theirs, ledger)):
            entry.warning = f"both refuse this quote. {both}"
        elif theirs != ours:
            silent = isinstance(theirs, HasNone)
            raise Disputed(
                both, where="no second opinion" if silent else "the verifiers disagree", hint="docs/dcap-differences.md"
            )


def _ours(appraisal: Appraisal | None, ledger: Ledger) -> Opinion:
    if appraisal is not None:
        return Accepts(appraisal.tcb_status.value, frozenset(appraisal.advisory_ids))
    failures = (check for check in ledger.checks() if check.status is Status.FAIL and check.id.startswith("dcap."))
    return Refuses(next((check.reason for check in failures), "it was not judged"))


def _attributes(theirs: Refuses, ledger: Ledger) -> bool:
    """Whether they refuse for attributes that are refused here, too: as policy, so the quote may be genuine."""
    return theirs.attributes and ledger.failed(_ATTRIBUTES)
