"""N verdicts in, one Proof out: do all machines run the same code, on different machines, and was each asked just now?

What must be equal and must differ is one table, `comparison_rules`; here it is applied, and the outcome decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Never

from twinproof import comparison_chain
from twinproof.comparison_chain import compare_chain
from twinproof.comparison_rules import RULES, SOURCE, Relation, Rule
from twinproof.dstack.unmeasured import OPEN_CODE
from twinproof.errors import Refused, UsageError
from twinproof.ledger import Ledger
from twinproof.register_drift import RegisterDrift, register_drifts
from twinproof.verdict import Check, Question, Status, Step
from twinproof.verifier import Verdict
from twinproof.wanted import STORED

__all__ = ["PLAN", "Outcome", "Proof", "compare", "required_comparisons"]

SCHEMA = "twinproof/proof/v1"


class Outcome(StrEnum):
    """The one sentence."""

    COMPLETE = "PROOF COMPLETE"
    NOT_FRESH = "GENUINE AND EQUAL, NOT SHOWN TO BE FRESH"
    NOT_SHOWN = "NOT PROVED: SAMENESS WAS NOT SHOWN"
    DIFFERENT = "NOT PROVED: THE INSTANCES DIFFER"
    REFUSED = "NOT PROVED: GENUINE, BUT NOT WHAT WAS EXPECTED"
    NOT_GENUINE = "NOT PROVED: NOT GENUINE"


EXIT_CODES = {
    Outcome.COMPLETE: 0,
    Outcome.NOT_FRESH: 0,
    Outcome.NOT_SHOWN: 4,
    Outcome.DIFFERENT: 4,
    Outcome.REFUSED: 4,
    Outcome.NOT_GENUINE: 3,
}


_FRESH = Step(
    "compare.fresh",
    "every instance answered a fresh nonce, all in one run",
    "recorded quotes can be replayed for ever",
    "RFC 9334 section 10",
    Question.WANTED,
)
_ACCEPTED = Step(
    "compare.genuine",
    "every instance is genuine and as wanted",
    "a forged instance can be equal to anything",
    SOURCE,
)
_CODE = Step(
    "compare.code",
    "the compose file names every image by its content",
    "one text that names an image by tag can mean other code on each machine",
    SOURCE,
    Question.WANTED,
)
PLAN = (_ACCEPTED, *(rule.step for rule in RULES), *comparison_chain.PLAN, _CODE, _FRESH)
_OPTIONAL = {f"compare.{rule.name}" for rule in RULES if rule.optional} | {step.id for step in comparison_chain.PLAN}
MOST_APART = 600
"""Seconds between the first and the last answer of one run."""

# Without these, on every instance, nothing was proved about the code, whatever is equal.
_NEEDED = (
    "evidence.report_data",
    "evidence.statement",
    "evidence.nonce",
    "evidence.agreement",
    "dstack.rtmr3_replay",
    "dstack.boot_events",
    "dstack.compose_hash",
    "policy.clock",
    "policy.fresh",
)

# What only the statement shows: another dstack app has none, and then the verdict says what is missing.
_STATEMENT_ONLY = frozenset({"compare.version", "compare.git_sha", "compare.nonce", "compare.fresh"})


@dataclass(frozen=True, slots=True)
class Proof:
    """The comparison of N instances: the verdicts, the checks between them, and one outcome."""

    verdicts: tuple[Verdict, ...]
    checks: tuple[Check, ...]
    outcome: Outcome
    drifts: tuple[RegisterDrift, ...] = ()
    """Where RTMR0, RTMR1 and RTMR2 differ, and why; RTMR0 may."""

    def __bool__(self) -> Never:
        raise TypeError("a proof is not a yes or no: ask for .outcome or .exit_code")

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.outcome]

    @property
    def complete(self) -> bool:
        return self.outcome is Outcome.COMPLETE

    @property
    def simulated(self) -> bool:
        return any(verdict.simulated for verdict in self.verdicts)

    @property
    def first_difference(self) -> Check | None:
        """The first comparison that failed, in the table's order."""
        return next((c for c in self.checks if c.status is Status.FAIL and c.id != _ACCEPTED.id), None)

    def check(self, step_id: str) -> Check:
        return next(check for check in self.checks if check.id == step_id)

    def to_json(self) -> dict[str, object]:
        challenge = self.verdicts[0].evidence.challenge
        return {
            "schema": SCHEMA,
            "outcome": self.outcome.value,
            "complete": self.complete,
            "exit_code": self.exit_code,
            "simulated_hardware": self.simulated,
            "session": challenge.session.hex() if challenge else None,
            "first_difference": self.first_difference.id if self.first_difference else None,
            "checks": [check.to_json() for check in self.checks],
            "register_drifts": [drift.to_json() for drift in self.drifts],
            "instances": [verdict.to_json() for verdict in self.verdicts],
            "unavailable": [],
        }


def compare(verdicts: Sequence[Verdict], *, required: frozenset[str] = frozenset()) -> Proof:
    """Compare 2 to N verdicts. `required` holds ids of `compare.*` checks that may not stay `not_checked`.

    Raises UsageError for fewer than two verdicts.
    """
    if len(verdicts) < 2:
        raise UsageError("nothing to compare", got=f"{len(verdicts)} instance", expected="at least 2")
    ledger = Ledger(PLAN)
    with ledger.line(_ACCEPTED.id):
        for verdict in verdicts:
            if not verdict.accepted:
                failed = ", ".join(check.id for check in verdict.failures) or "not everything could be checked"
                what = "is not what was wanted" if verdict.genuine else "is not genuine"
                raise Refused(f"{verdict.name} {what}", got=failed)
    drifts = register_drifts(verdicts)
    for rule in RULES:
        _apply(rule, verdicts, ledger, drifts.get(rule.name))
    compare_chain(verdicts, ledger)
    _check_code(verdicts, ledger)
    _check_fresh(verdicts, ledger, demanded=_FRESH.id in required)
    checks = ledger.checks()
    return Proof(tuple(verdicts), checks, _outcome(verdicts, checks, required), tuple(drifts.values()))


def _open_code(verdict: Verdict) -> list[str]:
    """Why equal texts may mean different code here; empty also when there was no measured text to read."""
    return [text for name, text in verdict.check("dstack.unmeasured_inputs").detail if name in OPEN_CODE]


def _check_code(verdicts: Sequence[Verdict], ledger: Ledger) -> None:
    unread = [verdict.name for verdict in verdicts if not verdict.check("dstack.unmeasured_inputs").passed]
    with ledger.line(_CODE.id) as entry:
        if unread:
            entry.not_checked = f"no measured app-compose text from {', '.join(unread)}"
        for verdict in verdicts:
            if found := _open_code(verdict):
                entry.not_checked = f"{verdict.name}: {'; '.join(found)}"
                break


def _check_fresh(verdicts: Sequence[Verdict], ledger: Ledger, *, demanded: bool) -> None:
    stored = [verdict.name for verdict in verdicts if verdict.evidence.stored]
    stale = [verdict.name for verdict in verdicts if not verdict.fresh]
    times = [verdict.at for verdict in verdicts]
    sessions = {challenge.session for verdict in verdicts if (challenge := verdict.evidence.challenge)}
    if stale:
        ledger.not_checked(_FRESH.id, f"no answer to a nonce from {', '.join(stale)}")
    elif stored and demanded:
        ledger.not_checked(_FRESH.id, f"{STORED}: {', '.join(stored)}")
    elif len(sessions) != 1:
        ledger.not_checked(_FRESH.id, "the instances were asked in different runs: compare them in one")
    elif (apart := max(times) - min(times)) > MOST_APART:
        ledger.not_checked(_FRESH.id, f"the answers are {apart} s apart: one run asks all instances at once")
    else:
        with ledger.line(_FRESH.id) as entry:
            entry.got = f"session {sessions.pop().hex()}"


def required_comparisons(names: frozenset[str]) -> frozenset[str]:
    """Check that these are ids of comparisons. Raises UsageError."""
    known = {step.id for step in PLAN}
    for name in sorted(names - known):
        raise UsageError("no such comparison", where="--require", got=name, expected=", ".join(sorted(known)))
    return names


def _shown(value: bytes | str) -> str:
    return value.hex() if isinstance(value, bytes) else value


def _apply(rule: Rule, verdicts: Sequence[Verdict], ledger: Ledger, drift: RegisterDrift | None) -> None:
    step_id = f"compare.{rule.name}"
    values = [(verdict, rule.value(verdict.claims)) for verdict in verdicts]
    missing = [verdict.name for verdict, value in values if not value]
    if rule.relation is Relation.EQUAL and missing:
        ledger.not_checked(step_id, f"not shown by {', '.join(missing)}")
        return
    known = [(verdict, value) for verdict, value in values if value]
    if rule.relation is Relation.DIFFERENT and len(known) < 2:
        ledger.not_checked(step_id, f"not shown by {', '.join(missing)}")
        return
    with ledger.line(step_id) as entry:
        first, reference = known[0]
        if rule.relation is Relation.EQUAL:
            for other, value in known[1:]:
                if value != reference:
                    if drift:
                        entry.explain("declared shapes", drift.declared)
                    raise Refused(
                        f"the {rule.what} differs between {first.name} and {other.name}"
                        + (f", first at {drift.where}" if drift and drift.drift else ""),
                        got=_shown(value),
                        expected=_shown(reference),
                    )
            entry.got = _shown(reference)
        else:
            seen: dict[bytes | str, Verdict] = {}
            for other, value in known:
                if value in seen:
                    raise Refused(
                        f"{seen[value].name} and {other.name} have the same {rule.what}",
                        got=_shown(value),
                        expected="a different one for each instance",
                    )
                seen[value] = other
            if missing:
                entry.not_checked = f"not shown by {', '.join(missing)}; the others differ"


def _outcome(verdicts: Sequence[Verdict], checks: Sequence[Check], required: frozenset[str]) -> Outcome:
    if any(not verdict.genuine for verdict in verdicts):
        return Outcome.NOT_GENUINE
    compared = [check for check in checks if check.id != _ACCEPTED.id]
    if any(check.status is Status.FAIL for check in compared):
        return Outcome.DIFFERENT
    open_checks = {check.id for check in compared if check.status is Status.NOT_CHECKED}
    if open_checks & required or any(not verdict.accepted for verdict in verdicts):
        return Outcome.REFUSED
    open_checks -= _OPTIONAL
    if not open_checks:
        shown = all(verdict.check(step_id).passed for verdict in verdicts for step_id in _NEEDED)
        return Outcome.COMPLETE if shown else Outcome.NOT_SHOWN
    return Outcome.NOT_FRESH if open_checks <= _may_stay_open(verdicts) else Outcome.NOT_SHOWN


def _may_stay_open(verdicts: Sequence[Verdict]) -> frozenset[str]:
    """What another dstack app cannot show, having no statement and perhaps no published compose text.

    The same code has the same endpoints: where only some of the instances gave a statement, the others were kept from
    answering, and recorded evidence may stand in for them.
    """
    bare = {verdict.claims.statement is None for verdict in verdicts}
    if len(bare) > 1 or any(_open_code(verdict) for verdict in verdicts):
        return frozenset()
    return _STATEMENT_ONLY | {_CODE.id} if True in bare else _STATEMENT_ONLY
