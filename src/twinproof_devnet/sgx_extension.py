"""The SGX extension of a PCK certificate, OID 1.2.840.113741.1.13.1: which machine the key belongs to.

Source: Intel SGX PCK Certificate and Certificate Revocation List Profile Specification.
"""

from __future__ import annotations

from twinproof_devnet.der import boolean, enumerated, integer, octet_string, oid, sequence
from twinproof_devnet.machine import Machine

__all__ = ["SGX_EXTENSION_OID", "encode_members", "members", "tcb_members"]

SGX_EXTENSION_OID = "1.2.840.113741.1.13.1"


def _pair(number: str, value: bytes) -> bytes:
    return sequence(oid(f"{SGX_EXTENSION_OID}.{number}"), value)


def tcb_members(machine: Machine) -> tuple[bytes, ...]:
    """The 18 pairs of the TCB member: 16 components, PCESVN, CPUSVN."""
    components = [_pair(f"2.{number}", integer(svn)) for number, svn in enumerate(machine.components, 1)]
    return (*components, _pair("2.17", integer(machine.pce_svn)), _pair("2.18", octet_string(machine.cpu_svn)))


def members(machine: Machine) -> tuple[bytes, ...]:
    """Five pairs of the Processor CA, seven of the Platform CA."""
    common = (
        _pair("1", octet_string(machine.ppid)),
        _pair("2", sequence(*tcb_members(machine))),
        _pair("3", octet_string(machine.pce_id)),
        _pair("4", octet_string(machine.fmspc)),
        _pair("5", enumerated(machine.sgx_type)),
    )
    if machine.ca != "platform":
        return common
    configuration = sequence(
        _pair("7.1", boolean(machine.dynamic_platform)),
        _pair("7.2", boolean(machine.cached_keys)),
        _pair("7.3", boolean(machine.smt_enabled)),
    )
    return (*common, _pair("6", octet_string(machine.platform_instance_id)), _pair("7", configuration))


def encode_members(machine: Machine) -> bytes:
    """The whole value of the extension."""
    return sequence(*members(machine))
