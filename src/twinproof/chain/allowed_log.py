"""Step 10: the log that allowed the compose hash. It dates a version; that the hash is allowed now is step 9."""

from __future__ import annotations

from twinproof.chain.events import Kind, decode_event
from twinproof.chain.evidence import AllowedBy, ChainEvidence
from twinproof.chain.log import Log
from twinproof.chain.plan import STORED
from twinproof.chain.questions import Attested
from twinproof.chain.receipt_proof import ProvedLog, proved_logs
from twinproof.errors import Contradiction, Forged
from twinproof.ledger import Ledger

__all__ = ["check_log"]

_STEP = "chain.log"


def check_log(evidence: ChainEvidence, attested: Attested, ledger: Ledger) -> Log | None:
    """The log, when it is this app's, about this hash, and where it is said to be; None otherwise."""
    found = evidence.allowed_by
    if found is None:
        ledger.not_checked(_STEP, "no log that allowed it was shown")
        return None
    log = found.log
    with ledger.line(_STEP) as line:
        line.got = f"block {log.block_number}, transaction 0x{log.transaction_hash.hex()}, log {log.log_index}"
        event = decode_event(log, attested.app_id)
        if event is None or event.kind is not Kind.COMPOSE_HASH_ADDED or event.octets != attested.compose_hash:
            raise Contradiction(
                "the log does not allow the attested compose hash",
                where=line.got,
                got=log.data.hex(),
                expected=f"ComposeHashAdded {attested.compose_hash.hex()}",
            )
        _check_place(found, evidence.block.header.number)
        if found.receipt is None:
            line.warning = "without a proof: the word of the endpoint"
        else:
            _check_receipt(found)
            line.explain("not proved", "the transaction's hash; its place in the block is")
            if evidence.stored:
                line.warning = STORED
        return log
    return None


def _check_place(found: AllowedBy, state_block: int) -> None:
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


def _check_receipt(found: AllowedBy) -> None:
    log, receipt, header = found.log, found.receipt, found.block.header
    if receipt is None or receipt.transaction_index != log.transaction_index:
        raise Contradiction("a proof of another transaction's receipt", where=f"block {header.number}")
    logs = proved_logs(receipt, header.receipts_root, f"receipt {receipt.transaction_index} of block {header.number}")
    if ProvedLog(log.address, log.topics, log.data) not in logs:
        raise Contradiction("the proved receipt does not hold this log", where=f"block {header.number}")
