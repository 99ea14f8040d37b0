"""DEPLOYMENTS.md: rendered from the records alone, byte for byte the same wherever it is rendered.

The columns are those that users of the toy example know. Nothing in it is written by hand, and every sentence in it is
about how a cell was made, not about what somebody believes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from twinproof.deployments.explorer import transaction_url
from twinproof.deployments.record import Record
from twinproof.deployments.standing import Row, Standing, rows
from twinproof.release.inert import inert

__all__ = ["render"]

HEADING = "| Timestamp | Version | Machine | Compose Hash | On-Chain TX | Status |"
RULE = "|---|---|---|---|---|---|"
INTRODUCTION = """\
# Deployments

Rendered by `twinproof deployments render` from the files in `deployments/`; edits of this file are lost, and CI refuses
them. `twinproof deployments verify` holds every row against the chain and the evidence.

- **Timestamp**: of the block that holds the log (UTC); of the record where a failed deployment has none.
- **Machine**: the label of the device id in the quote.
- **Compose Hash**: as attested by the hardware; SHA-256 of the app-compose text.
- **On-Chain TX**: its receipt holds the app contract's `ComposeHashAdded` log of this hash.
- **Status**: of one app on one machine, the deployment attested last is Active, earlier ones are Replaced. It says what
  was deployed last, not what runs now: `twinproof status` asks.
"""


def render(records: Sequence[Record]) -> str:
    """The whole file."""
    known = rows(records)
    text = f"{INTRODUCTION}\n{HEADING}\n{RULE}\n" + "".join(f"{_line(row)}\n" for row in known)
    if not known:
        text += "\nNothing was deployed yet.\n"
    simulated = any(row.record.attested is not None and row.record.attested.simulated for row in known)
    if simulated:
        text += "\nSIMULATED HARDWARE: machines marked with * were judged under a root that is not Intel's.\n"
    failures = [row.record for row in known if row.standing is Standing.FAILED]
    if failures:
        text += "\n## What failed\n\n" + "".join(_failure(record) for record in failures)
    return text


def _line(row: Row) -> str:
    record = row.record
    attested, anchor = record.attested, record.anchor
    transaction = "-"
    if anchor is not None:
        url = transaction_url(anchor.chain_id, anchor.transaction)
        text = f"`0x{anchor.transaction.hex()}`"
        transaction = f"[{text}]({url})" if url else text
    cells = (
        datetime.fromtimestamp(row.time, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        str(record.version),
        inert(record.machine) + ("\\*" if attested is not None and attested.simulated else ""),
        f"`{attested.compose_hash.hex()}`" if attested is not None else "-",
        transaction,
        row.standing.value,
    )
    return f"| {' | '.join(cells)} |"


def _failure(record: Record) -> str:
    failure = record.failure
    if failure is None:
        return ""
    return f"- {record.version} on {inert(record.machine)}, {failure.step}: {inert(failure.reason)}\n"
