"""An app whose whole past is known: three versions, one removed, a new owner, a hash that nobody published."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.devchain import DevChain
from twinproof_devnet.chain.engine_name import EngineName
from twinproof_devnet.chain.governance import AppContract, KmsContract

__all__ = ["COMPOSES", "DEVICE", "HASHES", "Told", "publish", "told_app"]

DEVICE = b"\x33" * 32
COMPOSES = {f"1.{minor}.0": json.dumps({"manifest_version": 2, "name": f"v{minor}"}).encode() for minor in range(4)}
"""The last one is published and never allowed."""
HASHES = {version: hashlib.sha256(text).digest() for version, text in COMPOSES.items()}


@dataclass
class Told:
    """What happened to it."""

    chain: DevChain
    kms: KmsContract
    app: AppContract
    dark: bytes
    first_owner: DevAccount


@contextmanager
def told_app(engine: EngineName = EngineName.PY_EVM) -> Iterator[Told]:
    """On a chain of its own, everything final."""
    chain = DevChain.start(engine=engine)
    try:
        kms = KmsContract.deploy(chain, DevAccount.create())
        owner = kms.owner
        app = kms.deploy_app(owner, device_id=DEVICE, compose_hash=HASHES["1.0.0"])
        app.allow(HASHES["1.1.0"])
        app.remove(HASHES["1.0.0"])
        dark = app.allow_dark_hash()
        app.transfer_owner(DevAccount.create())
        app.allow(HASHES["1.2.0"])
        chain.settle()
        yield Told(chain, kms, app, dark, owner)
    finally:
        chain.close()


def publish(folder: Path) -> Path:
    """The releases' app-compose files."""
    for version, text in COMPOSES.items():
        path = folder / f"v{version}" / "app-compose.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(text)
    return folder
