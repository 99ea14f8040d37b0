"""What an instance is called for people: its machine's name, the host of its URL, or the name of its file."""

from __future__ import annotations

__all__ = ["short_source"]


def short_source(source: str) -> str:
    """`host:port` of a URL, the last part of a path."""
    start, separator, rest = source.partition("://")
    return rest.partition("/")[0] if separator else start.rstrip("/").rpartition("/")[2] or source
