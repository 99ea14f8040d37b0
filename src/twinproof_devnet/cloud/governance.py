"""What the cloud asks of the chain."""

from __future__ import annotations

from typing import Protocol

from twinproof_devnet.boot_info import BootInfo

__all__ = ["Governance"]


class Governance(Protocol):
    """The contracts, as they are now. OSError when the chain cannot be asked."""

    @property
    def chain_id(self) -> int: ...
    @property
    def kms_contract(self) -> bytes:
        """20 bytes."""
        ...

    @property
    def rpc_url(self) -> str: ...
    def is_app_allowed(self, info: BootInfo) -> tuple[bool, str]:
        """DstackKms.isAppAllowed: whether keys may be released, and the reason why not."""
        ...

    def is_registered(self, app_id: bytes) -> bool: ...
    def is_hash_allowed(self, app_id: bytes, compose_hash: bytes) -> bool: ...
    def is_device_allowed(self, app_id: bytes, device_id: bytes) -> bool: ...
    def allows_any_device(self, app_id: bytes) -> bool: ...
    def is_about(self, transaction: bytes, app_id: bytes) -> bool:
        """Whether this transaction (32 bytes) was included, succeeded, and the app's contract logged in it."""
        ...
