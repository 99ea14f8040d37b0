"""What an instance is called for people: its machine's name, the host of its URL, or the name of its file."""

from __future__ import annotations

import re
from collections.abc import Collection

__all__ = ["short_source", "unconfirmed"]

_HOST_OR_FILE = re.compile(r"[A-Za-z0-9._:\[\]-]+", re.ASCII)


def short_source(source: str) -> str:
    """`host:port` of a URL, the last part of a path."""
    start, separator, rest = source.partition("://")
    return rest.partition("/")[0] if separator else start.rstrip("/").rpartition("/")[2] or source


def unconfirmed(source: str, labels: Collection[str]) -> str:
    """The short source of evidence that is no configured machine's: never to be taken for one of these labels.

    A bundle says itself where it comes from. Whatever does not look like a host or a file stands in quotes.
    """
    name = short_source(source)
    taken = name.casefold() in {label.casefold() for label in labels}
    return name if _HOST_OR_FILE.fullmatch(name) and not taken else f'"{name}"'
