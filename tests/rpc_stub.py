"""A small Ethereum node on loopback: headers whose hashes are right, logs, limits, and bad manners on demand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from twinproof.chain.rlp_items import encode
from twinproof.keccak import keccak256
from twinproof.sources.http import HttpClient
from twinproof.sources.limits import Limits
from twinproof.sources.rpc import Endpoint
from twinproof_devnet.loopback import Answer, LoopbackServer, Request

__all__ = ["APP", "StubNode", "added", "client", "endpoint", "running"]

APP = bytes.fromhex("a1" * 20)
ADDED = bytes.fromhex("fecb34306dd9d8b785b54d65489d06afc8822a0893ddacedff40c50a4942d0af")  # ComposeHashAdded(bytes32)


class Refusal(Exception):
    """A JSON-RPC error object."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def number(value: int) -> str:
    return hex(value)


def header(block: int, fork: int = 0) -> dict[str, object]:
    """The header of any block; from `fork` on another chain has other hashes."""
    mine = 0 if block < fork else fork
    words: dict[str, object] = {
        "parentHash": "0x" + keccak256(f"{block - 1}".encode()).hex(),
        "sha3Uncles": "0x" + "11" * 32,
        "miner": "0x" + "22" * 20,
        "stateRoot": "0x" + keccak256(f"state {block} {mine}".encode()).hex(),
        "transactionsRoot": "0x" + "33" * 32,
        "receiptsRoot": "0x" + "44" * 32,
        "logsBloom": "0x" + "00" * 256,
        "difficulty": "0x0",
        "number": number(block),
        "gasLimit": "0x1c9c380",
        "gasUsed": "0x0",
        "timestamp": number(1_700_000_000 + 2 * block),
        "extraData": "0x",
        "mixHash": "0x" + "55" * 32,
        "nonce": "0x" + "00" * 8,
        "baseFeePerGas": "0x7",
    }
    quantities = {"difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas"}
    items = []
    for name, text in words.items():
        digits = str(text)[2:]
        items.append(
            bytes.fromhex(
                digits.lstrip("0").zfill(2 * ((len(digits.lstrip("0")) + 1) // 2)) if name in quantities else digits
            )
        )
    words["hash"] = "0x" + keccak256(encode(items)).hex()
    return words


def added(block: int, index: int = 0, *, value: bytes = b"\x01" * 32, fork: int = 0) -> dict[str, object]:
    """A ComposeHashAdded log of APP."""
    return {
        "address": "0x" + APP.hex(),
        "topics": ["0x" + ADDED.hex()],
        "data": "0x" + value.hex(),
        "blockNumber": number(block),
        "blockHash": header(block, fork or block + 1)["hash"],
        "transactionHash": "0x" + keccak256(f"{block} {index}".encode()).hex(),
        "transactionIndex": number(index),
        "logIndex": number(index),
        "removed": False,
    }


@dataclass
class StubNode:
    """`answer` may take a question over: it gets method and params, and gives an Answer or None."""

    head: int = 1000
    finalized: int = 900
    chain_id: int = 8453
    fork: int = 0
    """The first block of another chain; 0 for the one chain that all stubs have."""
    logs: list[dict[str, object]] = field(default_factory=list)
    range_limit: int | None = None
    result_limit: int | None = None
    limit_message: str = "query exceeds max block range {limit}"
    limit_code: int = -32005
    created: int = 0
    answer: Callable[[str, list[object]], Answer | None] | None = None
    asked: Counter[str] = field(default_factory=Counter)

    def handle(self, request: Request) -> Answer:
        question = json.loads(request.body)
        method, params = question["method"], question["params"]
        self.asked[method] += 1
        if self.answer is not None:
            taken_over = self.answer(method, params)
            if taken_over is not None:
                return taken_over
        body: dict[str, object] = {"jsonrpc": "2.0", "id": question["id"]}
        try:
            body["result"] = self.result(method, params)
        except Refusal as error:
            body["error"] = {"code": error.code, "message": error.message}
        return Answer(json.dumps(body).encode())

    def result(self, method: str, params: list[object]) -> object:
        if method == "eth_chainId":
            return number(self.chain_id)
        if method == "eth_getBlockByNumber":
            tags = {"latest": self.head, "finalized": self.finalized, "safe": self.finalized}
            block = tags[str(params[0])] if params[0] in tags else int(str(params[0]), 16)
            return header(block, self.fork or block + 1) if block <= self.head else None
        if method == "eth_getLogs":
            assert isinstance(params[0], dict)
            return self.matching(int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16))
        if method == "eth_getCode":
            return "0x6000" if int(str(params[1]), 16) >= self.created else "0x"
        raise Refusal(-32601, f"the method {method} does not exist")

    def matching(self, first: int, last: int) -> list[dict[str, object]]:
        if self.range_limit is not None and last - first + 1 > self.range_limit:
            raise Refusal(self.limit_code, self.limit_message.format(limit=self.range_limit))
        found = [log for log in self.logs if first <= int(str(log["blockNumber"]), 16) <= last]
        if self.result_limit is not None and len(found) > self.result_limit:
            raise Refusal(-32005, f"query returned more than {self.result_limit} results")
        return found


@contextmanager
def running(node: StubNode) -> Iterator[str]:
    """The node's URL while it answers."""
    server = LoopbackServer(node.handle)
    try:
        yield server.url
    finally:
        server.close()


def client(seconds: float = 10.0) -> HttpClient:
    return HttpClient(Limits(total_timeout=seconds))


@contextmanager
def endpoint(node: StubNode, *, pauses: list[float] | None = None, seconds: float = 10.0) -> Iterator[Endpoint]:
    """An Endpoint that asks this node; instead of waiting it notes for how long it would."""
    noted: list[float] = [] if pauses is None else pauses
    with running(node) as url:
        yield Endpoint(url, client(seconds), pause=noted.append)
