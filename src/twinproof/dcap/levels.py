"""From SVNs to a level: the platform's, the TDX module's, the quoting enclave's.

Source: Intel QVL, `TdxTcbLevel` matching, TDX module identity, `TEE_TCB_SVN2`.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import ge
from typing import NamedTuple

from twinproof.dcap.pck import PckExtension
from twinproof.dcap.tcb import OUT_OF_DATE, WITHOUT_AGE, TcbStatus, converge
from twinproof.dcap.tcb_info import ModuleIdentity, SvnLevel, TcbInfo, TcbLevel
from twinproof.errors import Malformed, TcbUnknown, Untrusted
from twinproof.tdx.report import TdReport

__all__ = ["Evaluation", "check_module", "combine", "module_level", "platform_level", "svn_level"]

NO_ATTRIBUTES = bytes(8)


class Evaluation(NamedTuple):
    """The converged status of all parts, what Intel says about it, and the oldest of their dates.

    `platform_out_of_date` and `qe_out_of_date` are the TCB dates of the parts that are out of date: the platform's
    level or the TDX module's (the older one), and the quoting enclave's. None for a part that is not. `without_age` is
    the status that is left when every part is up to date: an out-of-date part hides what else the platform needs.
    """

    status: TcbStatus
    advisory_ids: tuple[str, ...]
    tcb_date: int
    platform_out_of_date: int | None
    qe_out_of_date: int | None
    without_age: TcbStatus


def svn_level(levels: Sequence[SvnLevel], isv_svn: int, what: str) -> SvnLevel:
    """The highest level that this ISVSVN reaches. Raises TcbUnknown when it is below all of them."""
    for level in levels:
        if level.isv_svn <= isv_svn:
            return level
    raise TcbUnknown(
        f"no TCB level for this {what}", got=f"ISVSVN {isv_svn}", expected=f"at least {levels[-1].isv_svn}"
    )


def platform_level(info: TcbInfo, pck: PckExtension, tee_tcb_svn: bytes | None) -> TcbLevel:
    """The highest level whose every SVN this platform reaches. Raises TcbUnknown.

    With a versioned TDX module (TEE_TCB_SVN[1] > 0) the first two TDX SVNs are the module's, judged by its identity.
    """
    first = 0 if tee_tcb_svn is None or tee_tcb_svn[1] == 0 else 2
    tdx = () if tee_tcb_svn is None else tuple(tee_tcb_svn)[first:]
    sgx, pce_svn = pck.components, pck.pce_svn
    for level in info.levels:
        if (
            _reaches(sgx, level.sgx_components)
            and pce_svn >= level.pce_svn
            and (not tdx or _reaches(tdx, level.tdx_components[first:]))
        ):
            return level
    raise TcbUnknown(
        "no TCB level covers this platform",
        got=f"SGX {list(pck.components)}, PCESVN {pck.pce_svn}" + (f", TDX {list(tdx)}" if tdx else ""),
        hint="its firmware is older than the oldest that Intel lists",
    )


def _reaches(have: tuple[int, ...], need: tuple[int, ...]) -> bool:
    """Every one of `have` is at least its counterpart; both have the same number, or nothing is reached."""
    return have == need or (len(have) == len(need) and all(map(ge, have, need)))


def _module_identity(info: TcbInfo, tee_tcb_svn: bytes) -> ModuleIdentity:
    version = tee_tcb_svn[1]
    if version == 0:
        if info.base_module is None:
            raise Malformed("TDX TCB Info without tdxModule", where="tcbInfo.tdxModule")
        return info.base_module
    if version not in info.modules:
        raise TcbUnknown("a TDX module that Intel does not list", got=f"TDX_{version:02X}", where="TEE_TCB_SVN[1]")
    return info.modules[version]


def check_module(info: TcbInfo, report: TdReport) -> None:
    """Signer and attributes of the TDX module. Raises Untrusted, TcbUnknown."""
    identity = _module_identity(info, report.tee_tcb_svn)
    if report.mrsignerseam != identity.mrsigner:
        raise Untrusted(
            "the TDX module is signed by someone else",
            where="MRSIGNERSEAM",
            got=report.mrsignerseam.hex(),
            expected=identity.mrsigner.hex(),
        )
    if report.seam_attributes != NO_ATTRIBUTES or report.seam_attributes != identity.attributes:
        raise Untrusted(
            "the TDX module runs with other attributes",
            where="SEAMATTRIBUTES",
            got=report.seam_attributes.hex(),
            expected=identity.attributes.hex(),
        )


def module_level(info: TcbInfo, tee_tcb_svn: bytes) -> SvnLevel | None:
    """The level of a versioned module; a module of version 0 is judged by the platform's level. Raises TcbUnknown."""
    identity = _module_identity(info, tee_tcb_svn)
    return svn_level(identity.levels, tee_tcb_svn[0], "TDX module") if tee_tcb_svn[1] else None


def combine(platform: TcbLevel, qe: SvnLevel, module: SvnLevel | None) -> Evaluation:
    """One status, all advisories, the oldest date."""
    other = qe if module is None else module
    advisories = {*platform.advisory_ids, *qe.advisory_ids, *other.advisory_ids}
    platform_out = platform.tcb_date if platform.status in OUT_OF_DATE else None
    if module is not None and module.status in OUT_OF_DATE:
        platform_out = module.tcb_date if platform_out is None else min(platform_out, module.tcb_date)
    return Evaluation(
        converge(platform.status, qe.status, other.status),
        tuple(sorted(advisories)) if advisories else (),
        min(platform.tcb_date, qe.tcb_date, other.tcb_date),
        platform_out,
        qe.tcb_date if qe.status in OUT_OF_DATE else None,
        WITHOUT_AGE.get(platform.status, platform.status),
    )
