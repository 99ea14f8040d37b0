"""Transaction receipts as `eth_getTransactionReceipt` and `eth_getBlockReceipts` give them.

Sources: ethereum/execution-apis, schema ReceiptInfo; EIP-658 (status), EIP-2718 (types); OP Stack specification,
deposits (type 0x7e with `depositNonce` and `depositReceiptVersion`).
"""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.chain.log import Log, parse_log
from twinproof.chain.values import MAX_WORD, data, quantity
from twinproof.errors import Malformed
from twinproof.wire import Fields

__all__ = ["DEPOSIT_TYPE", "Receipt", "parse_receipt"]

DEPOSIT_TYPE = 0x7E
_MAX_LOGS = 100_000


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a mined transaction did. Addresses have 20 bytes, hashes 32, the bloom 256; gas prices are in wei.

    `to` is None for a contract creation, which alone has a `contract_address`.
    """

    transaction_hash: bytes
    transaction_index: int
    block_number: int
    block_hash: bytes
    type: int
    succeeded: bool
    cumulative_gas_used: int
    gas_used: int
    effective_gas_price: int | None
    bloom: bytes
    logs: tuple[Log, ...]
    sender: bytes
    to: bytes | None
    contract_address: bytes | None
    deposit_nonce: int | None = None
    deposit_receipt_version: int | None = None


def parse_receipt(fields: Fields) -> Receipt:
    """Read one receipt strictly; its logs must be this transaction's, in order. Raises Malformed."""
    kind = quantity(fields, "type", high=0x7F) if "type" in fields else 0
    receipt = Receipt(
        transaction_hash=data(fields, "transactionHash", size=32),
        transaction_index=quantity(fields, "transactionIndex"),
        block_number=quantity(fields, "blockNumber"),
        block_hash=data(fields, "blockHash", size=32),
        type=kind,
        succeeded=quantity(fields, "status", high=1) == 1,
        cumulative_gas_used=quantity(fields, "cumulativeGasUsed"),
        gas_used=quantity(fields, "gasUsed"),
        effective_gas_price=_optional_quantity(fields, "effectiveGasPrice"),
        bloom=data(fields, "logsBloom", size=256),
        logs=tuple(parse_log(entry) for entry in fields.objects("logs", max_items=_MAX_LOGS)),
        sender=data(fields, "from", size=20),
        to=_optional_address(fields, "to"),
        contract_address=_optional_address(fields, "contractAddress"),
        deposit_nonce=_optional_quantity(fields, "depositNonce") if kind == DEPOSIT_TYPE else None,
        deposit_receipt_version=_optional_quantity(fields, "depositReceiptVersion") if kind == DEPOSIT_TYPE else None,
    )
    _check_logs(receipt, fields.where)
    return receipt


def _check_logs(receipt: Receipt, where: str) -> None:
    mine = (receipt.transaction_hash, receipt.transaction_index, receipt.block_number, receipt.block_hash)
    for index, log in enumerate(receipt.logs):
        at = f"{where}.logs[{index}]"
        if (log.transaction_hash, log.transaction_index, log.block_number, log.block_hash) != mine:
            raise Malformed("a log of another transaction or block", where=at, got=log.transaction_hash.hex())
        if log.log_index != receipt.logs[0].log_index + index:
            raise Malformed("logs out of order", where=at, got=str(log.log_index))
    if not receipt.succeeded and receipt.logs:
        raise Malformed("a reverted transaction with logs", where=where, got=f"{len(receipt.logs)} logs")


def _optional_quantity(fields: Fields, name: str) -> int | None:
    return None if fields.raw.get(name) is None else quantity(fields, name, high=MAX_WORD)


def _optional_address(fields: Fields, name: str) -> bytes | None:
    """Providers write null or leave the member out."""
    return None if fields.raw.get(name) is None else data(fields, name, size=20)
