"""Genuine quotes of TDs and enclaves whose attributes no relying party should accept unasked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from twinproof_devnet.corpus.case import Case, Rule
from twinproof_devnet.corpus.rig import TD, Rig

__all__ = ["attribute_cases"]

_STAGE = "policy.report_attributes"
_SEPT_VE_DISABLE = 1 << 28
_BITS = {
    "debug": 0,
    "profiling-hgs": 4,
    "profiling-perf": 5,
    "profiling-pmt": 6,
    "reserved-1": 1,
    "reserved-7": 7,
    "reserved-23": 23,
    "reserved-39": 39,
    "reserved-61": 61,
    "service-td": 17,
    "migratable": 29,
}
_ALLOWED = {"icssd": 16, "lass": 27, "pks": 30, "key-locker": 31, "tpa": 62, "perfmon": 63}


def attribute_cases(rig: Rig) -> Iterator[Case]:
    """`policy.report_attributes`: refused and accepted."""

    def refused(name: str, description: str, **change: Any) -> Case:
        quote = rig.quote(5, "TD1.5", td=replace(TD, **change))
        return rig.refuse(_STAGE, name, description, quote=quote, rule=Rule.POLICY)

    for name, bit in _BITS.items():
        yield refused(name, f"TD attribute bit {bit} ({name})", td_attributes=_SEPT_VE_DISABLE | 1 << bit)
    yield refused("sept-ve-disable-clear", "SEPT_VE_DISABLE is clear", td_attributes=0)
    yield refused("mr-service-td", "MRSERVICETD is not zero", mr_service_td=bytes(47) + b"\x01")
    yield refused("xfam-no-sse", "XFAM without a bit that is always set", xfam=0x000602E6)
    yield refused("xfam-unknown", "XFAM with a bit that does not exist", xfam=0x000602E7 | 1 << 40)
    yield rig.refuse(
        _STAGE,
        "sgx-debug",
        "a debug enclave",
        quote=rig.sgx_quote(debug=True),
        collateral=rig.collateral("SGX"),
        rule=Rule.POLICY,
    )
    for name, bit in _ALLOWED.items():
        yield rig.accept(
            f"accept.attribute-{name}",
            f"TD attribute bit {bit} ({name})",
            quote=rig.quote(td=replace(TD, td_attributes=_SEPT_VE_DISABLE | 1 << bit)),
            rule=Rule.POLICY,
        )
