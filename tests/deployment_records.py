"""Deployment records for tests: made-up facts of the right shape, one app, two machines."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from twinproof.deployments.record import Anchor, Attested, Failure, Record
from twinproof.release.versions import Version

__all__ = ["APP_ID", "AT", "DEVICES", "GIT_SHA", "failed", "record"]

AT = 1_790_000_000
APP_ID = bytes.fromhex("5bb4ff9a3837357f19dc176407a5709c62eb6c56")
GIT_SHA = "0123456789abcdef0123456789abcdef01234567"
DEVICES = {name: hashlib.sha256(name.encode()).digest() for name in ("prod5", "prod7", "prod9")}


def record(version: str = "1.2.0", machine: str = "prod9", run: str = "100-1", *, at: int = AT) -> Record:
    """A deployment that took place at `at`; its compose hash follows from the version."""
    attested = Attested(
        device_id=DEVICES[machine],
        compose_hash=hashlib.sha256(version.encode()).digest(),
        app_id=APP_ID,
        instance_id=hashlib.sha256(f"{machine} instance".encode()).digest()[:20],
        at=at,
        bundle=hashlib.sha256(f"{version} {machine} bundle".encode()).digest(),
        proof=hashlib.sha256(f"{version} proof".encode()).digest(),
        simulated=False,
    )
    anchor = Anchor(
        chain_id=8453,
        transaction=hashlib.sha256(f"{version} transaction".encode()).digest(),
        block=1000 + at - AT,
        block_hash=hashlib.sha256(f"{version} block".encode()).digest(),
        log_index=3,
        block_time=at - 60,
    )
    return Record(Version.parse(version, "test"), machine, run, GIT_SHA, at, attested, anchor)


def failed(version: str = "1.2.0", machine: str = "prod7", run: str = "100-1", *, at: int = AT) -> Record:
    """A deployment that attested nothing."""
    reason = Failure("attest", "prod7: the old compose hash is attested after 900 s")
    return replace(record(version, machine, run, at=at), attested=None, anchor=None, failure=reason)
