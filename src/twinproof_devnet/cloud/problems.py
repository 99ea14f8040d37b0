"""What the API says when it does not do what it was asked: the statuses and codes of Phala Cloud."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

from twinproof_devnet.loopback import Answer

__all__ = ["Json", "Problem", "not_found", "not_valid"]

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


class Problem(Exception):
    """`code` is such as ERR-01-005; without one the body is only `{"detail": message}`."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, details: Mapping[str, Json] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.details = status, code, details or {}

    def answer(self) -> Answer:
        body: Json = {"detail": str(self)}
        if self.code is not None:
            details: list[Json] = [{"field": name, "value": value} for name, value in self.details.items()]
            body = {"error_code": self.code, "message": str(self), "details": details}
        return Answer(json.dumps(body).encode(), self.status)


def not_found(what: str, code: str = "ERR-03-001") -> Problem:
    return Problem(404, f"{what} not found", code=code)


def not_valid(field: str, message: str) -> Problem:
    """A request whose body is not what the path takes."""
    return _Invalid(field, message)


class _Invalid(Problem):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(422, message)
        self.field = field

    def answer(self) -> Answer:
        item: Json = {"msg": str(self), "type": "value_error", "loc": ["body", self.field], "ctx": {}, "input": None}
        return Answer(json.dumps({"detail": [item]}).encode(), self.status)
