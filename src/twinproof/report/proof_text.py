"""The comparison as text, in the shape users of the toy example know: table, results, expected differences, verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from twinproof.claims import Claims
from twinproof.comparison import Outcome, Proof
from twinproof.errors import TwinproofError
from twinproof.names import short_source
from twinproof.report.layout import bullet, marked, paragraph, shorten, table
from twinproof.report.style import PLAIN, Style
from twinproof.report.verdict_text import (
    age_lines,
    channel_lines,
    check_lines,
    explained,
    not_checked_lines,
    policy_lines,
    simulated_line,
    time_text,
)
from twinproof.verdict import Status
from twinproof.verifier import Verdict
from twinproof.wire import shown

__all__ = ["Failure", "heading", "outcome_text", "proof_text"]

Failure = tuple[str, TwinproofError]
Named = Sequence[tuple[str, Verdict]]


def heading(style: Style) -> str:
    """The title rule, printed before anything is fetched."""
    title = "TWINPROOF: do these machines run the same code?"
    return "\n".join((style.rule(double=True), f"  {style.paint(title, 'bold')}", style.rule(double=True))) + "\n"


def proof_text(
    proof: Proof | None,
    verdicts: Sequence[Verdict],
    failures: Sequence[Failure] = (),
    style: Style = PLAIN,
    *,
    now: int,
    explain: bool = False,
) -> str:
    """Everything after the fetching: `proof` is None when fewer than two instances could be judged."""
    named = list(zip(_titles(verdicts), verdicts, strict=True))
    lines = _table_and_results(proof, named, style, explain=explain) if named else []
    if len(named) > 1:
        lines += ["", "EXPECTED DIFFERENCES", *_expected_differences(verdicts, proof, style)]
    for name, error in failures:
        lines += ["", *marked(Status.FAIL, f"{short_source(name)}: {error}", style)]
        if error.hint:
            lines += paragraph(f"hint: {error.hint}", style, indent=" " * 10)
    return "\n".join([*lines, "", *_verdict(proof, failures, named, now, style)]) + "\n"


def outcome_text(proof: Proof | None, failures: Sequence[Failure]) -> str:
    """The outcome of everything that was asked for: an instance without evidence leaves nothing proved."""
    if proof is not None and (not failures or proof.outcome is Outcome.NOT_GENUINE):
        return proof.outcome.value
    return "NOT PROVED: THE EVIDENCE IS INCOMPLETE"


def _table_and_results(proof: Proof | None, named: Named, style: Style, *, explain: bool) -> list[str]:
    verdicts = [verdict for _, verdict in named]
    lines = [*table([name for name, _ in named], _rows(verdicts), style), "", "RESULTS"]
    for name, verdict in named:
        for check in verdict.failures:
            lines += marked(Status.FAIL, f"{name}: {shorten(check.reason, style)} [{check.id}]", style)
    for (step_id, reason), who in _having(Status.WARN, named).items():
        lines += marked(Status.WARN, f"{', '.join(who)}: {shorten(reason, style)} [{step_id}]", style)
    for check in proof.checks if proof is not None else ():
        if check.status is not Status.NOT_CHECKED:
            lines += check_lines(check, style)
            lines += explained(check, style) if explain else []
    return lines + (_explained_instances(named, style) if explain else [])


def _having(status: Status, named: Named) -> dict[tuple[str, str], list[str]]:
    """(id, reason) of the checks with this status, and the instances they are about: what is the same is said once."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, verdict in named:
        for check in verdict.checks:
            if check.status is status:
                found.setdefault((check.id, check.reason), []).append(name)
    return found


def _titles(verdicts: Sequence[Verdict]) -> list[str]:
    """A different title for each, whatever the evidence says it is called."""
    short = [verdict.title for verdict in verdicts]
    return [title if short.count(title) == 1 else f"{number}. {title}" for number, title in enumerate(short, start=1)]


def _rows(verdicts: Sequence[Verdict]) -> list[tuple[str, list[str]]]:
    def row(label: str, value: Callable[[Claims], str | None]) -> tuple[str, list[str]]:
        return label, [value(verdict.claims) or "not shown" for verdict in verdicts]

    valid = [f"yes, {verdict.tcb_status}" if verdict.genuine else "NO" for verdict in verdicts]
    return [
        row("Version", lambda c: c.statement and c.statement.version),
        row("Git SHA", lambda c: c.statement and c.statement.git_sha),
        row("Compose Hash", lambda c: c.software and c.software.compose_hash.hex()),
        row("MR_ENCLAVE", lambda c: c.registers and c.registers.image_digest.hex()),
        row("MR_SIGNER", _signer),
        ("TDX Quote Valid", valid),
        row("Machine", lambda c: c.platform and c.platform.device_id.hex()),
        row("TCB Status", lambda c: c.platform and c.platform.tcb_status),
        ("TLS binding", [verdict.channel_binding.value for verdict in verdicts]),
        row("Signup Counter", lambda c: c.statement and str(c.statement.signup_count)),
        row("Health", lambda c: c.statement and c.statement.health),
    ]


def _signer(claims: Claims) -> str | None:
    """TDX has no MRSIGNER: who signed the TDX module, and who hands out the keys, stand in for it."""
    if not claims.registers or not claims.software:
        return None
    module = "Intel" if not any(claims.registers.mrsignerseam) else claims.registers.mrsignerseam.hex()[:12]
    provider = claims.software.key_provider_name
    return f"{module} + {provider} {claims.software.key_provider_id[-12:]}".rstrip()


_Value = Callable[[Claims], str | None]
_MAY_DIFFER: tuple[tuple[str, _Value, str], ...] = (
    (
        "Signup counter",
        lambda c: c.statement and str(c.statement.signup_count),
        "kept in memory by each instance, on purpose",
    ),
    ("Instance id", lambda c: c.software and c.software.instance_id.hex(), "each instance has its own"),
    ("Device id", lambda c: c.platform and c.platform.device_id.hex(), "each machine has its own"),
    ("RTMR0", lambda c: c.registers and c.registers.rtmr0.hex(), "memory, CPUs and devices of the VM"),
    ("RTMR3", lambda c: c.registers and c.registers.rtmr3.hex(), "holds the instance id"),
    ("MRSEAM", lambda c: c.registers and c.registers.mrseam.hex(), "the version of Intel's TDX module"),
    ("TCB status", lambda c: c.platform and c.platform.tcb_status, "firmware of each machine"),
)


def _expected_differences(verdicts: Sequence[Verdict], proof: Proof | None, style: Style) -> list[str]:
    """What may differ, with the reason; equal values are not listed."""
    lines: list[str] = []
    drifts = {drift.register: drift for drift in (proof.drifts if proof is not None else ())}
    for label, value, reason in _MAY_DIFFER:
        values = [value(verdict.claims) or "not shown" for verdict in verdicts]
        if len(set(values)) > 1:
            short = " / ".join(style.ellipsis(text, 12) for text in values)
            lines += bullet("-", 1, f"{label}: {short} ({reason})", style)
            if label in drifts:
                lines += paragraph(f"{drifts[label].where}. {drifts[label].declared}.", style, indent=" " * 5)
    return lines or ["  none"]


def _explained_instances(named: Named, style: Style) -> list[str]:
    lines: list[str] = []
    for name, verdict in named:
        lines += ["", f"{shown(name, 200)}, check by check"]
        registers = verdict.claims.registers
        if registers:
            for register in ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3"):
                lines += paragraph(f"{register} {getattr(registers, register).hex()}", style)
        for check in verdict.checks:
            lines += check_lines(check, style)
            lines += explained(check, style)
    return lines


def _verdict(proof: Proof | None, failures: Sequence[Failure], named: Named, now: int, style: Style) -> list[str]:
    lines = [style.rule(double=True)]
    if proof is None or failures:
        lines.append(style.paint(outcome_text(proof, failures), "bold", "red"))
    else:
        colour = "green" if proof.complete else "yellow" if proof.exit_code == 0 else "red"
        lines.append(style.paint(proof.outcome.value, "bold", colour))
        lines += paragraph(shorten(_sentence(proof, named), style), style)
        lines += age_lines(proof.verdicts, now, style)
        lines += channel_lines(proof.verdicts, style)
        if proof.simulated:
            lines += simulated_line({v.root.name for v in proof.verdicts if v.simulated}, style)
    if proof is not None:
        lines += not_checked_lines(_not_checked(proof, named), style)
        lines += policy_lines(proof.verdicts[0].policy)
        challenge = proof.verdicts[0].evidence.challenge
        if challenge is not None:
            lines.append(f"  session {challenge.session.hex()}")
    lines.append(style.rule(double=True))
    return lines


def _sentence(proof: Proof, named: Named) -> str:
    count = len(proof.verdicts)
    difference = proof.first_difference
    first = proof.verdicts[0]
    match proof.outcome:
        case Outcome.COMPLETE:
            version = first.claims.statement.version if first.claims.statement else ""
            times = {verdict.at for verdict in proof.verdicts}
            return (
                f"{count} different machines ran version {version} from the same image and the same compose file when "
                f"each was asked with a fresh nonce (judged at {time_text(max(times))})."
            )
        case Outcome.NOT_FRESH:
            return f"{count} different machines run the same image and compose file; when they said so is not shown."
        case Outcome.DIFFERENT if difference is not None:
            return f"First difference: {difference.reason}."
        case Outcome.NOT_GENUINE:
            who = ", ".join(name for name, verdict in named if not verdict.genuine)
            return f"The evidence of {who} does not hold."
        case Outcome.REFUSED:
            return "Everything that was compared is equal, but not everything that was asked for holds."
    code = proof.check("compare.code")
    return f"Too little could be compared{f': {code.reason}' if code.status is Status.NOT_CHECKED else ''}."


def _not_checked(proof: Proof, named: Named) -> Iterator[tuple[str, str]]:
    """Each (id, reason) once, with the instances it is about where it is not about all of them."""
    yield from ((check.id, check.reason) for check in proof.checks if check.status is Status.NOT_CHECKED)
    for (step_id, reason), who in _having(Status.NOT_CHECKED, named).items():
        yield step_id, reason if len(who) == len(named) else f"{reason} ({', '.join(who)})"
