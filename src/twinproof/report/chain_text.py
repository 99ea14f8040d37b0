"""What a report says about the chain: the table's row, and the words under the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twinproof.verdict import Status
from twinproof.verifier import Verdict

if TYPE_CHECKING:
    from twinproof.chain.on_chain import OnChain

__all__ = ["chain_row", "chain_sentence"]


def chain_row(verdict: Verdict) -> str:
    """A cell of the row On-Chain; only what is settled stands there without a question mark."""
    chain = verdict.claims.chain
    if chain is not None and chain.settled:
        if chain.allowed_in_block is not None and chain.log_proved:
            return f"yes, added in block {chain.allowed_in_block}"
        return f"yes, at block {chain.block_number}"
    if any(check.id.startswith("chain.") for check in verdict.failures):
        return "NO"
    return "not checked" if chain is None else "said, not proved"


def chain_sentence(verdicts: Sequence[Verdict]) -> str:
    """What the chain adds to the verdict on instances with one compose hash, or that it adds nothing, and why."""
    found = [verdict.claims.chain for verdict in verdicts]
    settled = [chain for chain in found if chain is not None and chain.settled]
    if len(settled) < len(found):
        checks = [verdict.check("policy.chain") for verdict in verdicts]
        reason = next((check.reason for check in checks if check.status is not Status.PASS), "")
        return f"Not shown: that this code was allowed in public ({reason})."
    newest = max(settled, key=lambda chain: chain.block_number)
    where = f"{len(newest.endpoints)} endpoints agree on block {newest.block_number} of chain {newest.chain_id}"
    return f"Its compose hash is allowed in public; proved at a final block: {where}.{_since(settled)}"


def _since(settled: Sequence[OnChain]) -> str:
    """When it was added, where that is proved: a proof shows neither that it was not removed in between, nor less."""
    dates = {(chain.allowed_in_block, chain.allowed_by_transaction) for chain in settled}
    first = settled[0]
    if len(dates) > 1 or not all(chain.log_proved for chain in settled) or first.allowed_by_transaction is None:
        return ""
    text = f" It was added in block {first.allowed_in_block} by transaction 0x{first.allowed_by_transaction.hex()}"
    if all(chain.transaction_proved for chain in settled) and first.allowed_by_sender is not None:
        text += f" of 0x{first.allowed_by_sender.hex()} (proved)"
    else:
        text += " (the block is proved; the transaction's hash is what the endpoints say)"
    told = [name for name in first.unbroken_by if all(name in chain.unbroken_by for chain in settled)]
    whose = ", ".join(told) or "nobody"
    return f"{text}; that it was not removed in between is the word of {whose}."
