"""Reading MessagePack strictly: text keys once each, no extension types, a bounded number of values."""

from __future__ import annotations

import msgpack  # type: ignore[import-untyped]  # it ships neither stubs nor py.typed

from twinproof.errors import Malformed
from twinproof.wire import shown

__all__ = ["unpack"]

MAX_VALUES = 1 << 20
MAX_ITEMS = 1 << 17
MAX_MEMBERS = 64


class _Budget:
    """One byte of input can make one Python object; this ends it long before memory does."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.left = MAX_VALUES

    def items(self, values: list[object]) -> list[object]:
        self._spend(len(values))
        return values

    def members(self, pairs: list[tuple[object, object]]) -> dict[object, object]:
        self._spend(len(pairs))
        members = dict(pairs)
        if len(members) != len(pairs):
            raise Malformed("duplicate member", where=self.where)
        if not all(isinstance(name, str) for name in members):
            raise Malformed("a member's name is not text", where=self.where)
        return members

    def extension(self, code: int, _data: bytes) -> object:
        raise Malformed("extension type", where=self.where, got=str(code), expected="plain values")

    def _spend(self, count: int) -> None:
        self.left -= count + 1
        if self.left < 0:
            raise Malformed("too many values", where=self.where, expected=f"at most {MAX_VALUES}")


def unpack(data: bytes, where: str) -> object:
    """Decode one MessagePack value and nothing after it. Raises Malformed, never an exception of msgpack."""
    budget = _Budget(where)
    try:
        value: object = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            list_hook=budget.items,
            object_pairs_hook=budget.members,
            ext_hook=budget.extension,
            max_str_len=len(data),
            max_bin_len=len(data),
            max_array_len=MAX_ITEMS,
            max_map_len=MAX_MEMBERS,
            max_ext_len=0,
        )
    except Malformed:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.exceptions.UnpackException) as error:
        # ExtraData, FormatError, StackError, OutOfData and the length caps are all ValueErrors or UnpackExceptions.
        raise Malformed("not MessagePack", where=where, got=shown(str(error), 60)) from error
    return value
