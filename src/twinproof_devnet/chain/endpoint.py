"""JSON-RPC 2.0 over HTTP on loopback: single calls and batches, honest or not."""

from __future__ import annotations

import json
import traceback
from contextlib import suppress
from threading import Lock

from twinproof_devnet.chain.errors import INVALID_PARAMS, INVALID_REQUEST, LIMIT_EXCEEDED, PARSE_ERROR, RpcError
from twinproof_devnet.chain.lies import told
from twinproof_devnet.chain.rpc import BlockMethods, Blocks, Methods
from twinproof_devnet.chain.stale import Frozen, WithoutDepth
from twinproof_devnet.faults import Fault, Place
from twinproof_devnet.loopback import Answer, Request, Service

__all__ = ["Endpoint"]

MAX_BATCH = 1000
INTERNAL_ERROR = -32603
SLOW_SECONDS = 5.0


class Endpoint(Service):
    """One URL. Counts its calls by method."""

    def __init__(self, methods: Methods) -> None:
        self.methods = methods
        self._honest: Blocks | None = methods.blocks if isinstance(methods, BlockMethods) else None
        self.faults: frozenset[Fault] = frozenset()
        self.calls: dict[str, int] = {}
        self.requests = 0
        """HTTP requests: a batch is one."""
        self.slowness = SLOW_SECONDS
        self._counting = Lock()
        super().__init__()

    def switch(self, fault: Fault, *, on: bool = True) -> None:
        """Switch a fault on or off. Raises ValueError for one that no endpoint has."""
        if fault.place is not Place.CHAIN:
            raise ValueError(f"{fault}: not a fault of an RPC endpoint")
        self.faults = self.faults | {fault} if on else self.faults - {fault}
        if isinstance(self.methods, BlockMethods) and self._honest is not None:
            self.methods.blocks = self._seen(self._honest)

    def _seen(self, blocks: Blocks) -> Blocks:
        """The chain as this endpoint sees it, or wants it to be seen."""
        if Fault.EARLY_FINALITY in self.faults:
            blocks = WithoutDepth(blocks)
        return Frozen(blocks) if Fault.STALE_HEAD in self.faults else blocks

    def answer(self, request: Request) -> Answer:
        with self._counting:
            self.requests += 1
            odd = self.requests % 2 == 1
        if Fault.RPC_DOWN in self.faults:
            raise ConnectionAbortedError
        if Fault.RPC_SLOW in self.faults:
            self._server.closing.wait(self.slowness)
        if Fault.RPC_HTML in self.faults:
            return Answer(b"<!DOCTYPE html><title>Just a moment...</title>", content_type="text/html")
        if Fault.RATE_LIMITED in self.faults and odd:
            error = _error(None, RpcError(LIMIT_EXCEEDED, "rate limit exceeded"))
            return Answer(json.dumps(error).encode(), 429, headers={"Retry-After": "1"})
        if request.method != "POST":
            return Answer(b"", 405, headers={"Allow": "POST"})
        return Answer(json.dumps(self.reply(request.body), separators=(",", ":")).encode())

    def reply(self, body: bytes) -> object:
        """What is said to this body."""
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            return _error(None, RpcError(PARSE_ERROR, "parse error"))
        if not isinstance(message, list):
            return self._one(message)
        if not message:
            return _error(None, RpcError(INVALID_REQUEST, "empty batch"))
        if len(message) > MAX_BATCH:
            return _error(None, RpcError(INVALID_REQUEST, "batch too large"))
        return [self._one(item) for item in message]

    def _one(self, message: object) -> object:
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            return _error(None, RpcError(INVALID_REQUEST, "invalid request"))
        method, params = message["method"], message.get("params", [])
        with self._counting:
            self.calls[method] = self.calls.get(method, 0) + 1
        identity = message.get("id")
        try:
            result = told(self.faults, method, self.methods.answer(method, _values(params)))
        except RpcError as error:
            return _error(identity, error)
        except Exception as error:  # noqa: BLE001  (a bug of ours is shown and answered, the server goes on)
            with suppress(OSError):
                traceback.print_exception(error)
            return _error(identity, RpcError(INTERNAL_ERROR, f"internal error: {type(error).__name__}"))
        return {"jsonrpc": "2.0", "id": identity, "result": result}


def _values(params: object) -> list[object]:
    if not isinstance(params, list):
        raise RpcError(INVALID_PARAMS, "non-array args")
    return params


def _error(identity: object, error: RpcError) -> object:
    return {"jsonrpc": "2.0", "id": identity, "error": error.to_json()}
