"""Reads the parameters of calls, as strictly as geth, with its words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from twinproof_devnet.chain.errors import INVALID_PARAMS, RpcError

__all__ = ["Params"]

_QUANTITY = re.compile(r"0x(0|[1-9a-fA-F][0-9a-fA-F]*)")
_DATA = re.compile(r"0x([0-9a-fA-F]{2})*")


class Params:
    """The values of one call, by position."""

    def __init__(self, values: Sequence[object]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def at(self, index: int) -> object:
        """None when it was left out."""
        return self.values[index] if index < len(self.values) else None

    def required(self, index: int) -> object:
        if self.at(index) is None:
            raise RpcError(INVALID_PARAMS, f"missing value for required argument {index}")
        return self.values[index]

    def octets(self, index: int, size: int | None = None) -> bytes:
        """Data; of exactly `size` bytes when given."""
        return octets(self.required(index), f"argument {index}", size)

    def flag(self, index: int) -> bool:
        value = self.at(index)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise RpcError(INVALID_PARAMS, f"invalid argument {index}: json: cannot unmarshal into Go value of type bool")

    def members(self, index: int) -> Mapping[str, object]:
        value = self.required(index)
        if not isinstance(value, dict):
            raise RpcError(INVALID_PARAMS, f"invalid argument {index}: json: cannot unmarshal, not an object")
        return value


def octets(value: object, what: str, size: int | None = None) -> bytes:
    if not isinstance(value, str) or not _DATA.fullmatch(value):
        raise RpcError(INVALID_PARAMS, f"invalid {what}: not hex data with 0x")
    found = bytes.fromhex(value[2:])
    if size is not None and len(found) != size:
        raise RpcError(INVALID_PARAMS, f"invalid {what}: hex string has length {2 * len(found)}, want {2 * size}")
    return found


def number(value: object, what: str) -> int:
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise RpcError(INVALID_PARAMS, f"invalid {what}: not a hex quantity, or with leading zero digits")
    return int(value, 16)
