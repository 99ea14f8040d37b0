"""A machine as its processor's certificate describes it: identity, model and security version numbers (SVNs)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

__all__ = ["FMSPC", "PCE_ID", "Machine"]

FMSPC = bytes.fromhex("DE5E7A000000")
"""The model of every devnet machine; no processor has it."""
PCE_ID = bytes(2)
COMPONENTS = (4, 4, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Machine:
    """`components` are 16 SVNs of 0..255, `pce_svn` is 0..65535. The last four members are the
    Platform CA's.
    """

    ppid: bytes
    """16 bytes; its SHA-256 is the device id."""
    fmspc: bytes = FMSPC
    pce_id: bytes = PCE_ID
    components: tuple[int, ...] = COMPONENTS
    pce_svn: int = 11
    sgx_type: int = 1
    ca: str = "platform"
    """Which PCK CA certifies it: `platform` or `processor`."""
    platform_instance_id: bytes = bytes(16)
    dynamic_platform: bool = True
    cached_keys: bool = False
    smt_enabled: bool = True

    @classmethod
    def named(cls, name: str) -> Machine:
        """The machine of this name: always the same PPID, so that its device id can be written down."""
        return cls(
            ppid=hashlib.sha256(b"twinproof devnet PPID:" + name.encode()).digest()[:16],
            platform_instance_id=hashlib.sha256(b"twinproof devnet platform:" + name.encode()).digest()[:16],
        )

    @property
    def cpu_svn(self) -> bytes:
        return bytes(self.components)

    @property
    def device_id(self) -> bytes:
        """SHA-256 of the PPID, 32 bytes."""
        return hashlib.sha256(self.ppid).digest()
