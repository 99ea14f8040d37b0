"""What contracts answer and hold at one block, as one endpoint says: `eth_call`, `eth_getCode`, `eth_getStorageAt`."""

from __future__ import annotations

from twinproof.chain.abi import Answer, Function, read_answer
from twinproof.chain.evidence import Call
from twinproof.chain.values import data_text, hex_data
from twinproof.sources.rpc import Endpoint, read_from
from twinproof.sources.rpc_errors import RpcRefused

__all__ = ["MAX_ANSWER", "ask", "called", "code_at", "has_code", "is_revert", "storage_word"]

MAX_ANSWER = 1 << 20
_NO_MORE = -32601, -32602


def ask(endpoint: Endpoint, contract: bytes, function: Function, *arguments: object, block: str = "latest") -> Answer:
    """The contract's answer at this block (a tag, or a number in hex). Raises Unavailable."""
    answer = called(endpoint, contract, function.call(*arguments), block)
    with read_from(endpoint, f"an answer of {function.name}()"):
        return read_answer(function, answer.output, reverted=answer.reverted, where=endpoint.name)


def called(endpoint: Endpoint, contract: bytes, data: bytes, block: str) -> Call:
    """The output, or the data of the revert, as they came. Raises Unavailable."""
    try:
        output, reverted = endpoint.call("eth_call", {"to": hex_data(contract), "data": hex_data(data)}, block), False
    except RpcRefused as error:
        if not is_revert(error):
            raise
        output, reverted = error.data if isinstance(error.data, str) else "0x", True
    with read_from(endpoint, "an answer to eth_call"):
        text = output if isinstance(output, str) else repr(output)
        return Call(contract, data, data_text(text, "eth_call", max_size=MAX_ANSWER), reverted)


def code_at(endpoint: Endpoint, address: bytes, *, block: str = "latest") -> bytes:
    """The code at this address, empty where no contract is. Raises Unavailable."""
    answer = endpoint.call("eth_getCode", hex_data(address), block)
    with read_from(endpoint, "an answer to eth_getCode"):
        return data_text(answer if isinstance(answer, str) else repr(answer), "code", max_size=MAX_ANSWER)


def has_code(endpoint: Endpoint, address: bytes, *, block: str = "latest") -> bool:
    """Whether a contract stands at this address. Raises Unavailable."""
    return bool(code_at(endpoint, address, block=block))


def storage_word(endpoint: Endpoint, address: bytes, slot: bytes, block: str) -> int:
    """`eth_getStorageAt`: 32 bytes of a contract's state. Raises Unavailable."""
    answer = endpoint.call("eth_getStorageAt", hex_data(address), hex_data(slot), block)
    with read_from(endpoint, "a storage word"):
        text = answer if isinstance(answer, str) else repr(answer)
        return int.from_bytes(data_text(text, "eth_getStorageAt", size=32), "big")


def is_revert(error: RpcRefused) -> bool:
    """Nodes say it with code 3, or with -32000 and the word."""
    return error.code not in _NO_MORE and (error.code == 3 or "revert" in error.message.lower())
