"""A stand-in for the chain, for tests of the API alone: the contracts' rules in memory, without transactions' cost."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

from twinproof_devnet.boot_info import BootInfo

__all__ = ["MemoryChain"]


@dataclass
class _App:
    compose_hashes: set[bytes] = field(default_factory=set)
    devices: set[bytes] = field(default_factory=set)
    any_device: bool = False


class MemoryChain:
    """A `Governance`. Whoever has it may change everything; each change is a transaction hash."""

    chain_id = 8453
    rpc_url = "http://127.0.0.1:9"

    def __init__(self, *os_images: bytes) -> None:
        self.kms_contract = hashlib.sha256(b"twinproof devnet KMS contract").digest()[:20]
        self.os_images = set(os_images)
        self._apps: dict[bytes, _App] = {}
        self._transactions: dict[bytes, bytes] = {}

    def deploy_app(self, device_id: bytes, compose_hash: bytes) -> bytes:
        """The id of a new app."""
        app_id = secrets.token_bytes(20)
        self._apps[app_id] = _App({compose_hash}, {device_id})
        return app_id

    def allow_hash(self, app_id: bytes, compose_hash: bytes) -> bytes:
        self._apps[app_id].compose_hashes.add(compose_hash)
        return self._transaction(app_id)

    def remove_hash(self, app_id: bytes, compose_hash: bytes) -> bytes:
        self._apps[app_id].compose_hashes.discard(compose_hash)
        return self._transaction(app_id)

    def allow_device(self, app_id: bytes, device_id: bytes) -> bytes:
        self._apps[app_id].devices.add(device_id)
        return self._transaction(app_id)

    def _transaction(self, app_id: bytes) -> bytes:
        transaction = secrets.token_bytes(32)
        self._transactions[transaction] = app_id
        return transaction

    def is_app_allowed(self, info: BootInfo) -> tuple[bool, str]:
        if not self.is_registered(info.app_id):
            return False, "App not registered"
        if info.os_image_hash not in self.os_images:
            return False, "OS image is not allowed"
        if not self.is_hash_allowed(info.app_id, info.compose_hash):
            return False, "Compose hash not allowed"
        if not (self.allows_any_device(info.app_id) or self.is_device_allowed(info.app_id, info.device_id)):
            return False, "Device not allowed"
        return True, ""

    def is_registered(self, app_id: bytes) -> bool:
        return app_id in self._apps

    def is_hash_allowed(self, app_id: bytes, compose_hash: bytes) -> bool:
        return compose_hash in self._apps.get(app_id, _App()).compose_hashes

    def is_device_allowed(self, app_id: bytes, device_id: bytes) -> bool:
        return device_id in self._apps.get(app_id, _App()).devices

    def allows_any_device(self, app_id: bytes) -> bool:
        return self._apps.get(app_id, _App()).any_device

    def is_about(self, transaction: bytes, app_id: bytes) -> bool:
        return self._transactions.get(transaction) == app_id
