"""Which deployments are the running ones: derived from all records, never written down.

Per app and device, the deployment that was attested last is Active and every earlier one is Replaced, whatever their
versions are: a rollback is a deployment too. A failed one is neither, and replaces nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from twinproof.deployments.record import Attested, Record

__all__ = ["Row", "Standing", "rows"]


class Standing(StrEnum):
    """The words of the table."""

    ACTIVE = "Active"
    REPLACED = "Replaced"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Row:
    record: Record
    standing: Standing

    @property
    def time(self) -> int:
        """Of the block that holds the log; where a failed deployment has none, of the record."""
        return self.record.anchor.block_time if self.record.anchor else self.record.at


def rows(records: Iterable[Record]) -> tuple[Row, ...]:
    """Every record with its standing, newest first. The order depends on the records alone."""
    known = sorted(records, key=_order, reverse=True)
    seen: set[tuple[bytes, bytes]] = set()
    found = []
    for record in known:
        standing = Standing.FAILED
        if record.failure is None and record.attested is not None:
            place = (record.attested.app_id, record.attested.device_id)
            standing = Standing.REPLACED if place in seen else Standing.ACTIVE
            seen.add(place)
        found.append(Row(record, standing))
    return tuple(found)


def _order(record: Record) -> tuple[int, int, str]:
    attested: Attested | None = record.attested if record.failure is None else None
    return (attested.at if attested else record.at, record.at, record.name)
