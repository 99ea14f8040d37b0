"""Which machine has which keys, and what boots on it: the world before anything listens, faults included."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from twinproof_devnet.boot import Boot
from twinproof_devnet.collateral_service import Publication
from twinproof_devnet.compose import ToyApp, app_compose
from twinproof_devnet.confidential_vm import ConfidentialVm
from twinproof_devnet.faults import Fault, FaultAt, Place, active
from twinproof_devnet.firmware import Shape
from twinproof_devnet.host import TdxHost
from twinproof_devnet.image import Image
from twinproof_devnet.kms import AppKeys, Kms
from twinproof_devnet.machine import Machine
from twinproof_devnet.pki import Pki
from twinproof_devnet.publishing import publication
from twinproof_devnet.tcb_levels import OLDER

__all__ = [
    "APP_ID",
    "OTHER_VERSION",
    "BootRefused",
    "Gate",
    "Provisioned",
    "made_boot",
    "made_host",
    "made_vm",
    "provision",
]

APP_ID = hashlib.sha256(b"twinproof devnet app contract").digest()[:20]
OTHER_VERSION = "0.5.9"
_DEBUG = 1
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_OTHER_DIGEST = f"sha256:{hashlib.sha256(b'another image').hexdigest()}"


class BootRefused(Exception):
    """The KMS gave no keys, so the guest does not come up. The text is the contract's reason."""


Gate = Callable[[ConfidentialVm, frozenset[Fault]], None]
"""Whom the KMS asks about a boot, with the faults of its machine. Raises BootRefused."""


def _open(_vm: ConfidentialVm, _faults: frozenset[Fault]) -> None:
    """A KMS that asks nobody."""


class _LyingVm(ConfidentialVm):
    """Info shows registers that the quote does not have."""

    def tcb_info(self) -> str:
        document = json.loads(super().tcb_info())
        document["mrtd"] = hashlib.sha384(b"an image that everyone trusts").hexdigest()
        return json.dumps(document, indent=2)


@dataclass(frozen=True, slots=True)
class Provisioned:
    """By machine name. `device_ids` are those of the machines that were asked for, whatever really runs there."""

    pki: Pki
    kms: Kms
    app: ToyApp
    hosts: Mapping[str, TdxHost]
    vms: Mapping[str, ConfidentialVm]
    device_ids: Mapping[str, bytes]
    publication: Publication
    faults: tuple[FaultAt, ...]
    clock: Callable[[], int]
    """Unix seconds."""
    app_id: bytes = APP_ID
    """20 bytes."""
    gate: Gate = _open

    def upgraded(self, app: ToyApp, machine: str) -> Provisioned:
        """The same world after this machine booted another version of the app. Raises BootRefused."""
        keys, faults = self.kms.release(self.app_id), active(self.faults, machine)
        changed = replace(self, app=app)
        vm = self.vms[machine]
        return replace(changed, vms={**self.vms, machine: changed._boot(vm, vm.host, keys, faults)})  # noqa: SLF001  (itself)

    def switched(self, faults: Sequence[FaultAt]) -> Provisioned:
        """The same world with these faults. What they do not concern stays as it is, the other VMs boot again."""
        hosts: dict[str, TdxHost] = {}
        vms: dict[str, ConfidentialVm] = {}
        keys = self.kms.release(self.app_id)
        for name, vm in self.vms.items():
            hosts[name] = self._host(name, faults, next(iter(hosts.values()), None))
            same = hosts[name] is vm.host and self._unchanged(name, faults, Place.VM)
            vms[name] = vm if same else self._boot(vm, hosts[name], keys, active(faults, name))
        return replace(
            self,
            hosts=hosts,
            vms=vms,
            publication=publication(faults, hosts, self.pki, self.clock()),
            faults=tuple(faults),
        )

    def _unchanged(self, name: str, faults: Sequence[FaultAt], place: Place) -> bool:
        before, after = active(self.faults, name), active(faults, name)
        return not any(fault.place is place for fault in before ^ after)

    def _host(self, name: str, faults: Sequence[FaultAt], first: TdxHost | None) -> TdxHost:
        switched_on = active(faults, name)
        if Fault.SAME_MACHINE_TWICE in switched_on and first is not None:
            return first
        if self._unchanged(name, faults, Place.MACHINE):
            return self.hosts[name]
        return made_host(name, switched_on, self.pki, self.clock())

    def _boot(self, vm: ConfidentialVm, host: TdxHost, keys: AppKeys, faults: frozenset[Fault]) -> ConfidentialVm:
        """From the disk and in the shape that the VM had; nothing of an earlier fault is left."""
        boot = replace(
            _honest_boot(self.app, self.kms, self.app_id),
            instance_id_seed=vm.boot.instance_id_seed,
            shape=vm.boot.shape,
        )
        booted = made_vm(host, made_boot(boot, faults), keys, faults, self.clock)
        self.gate(booted, faults)
        return booted


def made_host(name: str, faults: frozenset[Fault], pki: Pki, at: int) -> TdxHost:
    """The machine of this name, but for its faults."""
    machine = Machine.named(name)
    if Fault.TCB_OUT_OF_DATE in faults:
        machine = replace(machine, components=OLDER)
    return TdxHost.create(Pki.create(at) if Fault.OTHER_ROOT in faults else pki, at, name=name, machine=machine)


def made_boot(boot: Boot, faults: frozenset[Fault]) -> Boot:
    """The same boot, but for the faults of what boots."""
    if Fault.DEBUG_TD in faults:
        boot = replace(boot, td_attributes=boot.td_attributes | _DEBUG)
    if Fault.DIFFERENT_IMAGE in faults:
        boot = replace(boot, image=Image(OTHER_VERSION))
    if Fault.DEV_IMAGE in faults:
        boot = replace(boot, image=Image(dev=True))
    if Fault.MALICIOUS_IMAGE in faults:
        boot = replace(boot, image=replace(boot.image, backdoor=True))
    if Fault.DIFFERENT_COMPOSE in faults:
        boot = replace(boot, app_compose=_DIGEST.sub(_OTHER_DIGEST, boot.app_compose))
    return boot


def made_vm(
    host: TdxHost, boot: Boot, keys: AppKeys, faults: frozenset[Fault], clock: Callable[[], int]
) -> ConfidentialVm:
    """This boot with these keys, but for the faults of the keys and of what the guest shows."""
    if Fault.FOREIGN_KMS_KEY in faults:
        foreign = Kms.create(clock()).release(boot.effective_app_id)
        keys = replace(keys, app_key=foreign.app_key, app_key_signature=foreign.app_key_signature)
    kind = _LyingVm if Fault.HOST_LIES_ABOUT_REGISTERS in faults else ConfidentialVm
    return kind(host, boot, keys, clock=clock)


def _honest_boot(app: ToyApp, kms: Kms, app_id: bytes) -> Boot:
    """The instance id's seed is new, as on an empty disk."""
    return Boot(
        app_compose=app_compose(app),
        app_id=app_id,
        instance_id_seed=secrets.token_bytes(20),
        key_provider=kms.key_provider,
    )


def provision(
    machines: Sequence[str],
    faults: Sequence[FaultAt],
    *,
    clock: Callable[[], int],
    shapes: Mapping[str, Shape] | None = None,
    kms: Kms | None = None,
    app_id: bytes = APP_ID,
    gate: Gate = _open,
) -> Provisioned:
    """Everything is valid now, by `clock` (unix seconds), but for the faults. Raises BootRefused when `gate` does."""
    at = clock()
    pki, kms, app = Pki.create(at), kms or Kms.create(at), ToyApp()
    keys = kms.release(app_id)
    hosts = {name: TdxHost.create(pki, at, name=name) for name in machines}
    vms: dict[str, ConfidentialVm] = {}
    for name, host in hosts.items():
        boot = replace(_honest_boot(app, kms, app_id), shape=(shapes or {}).get(name, Shape()))
        vms[name] = ConfidentialVm(host, boot, keys, clock=clock)
        gate(vms[name], frozenset())
    device_ids = {name: host.device_id for name, host in hosts.items()}
    honest = Provisioned(pki, kms, app, hosts, vms, device_ids, Publication(), (), clock, app_id, gate)
    return honest.switched(faults)
