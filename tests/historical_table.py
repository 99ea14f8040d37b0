"""A table of the kind that the toy example's first pipeline wrote: ten versions on two machines, no row of it true.

Made from what is known about that table (17 rows say `pending`, one holds the start of a signed transaction, two hold
block hashes, all are Active, one time per version for both machines); the other cells are made up.
"""

from __future__ import annotations

import hashlib

__all__ = ["BLOCKS", "SIGNED", "TABLE", "VERSIONS"]

VERSIONS = ("1.2.0", "1.2.2", "1.2.3", "1.2.4", "1.2.5", "1.2.6", "1.2.7", "1.2.8", "1.2.10", "1.2.11")
SIGNED = "0x02f9011082210502830f4240836f0fe88303e53e942f83172a49584c017f2b25"
BLOCKS = {hashlib.sha256(f"block {number}".encode()).digest(): number for number in (41_000_001, 41_000_007)}
_SPLIT = ("1.2.0", "1.2.3")
"""Versions whose machines had different hashes."""


def _transaction(version: str, machine: str) -> str:
    if (version, machine) == ("1.2.0", "prod7"):
        return f"[`{SIGNED[:10]}...`](https://basescan.org/tx/{SIGNED})"
    if version == VERSIONS[-1]:
        value = list(BLOCKS)[machine == "prod9"]
        return f"[`0x{value.hex()[:8]}...`](https://basescan.org/tx/0x{value.hex()})"
    return "pending"


def _line(number: int, version: str, machine: str) -> str:
    text = f"{version} {machine if version in _SPLIT else ''}"
    compose_hash = hashlib.sha256(text.encode()).hexdigest()
    time = f"2026-01-{number + 10:02} 12:00:00"
    return f"| {time} | v{version} | {machine} | `{compose_hash}` | {_transaction(version, machine)} | Active |"


TABLE = "\n".join(
    [
        "# Deployments",
        "",
        "| Timestamp | Version | Machine | Compose Hash | On-Chain TX | Status |",
        "|-----------|---------|---------|--------------|-------------|--------|",
        *(_line(number, version, machine) for number, version in enumerate(VERSIONS) for machine in ("prod7", "prod9")),
        "",
        "Status: Active is running, Replaced was superseded.",
        "",
    ]
).replace("| v", "| ")
