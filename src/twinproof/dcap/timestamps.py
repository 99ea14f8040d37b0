"""Intel's dates: `YYYY-MM-DDThh:mm:ssZ` and nothing else, from 1970 on, as unix seconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

from twinproof.errors import Malformed, Stale
from twinproof.wire import Fields, shown

__all__ = ["check_window", "iso", "timestamp"]

_FORM = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})Z", re.ASCII)


def timestamp(fields: Fields, name: str) -> int:
    """Unix seconds of a date member. Raises Malformed for other forms and for days that do not exist."""
    text = fields.text(name, max_chars=40)
    seconds = unix_seconds(text)
    if seconds is None:
        raise Malformed("not a date", where=f"{fields.where}.{name}", got=shown(text), expected="YYYY-MM-DDThh:mm:ssZ")
    return seconds


@lru_cache(maxsize=256)  # one document names the same few days in all of its levels
def unix_seconds(text: str) -> int | None:
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    try:
        seconds = int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())
    except ValueError:
        return None
    return seconds if seconds >= 0 else None


def iso(seconds: int) -> str:
    """The same form for messages; a number that is no date stays a number."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def check_window(what: str, start: int, end: int, at: int, *, end_included: bool = True) -> None:
    """`at` lies within [start, end], or [start, end) as for CRLs. Raises Stale."""
    if at < start:
        raise Stale(f"the {what} is not valid yet", got=iso(at), expected=f"from {iso(start)}")
    if at > end or (at == end and not end_included):
        raise Stale(
            f"the {what} has expired",
            got=iso(at),
            expected=f"{'until' if end_included else 'before'} {iso(end)}",
            hint="fetch fresh collateral, or judge old evidence at its own time with --at",
        )
