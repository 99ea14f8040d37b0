"""The documents that follow from the records: DEPLOYMENTS.md whole, and two cells of each version in the README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twinproof.deployments.record import Record
from twinproof.deployments.standing import rows
from twinproof.deployments.table import render
from twinproof.release.version_table import BEGIN, with_deployments

__all__ = ["DEPLOYMENTS", "NAMES", "README", "documents"]

DEPLOYMENTS, README = "DEPLOYMENTS.md", "README.md"
NAMES = (DEPLOYMENTS, README)


def documents(before: Mapping[str, str], records: Sequence[Record]) -> dict[str, str]:
    """New texts by path, from the old ones and all records. Raises Malformed for a README with a broken table.

    A README without the table of versions is left out.
    """
    after = {DEPLOYMENTS: render(records)}
    readme = before.get(README, "")
    if BEGIN in readme:
        after[README] = with_deployments(readme, _first_deployed(records))
    return after


def _first_deployed(records: Sequence[Record]) -> dict[str, tuple[str, str]]:
    """Git SHA and compose hash of each version, of its first deployment; `verify` names one that says otherwise."""
    found: dict[str, tuple[str, str]] = {}
    for row in reversed(rows(records)):
        record = row.record
        if record.failure is None and record.attested is not None:
            found.setdefault(str(record.version), (record.git_sha, record.attested.compose_hash.hex()))
    return found
