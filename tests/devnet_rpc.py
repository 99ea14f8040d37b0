"""Asks a JSON-RPC endpoint of the devnet, without any client of the field in between."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

__all__ = ["RpcFailure", "post", "rpc"]


class RpcFailure(Exception):
    """An error object."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code, self.data = error["code"], error.get("data")


def post(url: str, message: object) -> Any:
    request = urllib.request.Request(url, json.dumps(message).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def rpc(url: str, method: str, *params: object) -> Any:
    """The result. Raises RpcFailure."""
    answer = post(url, {"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
    assert (answer["jsonrpc"], answer["id"]) == ("2.0", 7)
    if "error" in answer:
        raise RpcFailure(answer["error"])
    return answer["result"]
