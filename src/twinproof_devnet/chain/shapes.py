"""Blocks, transactions, receipts and logs as JSON-RPC shows them: quantities without leading zeros, data in full."""

from __future__ import annotations

from collections.abc import Iterator

import rlp

from twinproof_devnet.chain.blocks import Block, Header, Log, Transaction

__all__ = ["block_json", "data", "header_json", "logs_json", "quantity", "receipt_json", "transaction_json"]

Json = dict[str, object]


def quantity(number: int) -> str:
    return hex(number)


def data(octets: bytes) -> str:
    return "0x" + octets.hex()


def header_json(header: Header) -> Json:
    """Every field that is hashed, and the hash."""
    return {
        "hash": data(header.hash),
        "parentHash": data(header.parent_hash),
        "sha3Uncles": data(header.uncles_hash),
        "miner": data(header.miner),
        "stateRoot": data(header.state_root),
        "transactionsRoot": data(header.transactions_root),
        "receiptsRoot": data(header.receipts_root),
        "logsBloom": data(header.bloom),
        "difficulty": quantity(header.difficulty),
        "number": quantity(header.number),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "timestamp": quantity(header.timestamp),
        "extraData": data(header.extra_data),
        "mixHash": data(header.mix_hash),
        "nonce": data(header.nonce),
        "baseFeePerGas": quantity(header.base_fee_per_gas),
        "withdrawalsRoot": data(header.withdrawals_root),
        "blobGasUsed": quantity(header.blob_gas_used),
        "excessBlobGas": quantity(header.excess_blob_gas),
        "parentBeaconBlockRoot": data(header.parent_beacon_block_root),
        "requestsHash": data(header.requests_hash),
    }


def block_json(block: Block, *, full: bool) -> Json:
    """With whole transactions, or their hashes."""
    transactions: list[object] = [
        transaction_json(item, block, index) if full else data(item.hash)
        for index, item in enumerate(block.transactions)
    ]
    return {
        **header_json(block.header),
        "size": quantity(_size(block)),
        "transactions": transactions,
        "uncles": [],
        "withdrawals": [],
    }


def _size(block: Block) -> int:
    raw = [rlp.decode(item.raw) if item.kind == 0 else item.raw for item in block.transactions]
    return len(rlp.encode([rlp.decode(block.header.encoded), raw, [], []]))


def transaction_json(transaction: Transaction, block: Block | None, index: int) -> Json:
    """Without block while it waits."""
    price = transaction.gas_price if block is None else transaction.effective_gas_price(block.header.base_fee_per_gas)
    shown: Json = {
        "blockHash": None if block is None else data(block.hash),
        "blockNumber": None if block is None else quantity(block.number),
        "transactionIndex": None if block is None else quantity(index),
        "from": data(transaction.sender),
        "gas": quantity(transaction.gas),
        "gasPrice": quantity(price),
        "hash": data(transaction.hash),
        "input": data(transaction.data),
        "nonce": quantity(transaction.nonce),
        "to": None if transaction.to is None else data(transaction.to),
        "value": quantity(transaction.value),
        "type": quantity(transaction.kind),
        "v": quantity(transaction.v),
        "r": quantity(transaction.r),
        "s": quantity(transaction.s),
    }
    if transaction.chain_id is not None:
        shown["chainId"] = quantity(transaction.chain_id)
    if transaction.kind > 0:
        shown["yParity"] = quantity(transaction.v)
        shown["accessList"] = [
            {"address": data(address), "storageKeys": [data(slot) for slot in slots]}
            for address, slots in transaction.access_list
        ]
    if transaction.kind == 2:
        shown["maxFeePerGas"] = quantity(transaction.gas_price)
        shown["maxPriorityFeePerGas"] = quantity(transaction.priority_fee)
    return shown


def logs_json(block: Block) -> Iterator[tuple[Log, Json]]:
    """All logs of the block, in order; `logIndex` counts within the block."""
    number = 0
    for index, (transaction, receipt) in enumerate(zip(block.transactions, block.receipts, strict=True)):
        for log in receipt.logs:
            yield (
                log,
                {
                    "address": data(log.address),
                    "topics": [data(item) for item in log.topics],
                    "data": data(log.data),
                    "blockNumber": quantity(block.number),
                    "blockHash": data(block.hash),
                    "transactionHash": data(transaction.hash),
                    "transactionIndex": quantity(index),
                    "logIndex": quantity(number),
                    "removed": False,
                },
            )
            number += 1


def receipt_json(block: Block, index: int) -> Json:
    """Of the transaction at this index."""
    transaction, receipt = block.transactions[index], block.receipts[index]
    mine = quantity(index)
    return {
        "blockHash": data(block.hash),
        "blockNumber": quantity(block.number),
        "contractAddress": None if receipt.contract is None else data(receipt.contract),
        "cumulativeGasUsed": quantity(receipt.cumulative_gas_used),
        "effectiveGasPrice": quantity(receipt.effective_gas_price),
        "from": data(transaction.sender),
        "gasUsed": quantity(receipt.gas_used),
        "logs": [shown for _, shown in logs_json(block) if shown["transactionIndex"] == mine],
        "logsBloom": data(receipt.bloom),
        "status": quantity(receipt.status),
        "to": None if transaction.to is None else data(transaction.to),
        "transactionHash": data(transaction.hash),
        "transactionIndex": mine,
        "type": quantity(receipt.kind),
    }
