"""What can be wrong with a call, as JSON-RPC says it."""

from __future__ import annotations

__all__ = ["INVALID_PARAMS", "SERVER_ERROR", "RpcError"]

INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
PARSE_ERROR = -32700
SERVER_ERROR = -32000
LIMIT_EXCEEDED = -32005
REVERTED = 3


class RpcError(Exception):
    """Becomes the `error` member of the answer."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data

    def to_json(self) -> dict[str, object]:
        """Without `data` when there is none."""
        answer: dict[str, object] = {"code": self.code, "message": self.message}
        return answer if self.data is None else {**answer, "data": self.data}
