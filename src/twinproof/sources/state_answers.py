"""What one endpoint answers about the state of contracts at a block: proved to the block's state root, or its word."""

from __future__ import annotations

from collections.abc import Sequence

from twinproof.chain.account_proof import AccountProof, parse_account_proof, proved_account
from twinproof.chain.block import Header
from twinproof.chain.evidence import PlainState, Word
from twinproof.chain.values import hex_data
from twinproof.errors import EvidenceError, Malformed
from twinproof.sources.chain_calls import called, storage_word
from twinproof.sources.rpc import Endpoint
from twinproof.sources.rpc_errors import RpcUntrue
from twinproof.wire import Fields

__all__ = ["account_proof", "plain_state"]


def account_proof(endpoint: Endpoint, contract: bytes, slots: tuple[bytes, ...], block: Header) -> AccountProof:
    """`eth_getProof`, verified against the block's state root. Raises RpcUntrue when it does not hold, Unavailable."""
    keys = [hex_data(slot) for slot in slots]
    answer = endpoint.call("eth_getProof", hex_data(contract), keys, hex(block.number))
    try:
        proof = parse_account_proof(Fields(answer, "proof"))
        _about(proof, contract, slots)
        proved_account(proof, block.state_root)
    except EvidenceError as error:
        raise RpcUntrue(f"a proof that does not hold: {error}", where=endpoint.name) from error
    return proof


def _about(proof: AccountProof, contract: bytes, slots: tuple[bytes, ...]) -> None:
    if proof.address != contract or {slot.slot for slot in proof.slots} != set(slots):
        raise Malformed("a proof of other slots than were asked for", where="eth_getProof", got=hex_data(proof.address))


def plain_state(
    endpoint: Endpoint, calls: Sequence[tuple[bytes, bytes]], places: Sequence[tuple[bytes, bytes]], block: Header
) -> PlainState:
    """One endpoint's answers to (contract, input), and words at (contract, slot), at the block. Raises Unavailable."""
    at = hex(block.number)
    answers = tuple(called(endpoint, to, data, at) for to, data in calls)
    words = tuple(Word(address, slot, storage_word(endpoint, address, slot, at)) for address, slot in places)
    return PlainState(endpoint.name, answers, words)
