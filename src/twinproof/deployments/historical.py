"""A table of deployments that somebody wrote by hand or by script, read row by row, and what is wrong with each.

Nothing in such a table is evidence: a row becomes a record only by being attested and logged. What can be told from the
text alone is told without a chain; what a hash of 32 bytes is the hash of, only a chain says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twinproof.deployments.anchor import COMPOSE_HASH_ADDED, Mined
from twinproof.errors import Malformed
from twinproof.wire import shown

__all__ = ["BlockHash", "HistoricalRow", "Lookup", "judge_rows", "read_table", "transactions"]

MAX_BYTES = 1 << 20
MAX_ROWS = 10_000
COLUMNS = ("timestamp", "version", "machine", "compose hash", "on-chain tx", "status")
_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]{8,})", re.ASCII)
_TRANSACTION = re.compile(r"0x([0-9a-fA-F]{64})", re.ASCII)
_RULE = re.compile(r":?-+:?")
_EIP_1559 = 0x02
_LONG_LISTS = {0xF8: 1, 0xF9: 2}
"""RLP: a list longer than 55 bytes, and of how many bytes its length is."""
_LINK = re.compile(r"\[([^\]]*)\]\(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class HistoricalRow:
    """The cells as text, without Markdown's links and code marks. `line` counts from 1."""

    line: int
    timestamp: str
    version: str
    machine: str
    compose_hash: str
    transaction: str
    status: str


@dataclass(frozen=True, slots=True)
class BlockHash:
    """A hash that turned out to be that of a block."""

    number: int


Lookup = Callable[[bytes], Mined | BlockHash | None]
"""What a chain knows about 32 bytes: a transaction's receipt, a block, or nothing."""


def read_table(text: str, where: str) -> tuple[HistoricalRow, ...]:
    """The rows of the first table with the six columns, in any order of columns. Raises Malformed."""
    if len(text) > MAX_BYTES:
        raise Malformed("file too large", where=where, expected=f"at most {MAX_BYTES} characters")
    order: list[str] = []
    found: list[HistoricalRow] = []
    for number, line in enumerate(text.splitlines(), 1):
        cells = _cells(line)
        names = [cell.casefold() for cell in cells]
        if not order:
            order = names if set(COLUMNS) <= set(names) else []
            continue
        if not cells:
            if found:
                break
            continue
        if all(_RULE.fullmatch(cell) for cell in cells):
            continue
        if len(cells) != len(order):
            raise Malformed(
                "a row of another width", where=f"{where} line {number}", got=str(len(cells)), expected=str(len(order))
            )
        values = dict(zip(order, cells, strict=True))
        found.append(HistoricalRow(number, *(values[name] for name in COLUMNS)))
        if len(found) > MAX_ROWS:
            raise Malformed("too many rows", where=where, expected=f"at most {MAX_ROWS}")
    if not found:
        raise Malformed("no table of deployments", where=where, expected=f"the columns {', '.join(COLUMNS)}")
    return tuple(found)


def _cells(line: str) -> list[str]:
    line = line.strip()
    if not line.startswith("|"):
        return []
    return [_plain(cell) for cell in line.strip("|").split("|")]


def _plain(cell: str) -> str:
    """A link gives its address where that holds the whole hash, otherwise its text."""

    def address(match: re.Match[str]) -> str:
        whole = _TRANSACTION.search(match[2])
        return whole[0] if whole else match[1]

    return _LINK.sub(address, cell).replace("`", "").replace("*", "").strip()


def transactions(rows: Sequence[HistoricalRow]) -> tuple[bytes, ...]:
    """The 32-byte values in the transaction column that may be hashes: what is worth asking a chain about."""
    found = (_TRANSACTION.fullmatch(row.transaction) for row in rows)
    values = (bytes.fromhex(match[1]) for match in found if match)
    return tuple(dict.fromkeys(value for value in values if not _signed_transaction(value)))


def judge_rows(rows: Sequence[HistoricalRow], lookup: Lookup | None) -> tuple[tuple[str, ...], ...]:
    """What is wrong with each row, the worst first; without a chain (`None`) a hash is said to be unchecked."""
    return tuple((*_transaction(row, lookup), *_compose_hash(row, rows), *_status(row, rows)) for row in rows)


def _transaction(row: HistoricalRow, lookup: Lookup | None) -> list[str]:
    match = _TRANSACTION.fullmatch(row.transaction)
    if match is None:
        return [f"no transaction: the row says {shown(row.transaction, 40) or 'nothing'!r}"]
    value = bytes.fromhex(match[1])
    signed = _signed_transaction(value)
    if signed:
        return [signed]
    if lookup is None:
        return ["its transaction hash was not looked up: no chain was given"]
    return _looked_up(row, lookup(value))


def _looked_up(row: HistoricalRow, found: Mined | BlockHash | None) -> list[str]:
    if found is None:
        return ["the chain knows no such transaction"]
    if isinstance(found, BlockHash):
        return [f"not a transaction hash: it is the hash of block {found.number}"]
    if not found.receipt.succeeded:
        return ["its transaction was reverted"]
    logged = [log.data.hex() for log in found.receipt.logs if log.topics == (COMPOSE_HASH_ADDED,)]
    if row.compose_hash.removeprefix("0x").lower() in logged:
        return []
    return [f"its transaction did not allow this compose hash: it logged {', '.join(logged) or 'none'}"]


def _signed_transaction(value: bytes) -> str:
    """32 bytes that start like a serialized EIP-1559 transaction: type 2, a list, and a small chain id as its first."""
    width = _LONG_LISTS.get(value[1], 0)
    if value[0] != _EIP_1559 or not width:
        return ""
    length = int.from_bytes(value[2 : 2 + width], "big")
    tag = value[2 + width]
    size = tag - 0x80 if 0x81 <= tag <= 0x88 else 0
    chain_id = int.from_bytes(value[3 + width : 3 + width + size], "big") if size else tag
    canonical = bool(size) or tag < 0x80
    if length < 56 or not canonical or not chain_id:
        return ""
    return (
        "not a transaction hash: the first 32 bytes of a serialized signed transaction "
        f"(type 2, {length} bytes, chain id {chain_id})"
    )


def _compose_hash(row: HistoricalRow, rows: Sequence[HistoricalRow]) -> list[str]:
    found = ["no evidence: nothing shows that hardware attested this compose hash, or on which machine"]
    digits = _HEX.search(row.compose_hash)
    if digits is None:
        return [f"no compose hash: the row says {shown(row.compose_hash, 40) or 'nothing'!r}", *found]
    if len(digits[1]) != 64:
        found.insert(0, f"not a whole compose hash: {len(digits[1])} digits of 64")
    others = {
        other.machine for other in rows if other.version == row.version and other.compose_hash != row.compose_hash
    }
    if others:
        found.insert(0, f"another compose hash than {', '.join(sorted(others))} has for the same version")
    return found


def _status(row: HistoricalRow, rows: Sequence[HistoricalRow]) -> list[str]:
    """Two rows of one machine cannot both be running. Rows of one time were written, not deployed, then."""
    found = []
    active = [other for other in rows if other.machine == row.machine and other.status.casefold() == "active"]
    if row in active and len(active) > 1:
        found.append(f"one of {len(active)} rows that call themselves Active on {shown(row.machine, 40)}")
    if any(other.timestamp == row.timestamp and other.machine != row.machine for other in rows):
        found.append("its time is another machine's too: when the row was written, not when the hash was logged")
    return found
