"""What a CI run shows on its page: which machine stands where, and the proof as it was printed."""

from __future__ import annotations

from collections.abc import Sequence

from twinproof.deployments.record import Record
from twinproof.release.inert import inert

__all__ = ["summary"]


def summary(records: Sequence[Record], proof: str) -> str:
    """Markdown. `proof` is the report's text, or empty when there was nothing to compare."""
    lines = [
        "## Deployment",
        "",
        "| Machine | Version | Result | Compose Hash | On-Chain TX |",
        "|---|---|---|---|---|",
    ]
    for record in records:
        compose_hash = f"`{record.attested.compose_hash.hex()}`" if record.attested else "-"
        transaction = f"`0x{record.anchor.transaction.hex()}`" if record.anchor else "-"
        result = "deployed" if record.failure is None else f"failed at {inert(record.failure.step)}"
        lines.append(f"| {inert(record.machine)} | {record.version} | {result} | {compose_hash} | {transaction} |")
    lines += [f"\n{inert(record.machine)}: {inert(record.failure.reason)}" for record in records if record.failure]
    if proof:
        lines += ["", "```text", proof.replace("```", "'''").rstrip("\n"), "```"]
    return "\n".join(lines) + "\n"
