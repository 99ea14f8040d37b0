"""What the cloud asks of the chain, and what the KMS tells it about a boot (DstackKms.isAppAllowed)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from twinproof_devnet.confidential_vm import ConfidentialVm

__all__ = ["BootInfo", "Governance", "boot_info"]


@dataclass(frozen=True, slots=True)
class BootInfo:
    """AppBootInfo of the contracts. Ids have 20 bytes, the rest 32."""

    app_id: bytes
    compose_hash: bytes
    instance_id: bytes
    device_id: bytes
    mr_aggregated: bytes
    mr_system: bytes
    os_image_hash: bytes
    tcb_status: str = "UpToDate"
    advisory_ids: Sequence[str] = ()


def boot_info(vm: ConfidentialVm) -> BootInfo:
    """What a verified quote and log say of this boot."""
    return BootInfo(
        vm.app_id,
        vm.compose_hash,
        vm.instance_id.rjust(20, b"\x00"),
        vm.host.device_id,
        vm.boot.mr_aggregated,
        vm.boot.mr_system,
        vm.os_image_hash,
    )


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
