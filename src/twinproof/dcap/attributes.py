"""Report attributes: what a genuine TD or enclave was allowed to be. Policy, so a violation is Refused, never Forged.

TDATTRIBUTES (u64, little-endian) per Intel TDX Module ABI 348551: 0 DEBUG, 4-6 profiling, 16 ICSSD, 17 SERVTD_EXT,
18-22 assigned, 27 LASS, 28 SEPT_VE_DISABLE, 29 MIGRATABLE, 30 PKS, 31 KL, 62 TPA, 63 PERFMON. The rest is reserved.
"""

from __future__ import annotations

from typing import NamedTuple

from twinproof.errors import Refused
from twinproof.tdx.report import EnclaveReport, TdReport

__all__ = ["AttributeRules", "check_report_attributes"]

DEBUG = 1 << 0
PROFILING = 0b111 << 4
SERVTD_EXT = 1 << 17
SEPT_VE_DISABLE = 1 << 28
MIGRATABLE = 1 << 29
RESERVED = sum(1 << bit for bit in (1, 2, 3, *range(7, 16), *range(23, 27), *range(32, 62)))
JUDGED = DEBUG | PROFILING | SERVTD_EXT | SEPT_VE_DISABLE | MIGRATABLE | RESERVED
"""The bits that any rule is about: with all of them clear but SEPT_VE_DISABLE, every rule holds."""
XFAM_FIXED_ONE = 0b11
XFAM_ALLOWED = 0x0006DBE7


class AttributeRules(NamedTuple):
    """The strict default refuses everything below; each flag allows one thing, and the report says which."""

    allow_debug: bool = False
    """A debug TD or enclave, and the profiling bits: the host can read its memory."""
    allow_sept_ve_disable_clear: bool = False
    """A TD whose host may inject #VE on memory it takes away (Azure's paravisor guests)."""
    allow_service_td: bool = False
    """A TD bound to a service TD, which takes part in its trust."""
    allow_any: bool = False
    """No attribute is judged at all, as in Intel's library (profile `intel`)."""


def check_report_attributes(report: TdReport | EnclaveReport, rules: AttributeRules) -> None:
    """Raises Refused with the attribute's name."""
    if rules.allow_any:
        return
    if isinstance(report, EnclaveReport):
        if report.debug and not rules.allow_debug:
            raise Refused("a debug enclave: the host can read its memory", where="ATTRIBUTES", hint="--allow debug")
        return
    _check_td_attributes(report, rules)
    if report.mr_service_td is not None and any(report.mr_service_td) and not rules.allow_service_td:
        raise Refused("a TD bound to a service TD", where="MRSERVICETD", hint="--allow service_td")
    xfam = int.from_bytes(report.xfam, "little")
    if xfam & XFAM_FIXED_ONE != XFAM_FIXED_ONE or xfam & ~XFAM_ALLOWED:
        raise Refused("impossible extended features", where="XFAM", got=report.xfam.hex())


def _check_td_attributes(report: TdReport, rules: AttributeRules) -> None:
    bits = int.from_bytes(report.td_attributes, "little")
    if bits & JUDGED == SEPT_VE_DISABLE:
        return
    shown = report.td_attributes.hex()
    if bits & DEBUG and not rules.allow_debug:
        raise Refused("a debug TD: the host can read its memory", where="TDATTRIBUTES", got=shown, hint="--allow debug")
    if bits & PROFILING and not rules.allow_debug:
        raise Refused("a TD that the host may profile", where="TDATTRIBUTES", got=shown, hint="--allow debug")
    if bits & RESERVED:
        raise Refused("reserved attribute bits are set", where="TDATTRIBUTES", got=shown)
    if bits & MIGRATABLE:
        raise Refused("a migratable TD: its state can move to another machine", where="TDATTRIBUTES", got=shown)
    if bits & SERVTD_EXT and (not rules.allow_service_td or report.mr_service_td is None):
        raise Refused("a TD bound to a service TD", where="TDATTRIBUTES", got=shown, hint="--allow service_td")
    if not bits & SEPT_VE_DISABLE and not rules.allow_sept_ve_disable_clear:
        raise Refused(
            "SEPT_VE_DISABLE is clear: the host may inject exceptions on memory it takes away",
            where="TDATTRIBUTES",
            got=shown,
            hint="--allow sept_ve_disable_clear",
        )
