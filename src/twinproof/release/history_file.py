"""What `twinproof history --json` wrote, read back: since when each compose hash is allowed, and whether it is dark.

It is a file that somebody made: what stands in it is that somebody's word, and is shown as such.
"""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.errors import Malformed
from twinproof.wire import LAST_SECOND, Fields, parse_object, shown

__all__ = ["AllowedSpan", "HistoryFile", "HistoryVersion", "parse_history"]

SCHEMA = "twinproof/history/v1"
_MOST_VERSIONS = 100_000
_MOST_SPANS = 1000
_HIGHEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class AllowedSpan:
    """From a block until another one, None while it holds. Times in unix seconds, None where they were not read."""

    since_block: int | None
    since_time: int | None
    transaction: str
    until_block: int | None
    until_time: int | None


@dataclass(frozen=True, slots=True)
class HistoryVersion:
    """One compose hash (64 hex digits): what it is published as, whether it is dark, and when it was allowed."""

    compose_hash: str
    names: tuple[str, ...]
    dark: bool
    spans: tuple[AllowedSpan, ...]


@dataclass(frozen=True, slots=True)
class HistoryFile:
    """The file `name`: an app of a chain, up to a block, and whose word it was then."""

    name: str
    app_id: str
    chain_id: int
    to_block: int
    proved: bool
    whose: str
    versions: tuple[HistoryVersion, ...]


def parse_history(text: bytes, name: str) -> HistoryFile:
    """Read the members that are used here. Raises Malformed."""
    fields = parse_object(text, name, max_bytes=64 << 20)
    schema = fields.text("schema", max_chars=100)
    if schema != SCHEMA:
        raise Malformed("unknown schema", where=f"{name}.schema", got=shown(schema), expected=SCHEMA)
    return HistoryFile(
        name=shown(name, 100),
        app_id=fields.text("app_id", max_chars=42),
        chain_id=fields.integer("chain_id", high=_HIGHEST),
        to_block=fields.integer("to_block", high=_HIGHEST),
        proved=fields.boolean("proved"),
        whose=shown(fields.text("whose_word", max_chars=2000), 2000),
        versions=tuple(_version(item) for item in fields.objects("versions", max_items=_MOST_VERSIONS)),
    )


def _version(fields: Fields) -> HistoryVersion:
    spans = tuple(_span(item) for item in fields.objects("spans", max_items=_MOST_SPANS))
    if not spans:
        raise Malformed("a version that was never allowed", where=fields.where)
    return HistoryVersion(
        compose_hash=_hash(fields.text("compose_hash", max_chars=66), fields.where),
        names=tuple(shown(item, 64) for item in fields.texts("versions", max_items=100, max_chars=100)),
        dark=fields.boolean("dark"),
        spans=spans,
    )


def _span(fields: Fields) -> AllowedSpan:
    since = fields.child("since") if fields.raw.get("since") is not None else None
    until = fields.child("until") if fields.raw.get("until") is not None else None
    return AllowedSpan(
        since_block=None if since is None else since.integer("block", high=_HIGHEST),
        since_time=_time(since),
        transaction="" if since is None else _hash(since.text("transaction", max_chars=66), since.where),
        until_block=None if until is None else until.integer("block", high=_HIGHEST),
        until_time=_time(until),
    )


def _time(moment: Fields | None) -> int | None:
    if moment is None or moment.raw.get("time") is None:
        return None
    return moment.integer("time", high=LAST_SECOND)


def _hash(text: str, where: str) -> str:
    digits = text.removeprefix("0x").lower()
    if len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        raise Malformed("not 32 bytes of hex", where=where, got=shown(text, 80))
    return digits
