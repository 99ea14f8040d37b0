"""Which machine has which keys, and what boots on it: the world before anything listens, faults included."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from twinproof_devnet.boot import Boot
from twinproof_devnet.certificate import Issued, Recipe, issue
from twinproof_devnet.collateral import Documents
from twinproof_devnet.collateral_service import Publication
from twinproof_devnet.compose import ToyApp, app_compose
from twinproof_devnet.confidential_vm import ConfidentialVm
from twinproof_devnet.faults import Fault, FaultAt, active
from twinproof_devnet.firmware import Image, Shape
from twinproof_devnet.host import TdxHost
from twinproof_devnet.kms import Kms
from twinproof_devnet.machine import Machine
from twinproof_devnet.pki import Pki
from twinproof_devnet.tcb_levels import OLDER, TDX_LEVELS

__all__ = ["Provisioned", "provision"]

_YEAR, _MONTH = 365 * 86_400, 30 * 86_400
_DEBUG = 1
_OTHER_CONTAINER = f"registry.invalid/toy-example@sha256:{hashlib.sha256(b'another image').hexdigest()}"


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


class _LyingVm(ConfidentialVm):
    """Info shows registers that the quote does not have."""

    def tcb_info(self) -> str:
        document = json.loads(super().tcb_info())
        document["mrtd"] = hashlib.sha384(b"an image that everyone trusts").hexdigest()
        return json.dumps(document, indent=2)


def provision(
    machines: Sequence[str],
    faults: Sequence[FaultAt],
    *,
    clock: Callable[[], int],
    shapes: Mapping[str, Shape] | None = None,
) -> Provisioned:
    """Everything is valid now, by `clock` (unix seconds), but for the faults."""
    at = clock()
    pki, kms, app = Pki.create(at), Kms.create(at), ToyApp()
    app_id = hashlib.sha256(b"twinproof devnet app contract").digest()[:20]
    hosts: dict[str, TdxHost] = {}
    for name in machines:
        switched_on = active(faults, name)
        first = next(iter(hosts.values()), None)
        if Fault.SAME_MACHINE_TWICE in switched_on and first is not None:
            hosts[name] = first
        else:
            hosts[name] = _host(name, switched_on, pki, at)
    vms: dict[str, ConfidentialVm] = {}
    for name in machines:
        switched_on = active(faults, name)
        boot = Boot(
            app_compose=app_compose(app),
            app_id=app_id,
            instance_id_seed=secrets.token_bytes(20),
            key_provider=kms.key_provider,
            shape=(shapes or {}).get(name, Shape()),
        )
        kind = _LyingVm if Fault.HOST_LIES_ABOUT_REGISTERS in switched_on else ConfidentialVm
        vms[name] = kind(hosts[name], _booted(boot, app, switched_on), kms.release(app_id), clock=clock)
    publication = _publication(faults, hosts, pki, at)
    device_ids = {name: Machine.named(name).device_id for name in machines}
    return Provisioned(pki, kms, app, hosts, vms, device_ids, publication)


def _host(name: str, faults: frozenset[Fault], pki: Pki, at: int) -> TdxHost:
    machine = Machine.named(name)
    if Fault.TCB_OUT_OF_DATE in faults:
        machine = replace(machine, components=OLDER)
    return TdxHost.create(Pki.create(at) if Fault.OTHER_ROOT in faults else pki, at, name=name, machine=machine)


def _booted(boot: Boot, app: ToyApp, faults: frozenset[Fault]) -> Boot:
    if Fault.DEBUG_TD in faults:
        boot = replace(boot, td_attributes=boot.td_attributes | _DEBUG)
    if Fault.DIFFERENT_IMAGE in faults:
        boot = replace(boot, image=Image(dev=True))
    if Fault.DIFFERENT_COMPOSE in faults:
        boot = replace(boot, app_compose=app_compose(replace(app, image=_OTHER_CONTAINER)))
    return boot


def _publication(faults: Sequence[FaultAt], hosts: Mapping[str, TdxHost], pki: Pki, at: int) -> Publication:
    """Revoked certificates are a machine's; the rest is published for all."""
    everywhere = {item.fault for item in faults}
    revoked = {host.pck.serial for name, host in hosts.items() if Fault.REVOKED_PCK in active(faults, name)}
    return Publication(
        revoked_pck=frozenset(revoked),
        revoked_ca=frozenset({pki.platform_ca.serial} if Fault.REVOKED_CA in everywhere else ()),
        signer=_other_signer(pki, at) if Fault.WRONG_TCB_SIGNER in everywhere else None,
        change=lambda documents: _published(documents, everywhere),
    )


def _published(documents: Documents, faults: set[Fault]) -> Documents:
    if Fault.EXPIRED_COLLATERAL in faults:
        documents = replace(
            documents,
            issue_date=documents.issue_date - 2 * _MONTH,
            next_update=documents.next_update - 2 * _MONTH,
        )
    if Fault.TCB_REVOKED in faults and documents.tee == "TDX":
        levels = tuple(replace(level, status="Revoked") for level in TDX_LEVELS)
        documents = replace(documents, levels=levels)
    return documents


def _other_signer(pki: Pki, at: int) -> Issued:
    """Intel's root has signed certificates for other purposes, such as this one."""
    name = "Intel SGX Attestation Report Signing"
    recipe = Recipe(name, at - _YEAR, at + _YEAR, "https://devnet.invalid/IntelSGXRootCA.der", digital_signature=True)
    return issue(recipe, pki.root)
