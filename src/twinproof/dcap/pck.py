"""The SGX extension of a PCK certificate: which platform this is, and at which TCB.

OID 1.2.840.113741.1.13.1: a sequence of {OID, value} pairs, 5 from the Processor CA, 7 from the Platform CA.
Source: Intel SGX PCK Certificate and Certificate Revocation List Profile Specification, 1.5.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from twinproof.dcap.der import DerReader
from twinproof.errors import Malformed

__all__ = ["SGX_EXTENSION_OID", "PckExtension", "parse_pck_extension"]

Value = TypeVar("Value")

SGX_EXTENSION_OID = "1.2.840.113741.1.13.1"
_ARC = bytes.fromhex("2a864886f84d010d01")  # the content octets of that OID
_WHERE = "PCK certificate SGX extension"
_COMPONENTS = 16


def _oid(*numbers: int) -> bytes:
    content = _ARC + bytes(numbers)
    return bytes([0x06, len(content)]) + content


def _zero(oid: bytes) -> bytes:
    """The pair of this OID and the number zero."""
    return bytes([0x30, len(oid) + 3]) + oid + b"\x02\x01\x00"


_MEMBER = {number: _oid(number) for number in range(1, 8)}
_CONFIGURATION = {number: _oid(7, number) for number in range(1, 4)}
_TCB = [(_oid(2, number), f"component {number}") for number in range(1, _COMPONENTS + 1)]
_ZEROS = b"".join(_zero(oid) for oid, _ in _TCB)
_PCE_SVN, _CPU_SVN = _oid(2, 17), _oid(2, 18)


class PckExtension(NamedTuple):
    """`components` are the 16 SGX TCB component SVNs. The last four before the id exist for the Platform CA only."""

    ppid: bytes
    components: tuple[int, ...]
    pce_svn: int
    cpu_svn: bytes
    pce_id: bytes
    fmspc: bytes
    sgx_type: int
    platform_instance_id: bytes | None
    dynamic_platform: bool | None
    cached_keys: bool | None
    smt_enabled: bool | None
    device_id: bytes
    """SHA-256 of the PPID (16 bytes): what dstack calls the device id."""

    @property
    def from_platform_ca(self) -> bool:
        return self.platform_instance_id is not None


def parse_pck_extension(der: bytes) -> PckExtension:
    """Read the extension's value strictly: each member once, in ascending order, none unknown. Raises Malformed."""
    outer = DerReader(der, _WHERE)
    members = outer.sequence("SGX extension")
    outer.end()
    ppid = _only(members.pair(_MEMBER[1], "PPID"), lambda value: value.octets(16, "PPID"))
    components, pce_svn, cpu_svn = _only(members.pair(_MEMBER[2], "TCB"), _tcb)
    pce_id = _only(members.pair(_MEMBER[3], "PCE ID"), lambda value: value.octets(2, "PCE ID"))
    fmspc = _only(members.pair(_MEMBER[4], "FMSPC"), lambda value: value.octets(6, "FMSPC"))
    sgx_type = _only(members.pair(_MEMBER[5], "SGX type"), lambda value: value.enumerated(2, "SGX type"))
    platform_instance_id = dynamic = cached = smt = None
    if members.more:
        instance = members.pair(_MEMBER[6], "platform instance id")
        platform_instance_id = _only(instance, lambda value: value.octets(16, "platform instance id"))
        dynamic, cached, smt = _only(members.pair(_MEMBER[7], "configuration"), _configuration)
    members.end()
    if bytes(components) != cpu_svn:
        raise Malformed(
            "the component SVNs are not the CPUSVN", where=_WHERE, got=bytes(components).hex(), expected=cpu_svn.hex()
        )
    return PckExtension(
        ppid,
        components,
        pce_svn,
        cpu_svn,
        pce_id,
        fmspc,
        sgx_type,
        platform_instance_id,
        dynamic,
        cached,
        smt,
        hashlib.sha256(ppid).digest(),
    )


def _only(pair: DerReader, read: Callable[[DerReader], Value]) -> Value:
    """The one value of a pair, and nothing after it."""
    value = read(pair)
    pair.end()
    return value


def _tcb(value: DerReader) -> tuple[tuple[int, ...], int, bytes]:
    pairs = value.sequence("TCB")
    components: Sequence[int] | None = pairs.small_integers(_ZEROS, len(_ZEROS) // _COMPONENTS)
    if components is None:
        components = [_only(pairs.pair(oid, name), lambda pair: pair.integer(255, "component")) for oid, name in _TCB]
    pce_svn = _only(pairs.pair(_PCE_SVN, "PCESVN"), lambda pair: pair.integer(65535, "PCESVN"))
    cpu_svn = _only(pairs.pair(_CPU_SVN, "CPUSVN"), lambda pair: pair.octets(16, "CPUSVN"))
    pairs.end()
    return tuple(components), pce_svn, cpu_svn


def _configuration(value: DerReader) -> tuple[bool, bool, bool]:
    pairs = value.sequence("configuration")
    dynamic, cached, smt = (
        _only(pairs.pair(_CONFIGURATION[number], name), lambda pair: pair.boolean("configuration"))
        for number, name in ((1, "dynamic platform"), (2, "cached keys"), (3, "SMT enabled"))
    )
    pairs.end()
    return dynamic, cached, smt
