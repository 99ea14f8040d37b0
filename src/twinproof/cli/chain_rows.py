"""A change of a contract, a name and a value per line, in 80 columns: what it will be, and what became of it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from twinproof.chain.ether import ether
from twinproof.wire import shown

if TYPE_CHECKING:
    from twinproof.chain.app_change import Written
    from twinproof.sources.planned_transaction import PlannedTransaction

__all__ = ["planned_rows", "row", "written_rows"]

_NAME, _WIDTH, _DECIMALS = 12, 80, 9


def row(name: str, value: str | bytes) -> list[str]:
    """Bytes as hex. What is too long goes on under itself."""
    text = f"0x{value.hex()}" if isinstance(value, bytes) else shown(value, 1000)
    return textwrap.wrap(
        text, _WIDTH, initial_indent=f"{name:<{_NAME}} ", subsequent_indent=" " * (_NAME + 1), break_on_hyphens=False
    )


def planned_rows(planned: PlannedTransaction) -> list[str]:
    """The transaction as it will be signed."""
    cost, balance = ether(planned.max_cost, _DECIMALS), ether(planned.balance, _DECIMALS)
    rows = [
        row("chain id", str(planned.chain_id)),
        row("from", planned.sender),
        row("to", planned.to),
        row("data", planned.data),
        row("nonce", str(planned.nonce)),
        row("gas", f"{planned.gas} at up to {planned.max_fee} wei"),
        row("at most", f"{cost} of {balance}"),
    ]
    if planned.waiting:
        rows.append(row("waits for", f"{planned.waiting} transactions of this account that are not mined yet"))
    return [line for lines in rows for line in lines]


def written_rows(written: Written) -> list[str]:
    """What is on chain now, and since when where that is known."""
    rows = [
        row(written.subject, written.value),
        row("app id", f"0x{written.contract.hex()}  (chain {written.chain_id})"),
    ]
    if written.log is not None:
        state = "finalized" if written.finalized else "mined, not final yet"
        rows.append(row("transaction", written.log.transaction_hash))
        place = f"{written.log.block_number}, log {written.log.log_index}"
        rows.append(row("block", place if written.already else f"{place}  ({state})"))
    return [line for lines in rows for line in lines]
