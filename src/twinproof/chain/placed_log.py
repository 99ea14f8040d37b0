"""A log in its block: whether it stands where it is said to, and which transaction, signed by whom, wrote it."""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.chain.evidence import PlacedLog
from twinproof.chain.plan import STORED
from twinproof.chain.receipt_proof import ProvedLog, proved_logs
from twinproof.chain.transaction import Transaction, read_transaction
from twinproof.errors import Contradiction, Forged
from twinproof.ledger import Line

__all__ = ["Placed", "check_place"]


@dataclass(frozen=True, slots=True)
class Placed:
    """`proved`: the log, by its receipt; `transaction`: what wrote it, None where its hash is an endpoint's word."""

    proved: bool
    transaction: Transaction | None


def check_place(found: PlacedLog, state_block: int, line: Line, *, stored: bool) -> Placed:
    """Hold the log against its block, as far as proofs go, and warn of the rest. Raises EvidenceError."""
    header, log = found.block.header, found.log
    if header.hash != found.block.hash:
        raise Forged(
            "the header is not of the block that was agreed on",
            where=f"block {header.number}",
            got=header.hash.hex(),
            expected=found.block.hash.hex(),
        )
    if (log.block_number, log.block_hash) != (header.number, header.hash):
        raise Contradiction(
            "the log is of another block", got=f"{log.block_number}", expected=f"{header.number}, {header.hash.hex()}"
        )
    if log.block_number > state_block:
        raise Contradiction("the log is later than the state", got=str(log.block_number), expected=str(state_block))
    if found.receipt is None:
        line.warning = "without a proof: the word of the endpoint"
        return Placed(proved=False, transaction=None)
    _check_receipt(found)
    transaction = _transaction(found)
    if transaction is None:
        line.explain("not proved", "the transaction's hash and sender; its place in the block is")
    else:
        line.explain("sender", "0x", transaction.sender, ", who signed the transaction")
    if stored:
        line.warning = STORED
    return Placed(proved=True, transaction=transaction)


def _check_receipt(found: PlacedLog) -> None:
    log, receipt, header = found.log, found.receipt, found.block.header
    if receipt is None or receipt.transaction_index != log.transaction_index:
        raise Contradiction("a proof of another transaction's receipt", where=f"block {header.number}")
    logs = proved_logs(receipt, header.receipts_root, f"receipt {receipt.transaction_index} of block {header.number}")
    if ProvedLog(log.address, log.topics, log.data) not in logs:
        raise Contradiction("the proved receipt does not hold this log", where=f"block {header.number}")


def _transaction(found: PlacedLog) -> Transaction | None:
    log, proof, header = found.log, found.transaction, found.block.header
    if proof is None:
        return None
    where = f"transaction {proof.transaction_index} of block {header.number}"
    if proof.transaction_index != log.transaction_index:
        raise Contradiction("a proof of another transaction", where=where, expected=str(log.transaction_index))
    transaction = read_transaction(proof.item(header.transactions_root, where), where)
    if transaction.hash != log.transaction_hash:
        raise Contradiction(
            "the log names another transaction than the one that wrote it",
            where=where,
            got=log.transaction_hash.hex(),
            expected=transaction.hash.hex(),
        )
    return transaction
