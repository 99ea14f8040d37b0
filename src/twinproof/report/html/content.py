"""What stands on the page, in its order: plain values for the template, which decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from twinproof.comparison import Proof
from twinproof.comparison_rules import RULES
from twinproof.errors import EvidenceError
from twinproof.evidence.carrier import unpack
from twinproof.report.chain_text import chain_sentence
from twinproof.report.html.compose_lines import Line, compose_lines
from twinproof.report.html.embedded import bundle_file
from twinproof.report.html.graph import Drawing, draw
from twinproof.report.layout import capital
from twinproof.report.outcome import Failure, headline_text, proof_sentence
from twinproof.report.side_by_side import Named, expected_differences, open_checks, rows, titles
from twinproof.report.style import Style
from twinproof.report.verdict_text import age_lines, channel_lines, time_text, verdict_sentence
from twinproof.verdict import Check, Status, Step
from twinproof.verifier import Verdict
from twinproof.wire import shown

__all__ = ["Content", "content_of"]

_WIDE = Style(width=1 << 16)
_FAMILIES = {
    "evidence": "The evidence: one quote, and whose question it answers",
    "dcap": "The hardware: is the quote genuine?",
    "dstack": "The software: what runs?",
    "chain": "The on-chain log",
    "keys": "The keys",
    "policy": "Your policy: is it what was wanted?",
}
_REPEATED = {"Version", "Git SHA", "Compose Hash", "Machine"}  # rows that the rules have too
_MADE_OF = {
    "MR_ENCLAVE": "made of MRTD, RTMR1 and RTMR2",
    "MR_SIGNER": "the signer of the TDX module, and the key service",
    "TDX Quote Valid": "everything about the hardware",
}


@dataclass(frozen=True, slots=True)
class Instance:
    """One column."""

    title: str
    source: str
    judged: str
    root: str
    fingerprint: str
    file: str
    drawing: Drawing

    @property
    def broken(self) -> bool:
        return any(edge.state.status is Status.FAIL for edge in self.drawing.edges)


@dataclass(frozen=True, slots=True)
class Row:
    """One value of every instance, and how it has to stand between them. `status` is a Status, `info` or empty."""

    label: str
    values: tuple[str, ...]
    relation: str = "may differ"
    status: str = "info"
    reason: str = ""
    why: str = ""
    check_id: str = ""

    @property
    def shared(self) -> bool:
        return len(set(self.values)) == 1


@dataclass(frozen=True, slots=True)
class Group:
    """Checks of one family: each step, and its check for every instance."""

    title: str
    rows: tuple[tuple[Step, tuple[Check, ...]], ...]

    @property
    def failed(self) -> bool:
        return any(check.status is Status.FAIL for _, checks in self.rows for check in checks)

    @property
    def counts(self) -> str:
        found = [check.status for _, checks in self.rows for check in checks]
        words = (
            ("pass", Status.PASS),
            ("warn", Status.WARN),
            ("FAIL", Status.FAIL),
            ("not checked", Status.NOT_CHECKED),
        )
        return ", ".join(f"{found.count(status)} {word}" for word, status in words if status in found)


@dataclass(frozen=True, slots=True)
class ComposeDifference:
    """Two instances by title, and the lines in which their compose texts differ."""

    first: str
    other: str
    lines: tuple[Line, ...]
    measured: bool


@dataclass(frozen=True, slots=True)
class Content:
    """The whole page. `tone` is good, warn or bad."""

    simulated: str
    outcome: str
    tone: str
    sentence: str
    remarks: tuple[str, ...]
    made: str
    failures: tuple[tuple[str, str, str], ...]
    instances: tuple[Instance, ...]
    rows: tuple[Row, ...]
    compose: tuple[ComposeDifference, ...]
    differences: tuple[tuple[str, list[str], str, str], ...]
    not_checked: tuple[tuple[str, list[str]], ...]
    groups: tuple[Group, ...]
    policy: str
    weakenings: tuple[str, ...]
    session: str


def content_of(proof: Proof | None, verdicts: Sequence[Verdict], failures: Sequence[Failure], *, now: int) -> Content:
    """Read the page's values out of the verdicts; `now` is the clock at which the page is made."""
    named = list(zip(titles(verdicts), verdicts, strict=True))
    outcome, tone, sentence = _verdict(proof, verdicts, failures, named)
    remarks = (
        (*_chain(proof, verdicts, failures), *age_lines(verdicts, now, _WIDE), *channel_lines(verdicts, _WIDE))
        if verdicts
        else ()
    )
    challenge = verdicts[0].evidence.challenge if verdicts else None
    return Content(
        simulated=", ".join(sorted({verdict.root.name for verdict in verdicts if verdict.simulated})),
        outcome=outcome,
        tone=tone,
        sentence=sentence,
        remarks=tuple(line.strip() for line in remarks),
        made=time_text(now),
        failures=tuple((shown(name, 200), str(error), error.hint) for name, error in failures),
        instances=tuple(_instance(number, *item) for number, item in enumerate(named)),
        rows=(*_compared(proof, verdicts), *_uncompared(proof, verdicts)),
        compose=tuple(_compose(named)),
        differences=_differences(proof, verdicts),
        not_checked=_not_checked(proof, named),
        groups=_groups(verdicts),
        policy=verdicts[0].policy.digest if verdicts else "",
        weakenings=verdicts[0].policy.weakenings if verdicts else (),
        session=challenge.session.hex() if challenge else "",
    )


def _verdict(
    proof: Proof | None, verdicts: Sequence[Verdict], failures: Sequence[Failure], named: Named
) -> tuple[str, str, str]:
    """Outcome, tone and sentence."""
    if proof is None and len(verdicts) == 1 and not failures:
        (verdict,) = verdicts
        first = (
            verdict.failures[0].reason if verdict.failures else f"{verdict.title} was judged at {time_text(verdict.at)}"
        )
        return (
            verdict_sentence(verdict),
            "good" if verdict.fresh and verdict.accepted else _tone(verdict.exit_code),
            (f"{first}."),
        )
    outcome = headline_text(proof, failures)
    if proof is None or failures:
        return outcome, "bad", "Not every instance gave evidence, so nothing is proved about all of them."
    return outcome, "good" if proof.complete else _tone(proof.exit_code), proof_sentence(proof, named)


def _chain(proof: Proof | None, verdicts: Sequence[Verdict], failures: Sequence[Failure]) -> list[str]:
    """What the terminal says there, at the same times."""
    if failures:
        return []
    if proof is not None:
        return [chain_sentence(verdicts)] if proof.exit_code == 0 else []
    said = len(verdicts) == 1 and verdicts[0].accepted and verdicts[0].evidence.chain is not None
    return [chain_sentence(verdicts)] if said else []


def _tone(exit_code: int) -> str:
    return "bad" if exit_code else "warn"


def _instance(number: int, title: str, verdict: Verdict) -> Instance:
    return Instance(
        title=title,
        source=shown(verdict.source, 200),
        judged=time_text(verdict.at),
        root=verdict.root.name,
        fingerprint=verdict.root.fingerprint,
        file=bundle_file(number, verdict),
        drawing=draw(verdict),
    )


def _compared(proof: Proof | None, verdicts: Sequence[Verdict]) -> list[Row]:
    found = []
    for rule in RULES:
        values = [rule.value(verdict.claims) or "" for verdict in verdicts]
        texts = tuple(value.hex() if isinstance(value, bytes) else value for value in values)
        label = capital(rule.what)
        if proof is None:
            found.append(Row(label, texts, relation="", check_id=rule.step.id))
            continue
        check = proof.check(rule.step.id)
        found.append(Row(label, texts, rule.relation.value, check.status.value, check.reason, rule.why, check.id))
    return found


def _uncompared(proof: Proof | None, verdicts: Sequence[Verdict]) -> list[Row]:
    """The other rows of the table, and the comparisons that are about no single value."""
    found = [_plain(label, values) for label, values in rows(verdicts) if label not in _REPEATED]
    about_one = {rule.step.id for rule in RULES}
    for check in proof.checks if proof is not None else ():
        if check.id not in about_one:
            texts = tuple("" for _ in verdicts)
            reason = " ".join(filter(None, (check.reason, check.got)))
            found.append(
                Row(capital(check.step.title), texts, "", check.status.value, reason, check.step.why, check.id)
            )
    return found


def _plain(label: str, values: Sequence[str]) -> Row:
    if label in _MADE_OF:
        return Row(label, tuple(values), _MADE_OF[label], "")
    return Row(label, tuple(values))


def _differences(proof: Proof | None, verdicts: Sequence[Verdict]) -> tuple[tuple[str, list[str], str, str], ...]:
    drifts = {
        drift.register: f"{drift.where}. {drift.declared}." for drift in (proof.drifts if proof is not None else ())
    }
    return tuple(
        (label, values, reason, drifts.get(label, "")) for label, values, reason in expected_differences(verdicts)
    )


def _compose(named: Named) -> list[ComposeDifference]:
    """The first instance's compose text against each other text, once."""
    texts = [(title, _app_compose(verdict), verdict) for title, verdict in named]
    shown_texts = [(title, text, verdict) for title, text, verdict in texts if text is not None]
    found, seen = [], {shown_texts[0][1]} if shown_texts else set()
    for title, text, verdict in shown_texts[1:]:
        if text not in seen:
            seen.add(text)
            first, reference, other = shown_texts[0]
            measured = all(item.check("dstack.compose_hash").passed for item in (other, verdict))
            found.append(ComposeDifference(first, title, compose_lines(reference, text), measured))
    return found


def _app_compose(verdict: Verdict) -> str | None:
    """The text that was judged, wherever in the evidence it stands."""
    try:
        return unpack(verdict.evidence).app_compose
    except EvidenceError:
        return None


def _not_checked(proof: Proof | None, named: Named) -> tuple[tuple[str, list[str]], ...]:
    by_reason: dict[str, list[str]] = {}
    pairs = open_checks(proof, named)
    for step_id, reason in pairs:
        by_reason.setdefault(reason, []).append(step_id)
    return tuple(by_reason.items())


def _groups(verdicts: Sequence[Verdict]) -> tuple[Group, ...]:
    if not verdicts:
        return ()
    table = list(zip(*(verdict.checks for verdict in verdicts), strict=True))
    order = {family: number for number, family in enumerate(_FAMILIES)}

    def family(checks: tuple[Check, ...]) -> str:
        return checks[0].id.partition(".")[0]

    table.sort(key=lambda checks: order.get(family(checks), len(order)))  # stable: the plan's order within a family
    return tuple(
        Group(_FAMILIES.get(name, name), tuple((checks[0].step, checks) for checks in group))
        for name, group in groupby(table, key=family)
    )
