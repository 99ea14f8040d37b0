"""A transaction as the chain has it: its receipt, and that its block is still in the chain."""

from __future__ import annotations

from twinproof.chain.receipt import parse_receipt
from twinproof.deployments.anchor import Mined
from twinproof.deployments.historical import BlockHash
from twinproof.errors import Refused
from twinproof.sources.rpc import Endpoint, header_at, quantity_of, read_from
from twinproof.wire import Fields

__all__ = ["chain_id_of", "mined_transaction", "what_is"]


def chain_id_of(endpoint: Endpoint) -> int:
    """Raises Unavailable."""
    return quantity_of(endpoint, "eth_chainId")


def mined_transaction(endpoint: Endpoint, transaction: bytes) -> Mined:
    """Raises Refused when there is no such transaction or its block is no longer in the chain, Unavailable."""
    found = _find(endpoint, transaction)
    if found is None:
        raise Refused("no such transaction in this chain", where=endpoint.name, got=f"0x{transaction.hex()}")
    return found


def what_is(endpoint: Endpoint, value: bytes) -> Mined | BlockHash | None:
    """What 32 bytes are the hash of: a transaction, a block, or nothing that this chain knows. Raises Unavailable."""
    found = _find(endpoint, value)
    if found is not None:
        return found
    block = endpoint.call("eth_getBlockByHash", f"0x{value.hex()}", False)
    if block is None:
        return None
    with read_from(endpoint, "a block"):
        fields = Fields(block, "block")
        return BlockHash(int(fields.text("number", max_chars=20), 16))


def _find(endpoint: Endpoint, transaction: bytes) -> Mined | None:
    answer = endpoint.call("eth_getTransactionReceipt", f"0x{transaction.hex()}")
    if answer is None:
        return None
    with read_from(endpoint, "a receipt"):
        receipt = parse_receipt(Fields(answer, "receipt"))
    if receipt.transaction_hash != transaction:
        raise Refused("a receipt of another transaction", where=endpoint.name, got=receipt.transaction_hash.hex())
    header = header_at(endpoint, hex(receipt.block_number))
    if header.hash != receipt.block_hash:
        raise Refused(
            "its block is no longer in the chain",
            where=endpoint.name,
            got=receipt.block_hash.hex(),
            expected=header.hash.hex(),
            hint="a reorganisation: the transaction may be in a later block",
        )
    return Mined(receipt, header.timestamp)
