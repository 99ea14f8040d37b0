"""The methods of an Ethereum node that have to do with blocks, logs and transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from twinproof_devnet.chain.blocks import Block, Transaction
from twinproof_devnet.chain.errors import INVALID_PARAMS, METHOD_NOT_FOUND, SERVER_ERROR, RpcError
from twinproof_devnet.chain.log_filter import Limits, LogFilter
from twinproof_devnet.chain.params import Params, number, octets
from twinproof_devnet.chain.shapes import block_json, logs_json, quantity, receipt_json, transaction_json

__all__ = ["BlockMethods", "Blocks", "Methods"]

TAGS = frozenset({"earliest", "latest", "pending", "safe", "finalized"})
CLIENT_VERSION = "twinproof-devnet/SIMULATED"
Method = Callable[[Params], object]


class Blocks(Protocol):
    """What can be asked without executing anything."""

    @property
    def lock(self) -> AbstractContextManager[object]: ...
    @property
    def chain_id(self) -> int: ...
    @property
    def head(self) -> Block: ...
    def number_of(self, tag: str) -> int: ...
    def block(self, number: int, /) -> Block | None: ...
    def block_by_hash(self, block_hash: bytes, /) -> Block | None: ...
    def is_canonical(self, block: Block, /) -> bool: ...
    def blocks_with_logs(self, first: int, last: int, /) -> Iterator[Block]: ...
    def transaction(self, transaction_hash: bytes, /) -> tuple[Transaction, Block | None, int] | None: ...


class Methods(Protocol):
    """An endpoint without HTTP."""

    def answer(self, method: str, params: Sequence[object]) -> object:
        """The result. Raises RpcError."""


class BlockMethods:
    """Answers from `blocks`; methods that need state are added by those who have some."""

    def __init__(self, blocks: Blocks, limits: Limits) -> None:
        self.blocks, self.limits = blocks, limits
        """What the answers are about; another view of the same chain may take its place."""
        self.methods: dict[str, Method] = {
            "eth_chainId": lambda _: quantity(self.blocks.chain_id),
            "net_version": lambda _: str(self.blocks.chain_id),
            "net_listening": lambda _: True,
            "web3_clientVersion": lambda _: CLIENT_VERSION,
            "eth_syncing": lambda _: False,
            "eth_accounts": lambda _: [],
            "eth_blockNumber": lambda _: quantity(self.blocks.head.number),
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getTransactionByHash": self._transaction,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getBlockReceipts": self._block_receipts,
            "eth_getLogs": self._logs,
        }

    def answer(self, method: str, params: Sequence[object]) -> object:
        """The result. Raises RpcError."""
        found = self.methods.get(method)
        if found is None:
            raise RpcError(METHOD_NOT_FOUND, f"the method {method} does not exist/is not available")
        with self.blocks.lock:
            return found(Params(params))

    def number(self, value: object, what: str) -> int:
        """Of a tag or a quantity; there may be no such block yet."""
        if isinstance(value, str) and value in TAGS:
            return self.blocks.number_of(value)
        return number(value, what)

    def at(self, value: object) -> Block:
        """The block in whose state something is asked: a tag, a number, or an object (EIP-1898)."""
        if value is None:
            return self.blocks.head
        if isinstance(value, Mapping):
            if "blockHash" in value:
                found = self.blocks.block_by_hash(octets(value["blockHash"], "blockHash", 32))
                if found is not None and value.get("requireCanonical") and not self.blocks.is_canonical(found):
                    raise RpcError(SERVER_ERROR, "hash is not currently canonical")
                return _found(found)
            value = value.get("blockNumber")
        return _found(self.blocks.block(self.number(value, "block number")))

    def _block_by_number(self, params: Params) -> object:
        block = self.blocks.block(self.number(params.required(0), "argument 0"))
        return None if block is None else block_json(block, full=params.flag(1))

    def _block_by_hash(self, params: Params) -> object:
        block = self.blocks.block_by_hash(params.octets(0, 32))
        return None if block is None else block_json(block, full=params.flag(1))

    def _transaction(self, params: Params) -> object:
        place = self.blocks.transaction(params.octets(0, 32))
        return None if place is None else transaction_json(*place)

    def _receipt(self, params: Params) -> object:
        place = self.blocks.transaction(params.octets(0, 32))
        return None if place is None or place[1] is None else receipt_json(place[1], place[2])

    def _block_receipts(self, params: Params) -> object:
        value = params.required(0)
        if isinstance(value, str) and len(value) == 66:
            block = self.blocks.block_by_hash(params.octets(0, 32))
        else:
            block = self.blocks.block(self.number(value, "argument 0"))
        return None if block is None else [receipt_json(block, index) for index in range(len(block.transactions))]

    def _logs(self, params: Params) -> object:
        members = params.members(0)
        wanted = LogFilter.parse(members)
        first, last, blocks = self._range(members)
        found: list[object] = []
        for block in blocks:
            found += [shown for log, shown in logs_json(block) if wanted.matches(log)]
            self.limits.check_results(len(found), first, last)
        return found

    def _range(self, members: Mapping[str, object]) -> tuple[int, int, Iterator[Block]]:
        block_hash = members.get("blockHash")
        if block_hash is not None:
            if "fromBlock" in members or "toBlock" in members:
                raise RpcError(
                    INVALID_PARAMS, "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other"
                )
            block = self.blocks.block_by_hash(octets(block_hash, "blockHash", 32))
            if block is None:
                raise RpcError(SERVER_ERROR, "unknown block")
            return block.number, block.number, iter([block])
        first, last = (
            self.number("latest" if members.get(name) is None else members[name], name)
            for name in ("fromBlock", "toBlock")
        )
        if first > last:
            raise RpcError(INVALID_PARAMS, "invalid block range params")
        self.limits.check_range(first, last)
        return first, last, self.blocks.blocks_with_logs(first, min(last, self.blocks.head.number))


def _found(block: Block | None) -> Block:
    if block is None:
        raise RpcError(SERVER_ERROR, "header not found")
    return block
