"""Collateral kept on disk until it goes stale. What is read back is judged like anything else: a cache is no authority.

A set is used until half of its life has passed, or its end, whichever document ends first. A cache that cannot be read
or written is no cache, never an error.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from twinproof.dcap.collateral import Collateral
from twinproof.dcap.crl import load_crl
from twinproof.dcap.qe_identity import parse_qe_identity
from twinproof.dcap.tcb_info import parse_tcb_info
from twinproof.errors import EvidenceError
from twinproof.sources.files import write_atomically
from twinproof.wire import parse_object

__all__ = ["CollateralCache"]

Key = tuple[str, ...]
_MAX_BYTES = 8 << 20


class CollateralCache:
    """One file per key in a directory of its own."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    @classmethod
    def default(cls) -> CollateralCache:
        """$XDG_CACHE_HOME/twinproof, or ~/.cache/twinproof; without a home there is no cache."""
        base = Path(os.environ.get("XDG_CACHE_HOME") or "relative")
        if not base.is_absolute():
            base = Path(os.environ.get("HOME") or "relative") / ".cache"
        return cls(base / "twinproof" / "collateral" if base.is_absolute() else None)

    def _path(self, key: Key) -> Path | None:
        if self._directory is None:
            return None
        return self._directory / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()}.json"

    def get(self, key: Key, *, at: int) -> Collateral | None:
        """The set kept for this key, if it is still in the first half of its life at `at`."""
        path = self._path(key)
        if path is None:
            return None
        try:
            with path.open("rb") as file:
                entry = parse_object(file.read(_MAX_BYTES), "cache", max_bytes=_MAX_BYTES)
            fetched = entry.integer("fetched_at")
            collateral = Collateral.from_json(json.dumps(entry.child("collateral").raw))
            start, end = _window(collateral)
        except (OSError, EvidenceError):
            return None
        half = fetched + (end - fetched) // 2
        return collateral if max(start, fetched) <= at < half else None

    def put(self, key: Key, collateral: Collateral, *, at: int) -> None:
        path = self._path(key)
        if path is None:
            return
        entry = {"fetched_at": at, "collateral": collateral.to_json()}
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomically(path, json.dumps(entry).encode(), 0o600)


def _window(collateral: Collateral) -> tuple[int, int]:
    """The time in which all documents are current. Raises EvidenceError."""
    info, identity = parse_tcb_info(collateral.tcb_info), parse_qe_identity(collateral.qe_identity)
    crls = [load_crl(der, "cache") for der in (collateral.root_ca_crl, collateral.pck_crl)]
    return (
        max(info.issue_date, identity.issue_date, *(crl.this_update for crl in crls)),
        min(info.next_update, identity.next_update, *(crl.next_update for crl in crls)),
    )
