"""Collateral: TCB Info and QE Identity signed as Intel signs them, with the CRLs, in the usual JSON shape.

The signature is over the compact JSON text of the value, exactly as it is served.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec

from twinproof_devnet.certificate import Issued
from twinproof_devnet.host import raw_signature
from twinproof_devnet.machine import FMSPC, PCE_ID
from twinproof_devnet.pki import Pki
from twinproof_devnet.tcb_levels import ENCLAVES, MODULES, SGX_LEVELS, TDX_LEVELS, Enclave, Level, Module

__all__ = ["Documents", "compact", "make", "qe_identity", "tcb_info", "utc"]

_HOUR, _DAY = 3600, 86_400


def utc(at: int) -> str:
    """Unix seconds as YYYY-MM-DDThh:mm:ssZ."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def compact(value: object) -> str:
    """JSON as Intel serves it: no white space, members in their order."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)


@dataclass(frozen=True, slots=True)
class Documents:
    """What the two signed documents say. Dates are unix seconds; None takes the TEE's usual levels."""

    tee: str = "TDX"
    fmspc: bytes = FMSPC
    pce_id: bytes = PCE_ID
    issue_date: int = 0
    next_update: int = 0
    tcb_evaluation_data_number: int = 20
    levels: tuple[Level, ...] | None = None
    base_module: Module = field(default_factory=Module)
    modules: tuple[Module, ...] = MODULES
    enclave: Enclave | None = None
    tcb_type: int = 0
    tcb_info_version: int = 3
    qe_identity_version: int = 2

    @classmethod
    def at(cls, at: int, tee: str = "TDX") -> Documents:
        """Issued an hour before `at`, for thirty days."""
        return cls(tee=tee, issue_date=at - _HOUR, next_update=at - _HOUR + 30 * _DAY)


def tcb_info(documents: Documents) -> dict[str, object]:
    """The `tcbInfo` value, unsigned."""
    tdx = documents.tee == "TDX"
    levels = documents.levels or (TDX_LEVELS if tdx else SGX_LEVELS)
    modules: dict[str, object] = {
        "tdxModule": documents.base_module.json(),
        "tdxModuleIdentities": [module.json() for module in documents.modules],
    }
    return {
        "id": documents.tee,
        "version": documents.tcb_info_version,
        "issueDate": utc(documents.issue_date),
        "nextUpdate": utc(documents.next_update),
        "fmspc": documents.fmspc.hex().upper(),
        "pceId": documents.pce_id.hex().upper(),
        "tcbType": documents.tcb_type,
        "tcbEvaluationDataNumber": documents.tcb_evaluation_data_number,
        **(modules if tdx else {}),
        "tcbLevels": [level.json() for level in levels],
    }


def qe_identity(documents: Documents) -> dict[str, object]:
    """The `enclaveIdentity` value, unsigned."""
    enclave = documents.enclave or ENCLAVES[documents.tee]
    return {
        "id": enclave.id,
        "version": documents.qe_identity_version,
        "issueDate": utc(documents.issue_date),
        "nextUpdate": utc(documents.next_update),
        "tcbEvaluationDataNumber": documents.tcb_evaluation_data_number,
        "miscselect": enclave.misc_select.hex().upper(),
        "miscselectMask": enclave.misc_select_mask.hex().upper(),
        "attributes": enclave.attributes.hex().upper(),
        "attributesMask": enclave.attributes_mask.hex().upper(),
        "mrsigner": enclave.mrsigner.hex().upper(),
        "isvprodid": enclave.isv_prod_id,
        "tcbLevels": [level.json() for level in enclave.levels],
    }


def make(
    pki: Pki,
    at: int,
    *,
    tee: str = "TDX",
    ca: str = "platform",
    documents: Documents | None = None,
    revoked_pck: Iterable[int] = (),
    revoked_ca: Iterable[int] = (),
    signer: Issued | None = None,
    signed_by: ec.EllipticCurvePrivateKey | None = None,
    **members: str,
) -> dict[str, str]:
    """A set of the nine members, good at `at` but for what is asked for.

    `revoked_*` are serial numbers; `signer` is another certificate for both documents, `signed_by` another key;
    `members` replace whole members. `tcb_info=` and `qe_identity=` texts are signed; the other seven are taken as
    they are, signatures included.
    """
    documents = documents or replace(Documents.at(at), tee=tee)
    signer = signer or pki.tcb_signing
    key = signed_by or signer.key
    tcb_text = members.pop("tcb_info", None) or compact(tcb_info(documents))
    qe_text = members.pop("qe_identity", None) or compact(qe_identity(documents))
    return {
        "pck_crl_issuer_chain": f"{pki.ca(ca).pem}{pki.root.pem}",
        "root_ca_crl": pki.root_crl(at, revoked_ca).hex(),
        "pck_crl": pki.pck_crl(at, ca, revoked_pck).hex(),
        "tcb_info_issuer_chain": pki.signing_chain(signer),
        "tcb_info": tcb_text,
        "tcb_info_signature": raw_signature(key, tcb_text.encode()).hex(),
        "qe_identity_issuer_chain": pki.signing_chain(signer),
        "qe_identity": qe_text,
        "qe_identity_signature": raw_signature(key, qe_text.encode()).hex(),
        **members,
    }
