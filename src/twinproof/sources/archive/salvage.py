"""The numbers of entries that an index still names though it was damaged or cut short.

Every row's number stands in the table and in each of its indexes, on pages of their own: what one has lost, another
may still have.
"""

from __future__ import annotations

import sqlite3

__all__ = ["numbers"]

_SCANS = ("NOT INDEXED", "INDEXED BY by_time", "INDEXED BY by_version", "INDEXED BY by_device")


def numbers(database: sqlite3.Connection, after: int) -> tuple[list[int], bool]:
    """Those behind `after`, in order, and whether one of the scans came to its end: otherwise there may be more."""
    found: set[int] = set()
    whole = False
    for scan in _SCANS:
        try:
            for (number,) in database.execute(f"SELECT number FROM entries {scan}"):  # noqa: S608
                found.add(number)
            whole = True
        except sqlite3.Error:
            continue
    return sorted(number for number in found if number > after), whole
