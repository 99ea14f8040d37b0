"""QE Identity, version 2: which quoting enclave Intel vouches for, and its levels.

Parsed only after its signature was checked. Source: Intel PCS API v4, Enclave Identity.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from twinproof.dcap.signed_json import parse_signed
from twinproof.dcap.tcb_info import SvnLevel, svn_levels
from twinproof.dcap.timestamps import timestamp
from twinproof.errors import Malformed, Untrusted
from twinproof.tdx.report import EnclaveReport
from twinproof.wire import shown

__all__ = ["QE_IDS", "QeIdentity", "check_qe_identity", "parse_qe_identity"]

QE_IDS = {"SGX": "QE", "TDX": "TD_QE"}


class QeIdentity(NamedTuple):
    """`misc_select` and its mask are little-endian u32 values of the hex text, as in the report."""

    id: str
    sha256: str
    issue_date: int
    next_update: int
    tcb_evaluation_data_number: int
    misc_select: int
    misc_select_mask: int
    attributes: bytes
    attributes_mask: bytes
    mrsigner: bytes
    isv_prod_id: int
    levels: tuple[SvnLevel, ...]


def parse_qe_identity(text: str) -> QeIdentity:
    """Read the signed text. Raises Malformed with the member's path."""
    fields = parse_signed(text, "enclaveIdentity")
    if (version := fields.integer("version")) != 2:
        raise Malformed("unsupported version", where="enclaveIdentity.version", got=str(version), expected="2")
    name = fields.text("id", max_chars=20)
    if name not in QE_IDS.values():
        raise Malformed("an unknown enclave", where="enclaveIdentity.id", got=shown(name), expected="QE or TD_QE")
    return QeIdentity(
        id=name,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        issue_date=timestamp(fields, "issueDate"),
        next_update=timestamp(fields, "nextUpdate"),
        tcb_evaluation_data_number=fields.integer("tcbEvaluationDataNumber", high=(1 << 32) - 1),
        misc_select=int.from_bytes(fields.hex("miscselect", size=4), "little"),
        misc_select_mask=int.from_bytes(fields.hex("miscselectMask", size=4), "little"),
        attributes=fields.hex("attributes", size=16),
        attributes_mask=fields.hex("attributesMask", size=16),
        mrsigner=fields.hex("mrsigner", size=32),
        isv_prod_id=fields.integer("isvprodid", high=65535),
        levels=svn_levels(fields, svn_high=65535),
    )


def check_qe_identity(report: EnclaveReport, identity: QeIdentity) -> None:
    """The QE that signed is the one Intel describes. The masked report has to equal the unmasked identity.

    Raises Untrusted with the field.
    """
    attributes = int.from_bytes(report.attributes, "big") & int.from_bytes(identity.attributes_mask, "big")
    found = (
        report.mrsigner,
        report.isv_prod_id,
        report.misc_select & identity.misc_select_mask,
        attributes.to_bytes(len(identity.attributes), "big"),
    )
    if found != (identity.mrsigner, identity.isv_prod_id, identity.misc_select, identity.attributes):
        raise _another(found, identity)
    if report.debug:
        raise Untrusted("the quoting enclave runs in debug mode", where="QE report ATTRIBUTES")


def _another(found: tuple[bytes, int, int, bytes], identity: QeIdentity) -> Untrusted:
    """The error, at the first field that differs."""
    described = (identity.mrsigner, identity.isv_prod_id, identity.misc_select, identity.attributes)
    fields = zip(("MRSIGNER", "ISVPRODID", "MISCSELECT", "ATTRIBUTES"), found, described, strict=True)
    name, got, expected = next(field for field in fields if field[1] != field[2])
    return Untrusted(
        f"the quoting enclave is not Intel's: its {name} differs", got=_text(got), expected=_text(expected)
    )


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
