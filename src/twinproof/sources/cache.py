"""Collateral kept until it goes stale. What is read back is judged like anything else: a cache is no authority.

A set is fresh for half of the life it had when it was fetched, and usable until its first document ends. A cache that
cannot be read or written is no cache, never an error.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from twinproof.dcap.collateral import Collateral
from twinproof.dcap.crl import load_crl
from twinproof.dcap.qe_identity import parse_qe_identity
from twinproof.dcap.tcb_info import parse_tcb_info
from twinproof.errors import EvidenceError
from twinproof.sources.disk import PRIVATE, make_private_directory, write_over
from twinproof.wire import parse_object

__all__ = ["CollateralCache", "Kept", "Key"]

Key = tuple[str, ...]
"""Everything that decides what is asked for: addresses of the service, TEE, FMSPC, CA."""
_MAX_BYTES = 8 << 20
_MAX_IN_MEMORY = 64
_LONGEST = 32 * 86400
"""Seconds. Intel's documents live 30 days; nobody has verified yet what a set says about itself."""
_MEMBERS = {"key", "fetched_at", "collateral"}


@dataclass(frozen=True, slots=True)
class Kept:
    """A set with the time in which all its documents are current, [start, end); unix seconds."""

    collateral: Collateral
    fetched_at: int
    start: int
    end: int

    @classmethod
    def of(cls, collateral: Collateral, fetched_at: int) -> Kept:
        """Read the dates, of unverified documents. Raises EvidenceError."""
        info, identity = parse_tcb_info(collateral.tcb_info), parse_qe_identity(collateral.qe_identity)
        crls = [load_crl(der, "CRL") for der in (collateral.root_ca_crl, collateral.pck_crl)]
        return cls(
            collateral,
            fetched_at,
            max(info.issue_date, identity.issue_date, *(crl.this_update for crl in crls)),
            min(info.next_update, identity.next_update, fetched_at + _LONGEST, *(crl.next_update for crl in crls)),
        )

    def usable(self, at: int) -> bool:
        return self.start <= at < self.end

    def fresh(self, at: int) -> bool:
        born = max(self.start, min(self.fetched_at, self.end))
        return self.start <= at < born + (self.end - born) // 2


class CollateralCache:
    """In memory for this process, and one file per key in a directory, when there is one."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._memory: dict[Key, Kept] = {}
        self._lock = threading.Lock()

    @classmethod
    def default(cls) -> CollateralCache:
        """$XDG_CACHE_HOME/twinproof, or ~/.cache/twinproof; without a home it is in memory alone."""
        base = Path(os.environ.get("XDG_CACHE_HOME") or "relative")
        if not base.is_absolute():  # which the XDG specification tells to ignore
            base = Path(os.environ.get("HOME") or "relative") / ".cache"
        return cls(base / "twinproof" / "collateral" if base.is_absolute() else None)

    def get(self, key: Key) -> Kept | None:
        """The set kept for this key, whether it is current or not."""
        with self._lock:
            kept = self._memory.get(key)
        return kept or self._read(key)

    def put(self, key: Key, collateral: Collateral, *, fetched_at: int) -> None:
        """Keep a set whose dates can be read; others have no time to be kept for."""
        try:
            kept = Kept.of(collateral, fetched_at)
        except EvidenceError:
            return
        with self._lock:
            if len(self._memory) >= _MAX_IN_MEMORY:
                self._memory.clear()
            self._memory[key] = kept
        path = self._path(key)
        if path is not None:
            entry = {"key": list(key), "fetched_at": fetched_at, "collateral": collateral.to_json()}
            with contextlib.suppress(OSError):
                make_private_directory(path.parent)
                write_over(path, json.dumps(entry).encode(), PRIVATE)

    def _path(self, key: Key) -> Path | None:
        if self._directory is None:
            return None
        return self._directory / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()}.json"

    def _read(self, key: Key) -> Kept | None:
        path = self._path(key)
        if path is None:
            return None
        try:
            with path.open("rb") as file:
                entry = parse_object(file.read(_MAX_BYTES), "cache", max_bytes=_MAX_BYTES)
            if set(entry.raw) != _MEMBERS or entry.array("key") != list(key):
                return None
            collateral = Collateral.from_json(json.dumps(entry.child("collateral").raw))
            return Kept.of(collateral, entry.integer("fetched_at"))
        except (OSError, EvidenceError):
            return None
