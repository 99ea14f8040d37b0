"""View functions of contracts, asked at one block: what `eth_call` answers, told apart from what it does not."""

from __future__ import annotations

from twinproof.chain.abi import Answer, Function, read_answer
from twinproof.chain.values import data_text, hex_data
from twinproof.sources.rpc import Endpoint, read_from
from twinproof.sources.rpc_errors import RpcRefused

__all__ = ["MAX_ANSWER", "ask", "has_code", "is_revert"]

MAX_ANSWER = 1 << 20
_NO_MORE = -32601, -32602


def ask(endpoint: Endpoint, contract: bytes, function: Function, *arguments: object, block: str = "latest") -> Answer:
    """The contract's answer at this block (a tag, or a number in hex). Raises Unavailable."""
    call = {"to": hex_data(contract), "data": hex_data(function.call(*arguments))}
    try:
        output, reverted = endpoint.call("eth_call", call, block), False
    except RpcRefused as error:
        if not is_revert(error):
            raise
        output, reverted = error.data if isinstance(error.data, str) else "0x", True
    with read_from(endpoint, f"an answer of {function.name}()"):
        text = output if isinstance(output, str) else repr(output)
        return read_answer(
            function, data_text(text, function.signature, max_size=MAX_ANSWER), reverted=reverted, where=endpoint.name
        )


def has_code(endpoint: Endpoint, address: bytes, *, block: str = "latest") -> bool:
    """Whether a contract stands at this address. Raises Unavailable."""
    answer = endpoint.call("eth_getCode", hex_data(address), block)
    with read_from(endpoint, "an answer to eth_getCode"):
        text = answer if isinstance(answer, str) else repr(answer)
        return bool(data_text(text, "code", max_size=MAX_ANSWER))


def is_revert(error: RpcRefused) -> bool:
    """Nodes say it with code 3, or with -32000 and the word."""
    return error.code not in _NO_MORE and (error.code == 3 or "revert" in error.message.lower())
