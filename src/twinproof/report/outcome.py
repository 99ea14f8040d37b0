"""The outcome of a comparison in words: one line, one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from twinproof.comparison import Outcome, Proof
from twinproof.errors import TwinproofError
from twinproof.report.side_by_side import Named
from twinproof.report.verdict_text import time_text
from twinproof.verdict import Status

__all__ = ["Failure", "headline_text", "outcome_text", "proof_sentence"]

Failure = tuple[str, TwinproofError]


def outcome_text(proof: Proof | None, failures: Sequence[Failure]) -> str:
    """The outcome of everything that was asked for: an instance without evidence leaves nothing proved."""
    if proof is not None and (not failures or proof.outcome is Outcome.NOT_GENUINE):
        return proof.outcome.value
    return "NOT PROVED: THE EVIDENCE IS INCOMPLETE"


def headline_text(proof: Proof | None, failures: Sequence[Failure]) -> str:
    """The same as the first line for people: nobody may read into it that a chain allowed the code, if none did."""
    text = outcome_text(proof, failures)
    if proof is None or failures or not proof.complete:
        return text
    settled = all(verdict.claims.chain is not None and verdict.claims.chain.settled for verdict in proof.verdicts)
    return text if settled else f"{text}, CHAIN NOT SHOWN"


def proof_sentence(proof: Proof, named: Named) -> str:
    """What it means for somebody who reads nothing else."""
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
