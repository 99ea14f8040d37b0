"""The SGX extension of a PCK certificate: which platform this is, and at which TCB.

OID 1.2.840.113741.1.13.1: a sequence of {OID, value} pairs, 5 from the Processor CA, 7 from the Platform CA.
Source: Intel SGX PCK Certificate and Certificate Revocation List Profile Specification, 1.5.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from twinproof.dcap.der import DerReader
from twinproof.errors import Malformed

__all__ = ["SGX_EXTENSION_OID", "PckExtension", "parse_pck_extension"]

SGX_EXTENSION_OID = "1.2.840.113741.1.13.1"
_ARC = bytes.fromhex("2a864886f84d010d01")  # the content octets of that OID
_PLATFORM_MEMBERS, _PROCESSOR_MEMBERS = 7, 5
_COMPONENTS = 16


@dataclass(frozen=True, slots=True)
class PckExtension:
    """`components` are the 16 SGX TCB component SVNs. The last four members exist for the Platform CA only."""

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

    @property
    def device_id(self) -> bytes:
        """SHA-256 of the PPID (16 bytes): what dstack calls the device id."""
        return hashlib.sha256(self.ppid).digest()

    @property
    def from_platform_ca(self) -> bool:
        return self.platform_instance_id is not None


def parse_pck_extension(der: bytes) -> PckExtension:
    """Read the extension's value strictly. Raises Malformed."""
    where = "PCK certificate SGX extension"
    outer = DerReader(der, where)
    pairs = outer.sequence("sequence")
    outer.end()
    values = _Pairs(pairs, where)
    ppid = values.next(1).octets(16, "PPID")
    components, pce_svn, cpu_svn = _tcb(values.next(2).sequence("TCB"), where)
    pce_id = values.next(3).octets(2, "PCE ID")
    fmspc = values.next(4).octets(6, "FMSPC")
    sgx_type = values.next(5).enumerated(2, "SGX type")
    platform_instance_id = dynamic = cached = smt = None
    if values.more:
        platform_instance_id = values.next(6).octets(16, "platform instance id")
        configuration = _Pairs(values.next(7).sequence("configuration"), where, 7)
        dynamic = configuration.next(1).boolean("dynamic platform")
        cached = configuration.next(2).boolean("cached keys")
        smt = configuration.next(3).boolean("SMT enabled")
        configuration.end()
    values.end()
    if bytes(components) != cpu_svn:
        raise Malformed(
            "the component SVNs are not the CPUSVN", where=where, got=bytes(components).hex(), expected=cpu_svn.hex()
        )
    return PckExtension(
        ppid, components, pce_svn, cpu_svn, pce_id, fmspc, sgx_type, platform_instance_id, dynamic, cached, smt
    )


class _Pairs:
    """{OID, value} pairs in ascending order of their last number: no pair twice, none unknown."""

    def __init__(self, reader: DerReader, where: str, *arc: int) -> None:
        self._reader, self._where, self._arc = reader, where, _ARC + bytes(arc)
        self._open: DerReader | None = None

    @property
    def more(self) -> bool:
        return self._reader.more

    def next(self, number: int) -> DerReader:
        self._close()
        if not self._reader.more:
            raise Malformed("member missing", where=self._where, expected=f"member {number}")
        pair = self._reader.sequence(f"member {number}")
        oid = pair.oid("OID")
        if oid != self._arc + bytes([number]):
            raise Malformed(
                "members are not the known ones in their order",
                where=self._where,
                got=oid.hex(),
                expected=(self._arc + bytes([number])).hex(),
            )
        self._open = pair
        return pair

    def end(self) -> None:
        self._close()
        self._reader.end()

    def _close(self) -> None:
        if self._open is not None:
            self._open.end()
            self._open = None


def _tcb(reader: DerReader, where: str) -> tuple[tuple[int, ...], int, bytes]:
    pairs = _Pairs(reader, where, 2)
    components = tuple(pairs.next(n).integer(255, f"component {n}") for n in range(1, _COMPONENTS + 1))
    pce_svn = pairs.next(17).integer(65535, "PCESVN")
    cpu_svn = pairs.next(18).octets(16, "CPUSVN")
    pairs.end()
    return components, pce_svn, cpu_svn
