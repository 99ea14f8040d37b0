"""What stands side by side in every report: names, values, what may differ and why, and what was not checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from twinproof.claims import Claims
from twinproof.comparison import Proof
from twinproof.report.chain_text import chain_row
from twinproof.verdict import Status
from twinproof.verifier import Verdict

__all__ = ["Named", "expected_differences", "having", "open_checks", "rows", "titles"]

Named = Sequence[tuple[str, Verdict]]


def titles(verdicts: Sequence[Verdict]) -> list[str]:
    """A different title for each, whatever the evidence says it is called."""
    short = [verdict.title for verdict in verdicts]
    return [title if short.count(title) == 1 else f"{number}. {title}" for number, title in enumerate(short, start=1)]


def rows(verdicts: Sequence[Verdict]) -> list[tuple[str, list[str]]]:
    """Label and one value per verdict, in the order that users of the toy example know."""

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
        ("On-Chain", [chain_row(verdict) for verdict in verdicts]),
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


def expected_differences(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, list[str], str]]:
    """Label, values and reason of what may differ and does; equal values are not listed."""
    for label, value, reason in _MAY_DIFFER:
        values = [value(verdict.claims) or "not shown" for verdict in verdicts]
        if len(set(values)) > 1:
            yield label, values, reason


def having(status: Status, named: Named) -> dict[tuple[str, str], list[str]]:
    """(id, reason) of the checks with this status, and the instances they are about: what is the same is said once."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, verdict in named:
        for check in verdict.checks:
            if check.status is status:
                found.setdefault((check.id, check.reason), []).append(name)
    return found


def open_checks(proof: Proof | None, named: Named) -> Iterator[tuple[str, str]]:
    """Each (id, reason) once, with the instances it is about where it is not about all of them."""
    compared = proof.checks if proof is not None else ()
    yield from ((check.id, check.reason) for check in compared if check.status is Status.NOT_CHECKED)
    for (step_id, reason), who in having(Status.NOT_CHECKED, named).items():
        yield step_id, reason if len(who) == len(named) else f"{reason} ({', '.join(who)})"
