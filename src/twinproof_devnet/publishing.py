"""What the devnet's collateral service publishes while faults are on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from twinproof_devnet.certificate import Issued, Recipe, issue
from twinproof_devnet.collateral import Documents
from twinproof_devnet.collateral_service import Publication
from twinproof_devnet.faults import Fault, FaultAt, active
from twinproof_devnet.host import TdxHost
from twinproof_devnet.pki import Pki
from twinproof_devnet.tcb_levels import TDX_LEVELS

__all__ = ["publication"]

_YEAR, _MONTH = 365 * 86_400, 30 * 86_400


def publication(faults: Sequence[FaultAt], hosts: Mapping[str, TdxHost], pki: Pki, at: int) -> Publication:
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
