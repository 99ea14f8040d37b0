"""TCB Info, version 3: the levels Intel knows for one FMSPC, and the TDX modules it knows.

Parsed only after its signature was checked, over the exact bytes. Every number is ranged, every status known, every
list sorted and without repeats: a document that says two things about one level is refused.
Source: Intel PCS API v4, TCB Info; QVL `TcbInfo` and `TcbLevel` (order of levels).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple, cast

from twinproof.dcap.signed_json import parse_signed
from twinproof.dcap.tcb import COMPONENT_STATUSES, PLATFORM_STATUSES, TcbStatus
from twinproof.dcap.timestamps import timestamp
from twinproof.errors import Malformed
from twinproof.wire import Fields, shown

__all__ = ["ModuleIdentity", "SvnLevel", "TcbInfo", "TcbLevel", "parse_tcb_info", "svn_levels"]

COMPONENTS = 16
MAX_LEVELS = 256
_MAX_COMPONENT_SVN = 255
_MODULE_PREFIX = "TDX_"
_SVN = itemgetter("svn")
_INTEGERS = {int}
"""The types of sixteen good SVNs: `true`, which is 1 in Python, is none."""


class SvnLevel(NamedTuple):
    """A level of a TDX module or of a QE: reached with this ISVSVN or a higher one."""

    isv_svn: int
    status: TcbStatus
    tcb_date: int
    advisory_ids: tuple[str, ...]


class TcbLevel(NamedTuple):
    """A level of the platform: reached when every SVN is at least this."""

    sgx_components: tuple[int, ...]
    pce_svn: int
    tdx_components: tuple[int, ...]
    status: TcbStatus
    tcb_date: int
    advisory_ids: tuple[str, ...]

    @property
    def order(self) -> tuple[tuple[int, ...], int, tuple[int, ...]]:
        return self.sgx_components, self.pce_svn, self.tdx_components


class ModuleIdentity(NamedTuple):
    """Who may sign the TDX module, and with which SEAM attributes. `levels` is empty for the unversioned base."""

    mrsigner: bytes
    attributes: bytes
    attributes_mask: bytes
    levels: tuple[SvnLevel, ...]


class TcbInfo(NamedTuple):
    """`modules` is keyed by the module's version, the second byte of TEE_TCB_SVN."""

    tee: str
    sha256: str
    issue_date: int
    next_update: int
    fmspc: bytes
    pce_id: bytes
    tcb_evaluation_data_number: int
    levels: tuple[TcbLevel, ...]
    base_module: ModuleIdentity | None
    modules: dict[int, ModuleIdentity]


def parse_tcb_info(text: str) -> TcbInfo:
    """Read the signed text. Raises Malformed with the member's path."""
    fields = parse_signed(text, "tcbInfo")
    tee = fields.text("id", max_chars=10)
    if tee not in ("SGX", "TDX"):
        raise Malformed("TCB Info of an unknown TEE", where="tcbInfo.id", got=shown(tee), expected="SGX or TDX")
    if (version := fields.integer("version")) != 3:
        raise Malformed("unsupported version", where="tcbInfo.version", got=str(version), expected="3")
    if (kind := fields.integer("tcbType")) != 0:
        raise Malformed("unsupported TCB type", where="tcbInfo.tcbType", got=str(kind), expected="0")
    tdx = tee == "TDX"
    for name in ("tdxModule", "tdxModuleIdentities"):
        if name in fields and not tdx:
            raise Malformed("an SGX document with a TDX member", where=f"tcbInfo.{name}")
    levels = sorted(
        (_level(level, tdx=tdx) for level in fields.objects("tcbLevels", max_items=MAX_LEVELS)),
        key=lambda level: level.order,
        reverse=True,
    )
    if not levels:
        raise Malformed("no TCB levels", where="tcbInfo.tcbLevels")
    if len({level.order for level in levels}) != len(levels):
        raise Malformed("the same TCB level twice", where="tcbInfo.tcbLevels")
    return TcbInfo(
        tee=tee,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        issue_date=timestamp(fields, "issueDate"),
        next_update=timestamp(fields, "nextUpdate"),
        fmspc=fields.hex("fmspc", size=6),
        pce_id=fields.hex("pceId", size=2),
        tcb_evaluation_data_number=fields.integer("tcbEvaluationDataNumber", high=(1 << 32) - 1),
        levels=tuple(levels),
        base_module=_module(fields.child("tdxModule"), ()) if tdx else None,
        modules=_modules(fields) if tdx and "tdxModuleIdentities" in fields else {},
    )


def _status(fields: Fields, allowed: frozenset[TcbStatus]) -> TcbStatus:
    text = fields.text("tcbStatus", max_chars=60)
    if text not in allowed:
        raise Malformed(
            "unknown TCB status",
            where=f"{fields.where}.tcbStatus",
            got=shown(text),
            expected=", ".join(sorted(status.value for status in allowed)),
        )
    return TcbStatus(text)


def _advisories(fields: Fields) -> tuple[str, ...]:
    return fields.texts("advisoryIDs", max_items=256, max_chars=64) if "advisoryIDs" in fields else ()


def _level(fields: Fields, *, tdx: bool) -> TcbLevel:
    tcb = fields.child("tcb")
    if "tdxtcbcomponents" in tcb and not tdx:
        raise Malformed("an SGX document with a TDX member", where=f"{tcb.where}.tdxtcbcomponents")
    return TcbLevel(
        sgx_components=_components(tcb, "sgxtcbcomponents"),
        pce_svn=tcb.integer("pcesvn", high=65535),
        tdx_components=_components(tcb, "tdxtcbcomponents") if tdx else (),
        status=_status(fields, PLATFORM_STATUSES),
        tcb_date=timestamp(fields, "tcbDate"),
        advisory_ids=_advisories(fields),
    )


def _components(tcb: Fields, name: str) -> tuple[int, ...]:
    components = tcb.array(name)
    if len(components) != COMPONENTS:
        raise Malformed(
            "wrong number of components",
            where=f"{tcb.where}.{name}",
            got=str(len(components)),
            expected=str(COMPONENTS),
        )
    try:
        svns: tuple[int, ...] = tuple(map(_SVN, cast("Sequence[dict[str, int]]", components)))
    except (TypeError, KeyError):  # of something that is no object, or has no such member
        svns = ()
    if set(map(type, svns)) == _INTEGERS and min(svns) >= 0 and max(svns) <= _MAX_COMPONENT_SVN:
        return svns
    return tuple(component.integer("svn", high=_MAX_COMPONENT_SVN) for component in tcb.objects(name))  # names it


def svn_levels(fields: Fields, *, svn_high: int) -> tuple[SvnLevel, ...]:
    """`tcbLevels` of a TDX module or a QE, highest first. Raises Malformed for none, or one ISVSVN twice."""
    levels = sorted(
        (
            SvnLevel(
                isv_svn=level.child("tcb").integer("isvsvn", high=svn_high),
                status=_status(level, COMPONENT_STATUSES),
                tcb_date=timestamp(level, "tcbDate"),
                advisory_ids=_advisories(level),
            )
            for level in fields.objects("tcbLevels", max_items=MAX_LEVELS)
        ),
        key=lambda level: level.isv_svn,
        reverse=True,
    )
    if not levels:
        raise Malformed("no TCB levels", where=f"{fields.where}.tcbLevels")
    if len({level.isv_svn for level in levels}) != len(levels):
        raise Malformed("the same ISVSVN twice", where=f"{fields.where}.tcbLevels")
    return tuple(levels)


def _module(fields: Fields, levels: tuple[SvnLevel, ...]) -> ModuleIdentity:
    return ModuleIdentity(
        mrsigner=fields.hex("mrsigner", size=48),
        attributes=fields.hex("attributes", size=8),
        attributes_mask=fields.hex("attributesMask", size=8),
        levels=levels,
    )


def _modules(fields: Fields) -> dict[int, ModuleIdentity]:
    """`TDX_01` is version 1; the two digits are hex of either case."""
    modules: dict[int, ModuleIdentity] = {}
    entries = fields.objects("tdxModuleIdentities", max_items=256)
    if not entries:
        raise Malformed("an empty list of TDX modules", where="tcbInfo.tdxModuleIdentities")
    for entry in entries:
        name = entry.text("id", max_chars=20)
        digits = name.removeprefix(_MODULE_PREFIX)
        if not name.startswith(_MODULE_PREFIX) or len(digits) != 2 or not set(digits) <= set("0123456789abcdefABCDEF"):
            raise Malformed("not the id of a TDX module", where=f"{entry.where}.id", got=shown(name), expected="TDX_xx")
        version = int(digits, 16)
        if version in modules:
            raise Malformed("the same TDX module twice", where=f"{entry.where}.id", got=shown(name))
        modules[version] = _module(entry, svn_levels(entry, svn_high=255))
    return modules
