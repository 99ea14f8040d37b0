"""What a KMS learns from the quote and the log of a boot, and asks the contracts about (dstack's AppBootInfo)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinproof_devnet.confidential_vm import ConfidentialVm
from twinproof_devnet.faults import Fault

__all__ = ["BootInfo", "boot_info"]

_ID_BYTES = 20


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


def boot_info(vm: ConfidentialVm, faults: frozenset[Fault] = frozenset()) -> BootInfo:
    """Of this boot on a machine with these faults."""
    status = "UpToDate"
    if Fault.TCB_OUT_OF_DATE in faults:
        status = "OutOfDate"
    if Fault.TCB_REVOKED in faults:
        status = "Revoked"
    return BootInfo(
        app_id=vm.app_id,
        compose_hash=vm.compose_hash,
        instance_id=vm.instance_id.rjust(_ID_BYTES, b"\x00"),
        device_id=vm.host.device_id,
        mr_aggregated=vm.mr_aggregated,
        mr_system=vm.boot.mr_system,
        os_image_hash=vm.os_image_hash,
        tcb_status=status,
    )
