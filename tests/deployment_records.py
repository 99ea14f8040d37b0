"""Deployment records for tests: made-up facts of the right shape, one app, two machines."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from twinproof.chain.log import Log
from twinproof.chain.receipt import Receipt
from twinproof.deployments.anchor import COMPOSE_HASH_ADDED, Mined
from twinproof.deployments.record import Anchor, Attested, Failure, Record
from twinproof.release.versions import Version

__all__ = ["APP_ID", "AT", "DEVICES", "GIT_SHA", "failed", "mined", "mined_for", "record"]

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


def mined(app_id: bytes, *hashes: bytes, succeeded: bool = True) -> Mined:
    """A transaction that allowed these compose hashes at this contract; its first log has index 3 in its block."""
    place = (1000, bytes([7]) * 32, bytes([8]) * 32, 0)
    logs = tuple(Log(app_id, (COMPOSE_HASH_ADDED,), value, *place, 3 + index) for index, value in enumerate(hashes))
    receipt = Receipt(
        place[2], 0, place[0], place[1], 2, succeeded, 21000, 21000, 1, bytes(256), logs, bytes(20), app_id, None
    )
    return Mined(receipt, AT - 60)


def mined_for(made: Record) -> Mined:
    """The transaction as the record says it was."""
    attested, anchor = made.attested, made.anchor
    assert attested is not None
    assert anchor is not None
    found = mined(attested.app_id, attested.compose_hash)
    place = (anchor.block, anchor.block_hash, anchor.transaction, 0)
    log = Log(attested.app_id, (COMPOSE_HASH_ADDED,), attested.compose_hash, *place, anchor.log_index)
    receipt = replace(found.receipt, transaction_hash=place[2], block_number=place[0], block_hash=place[1], logs=(log,))
    return Mined(receipt, anchor.block_time)
