"""The raw TDX part of a verdict under the names that other verifiers' tokens use.

Source: draft-kdyxy-rats-tdx-eat-profile (claims `tdx_*`), RFC 9711 (`eat_nonce`).
"""

from __future__ import annotations

from twinproof.claims import Claims, Registers

__all__ = ["eat_claims"]

_NAMES = {
    "tdx_mrtd": "mrtd",
    "tdx_rtmr0": "rtmr0",
    "tdx_rtmr1": "rtmr1",
    "tdx_rtmr2": "rtmr2",
    "tdx_rtmr3": "rtmr3",
    "tdx_mrconfigid": "mr_config_id",
    "tdx_mrseam": "mrseam",
    "tdx_mrsignerseam": "mrsignerseam",
    "tdx_tee_tcb_svn": "tee_tcb_svn",
    "tdx_td_attributes": "td_attributes",
    "tdx_xfam": "xfam",
    "tdx_report_data": "report_data",
}
_BITS = {
    "tdx_td_attributes_debug": 0,
    "tdx_td_attributes_septve_disable": 28,
    "tdx_td_attributes_protection_keys": 30,
    "tdx_td_attributes_key_locker": 31,
    "tdx_td_attributes_perfmon": 63,
}
"""Of the attributes as a little-endian number: Intel TDX DCAP Quoting Library API, A.3.4."""


def eat_claims(claims: Claims) -> dict[str, object]:
    """Hex texts in the order of the quote's bytes; empty for an SGX quote and for one that is not genuine."""
    registers = claims.registers
    if registers is None:
        return {}
    found: dict[str, object] = {name: _hex(registers, member) for name, member in _NAMES.items()}
    attributes = int.from_bytes(registers.td_attributes, "little")
    found |= {name: bool(attributes >> bit & 1) for name, bit in _BITS.items()}
    if claims.statement is not None:
        found["eat_nonce"] = claims.statement.eat_nonce.hex()
    return found


def _hex(registers: Registers, member: str) -> str:
    value: bytes = getattr(registers, member)
    return value.hex()
