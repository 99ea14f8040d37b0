"""The one clock."""

from __future__ import annotations

import time

__all__ = ["now"]


def now() -> int:
    """Unix seconds, UTC."""
    return int(time.time())
