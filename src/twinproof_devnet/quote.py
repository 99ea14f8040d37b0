"""Quotes as bytes: headers, TD reports, enclave reports and signature data, by Intel's offsets.

Integers are little-endian, signatures and keys big-endian. Source: Intel TDX DCAP Quote Generation Library, quote
formats 3, 4 and 5.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

__all__ = [
    "BODY_TYPES",
    "CertificationData",
    "EnclaveBody",
    "Header",
    "SignatureParts",
    "TdBody",
    "TdBody15",
    "TdBody15Ex",
    "assemble",
    "encode_signature_data",
]

QE_VENDOR_ID = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
ECDSA_P256 = 2
SGX, TDX = 0, 0x81
BODY_TYPES = {"SGX": 1, "TD1.0": 2, "TD1.5": 3, "TD1.5ex": 4}
PCK_CHAIN, QE_REPORT_DATA = 5, 6
SEPT_VE_DISABLE = 1 << 28


@dataclass(frozen=True, slots=True)
class Header:
    """48 bytes."""

    version: int
    tee_type: int = TDX
    attestation_key_type: int = ECDSA_P256
    reserved: bytes = bytes(4)
    """QE SVN and PCE SVN in version 3."""
    qe_vendor_id: bytes = QE_VENDOR_ID
    user_data: bytes = bytes(20)
    """The first 16 bytes are the QE ID."""

    def encode(self) -> bytes:
        head = struct.pack("<HHI", self.version, self.attestation_key_type, self.tee_type)
        return head + self.reserved + self.qe_vendor_id + self.user_data


@dataclass(frozen=True, slots=True)
class EnclaveBody:
    """An SGX report, 384 bytes."""

    cpu_svn: bytes
    mrenclave: bytes
    mrsigner: bytes
    isv_prod_id: int
    isv_svn: int
    report_data: bytes
    """64 bytes."""
    attributes: int = 0x15
    """INIT, MODE64BIT and PROVISION_KEY; bit 1 is DEBUG."""
    xfrm: int = 0xE7
    misc_select: int = 0

    def encode(self) -> bytes:
        head = self.cpu_svn + struct.pack("<I", self.misc_select) + bytes(28)
        head += struct.pack("<QQ", self.attributes, self.xfrm)
        identity = self.mrenclave + bytes(32) + self.mrsigner + bytes(96)
        return head + identity + struct.pack("<HH", self.isv_prod_id, self.isv_svn) + bytes(60) + self.report_data


@dataclass(frozen=True, slots=True)
class TdBody:
    """A TD report of TDX 1.0, 584 bytes. Registers have 48 bytes."""

    tee_tcb_svn: bytes
    mrseam: bytes
    mrtd: bytes
    rtmrs: tuple[bytes, bytes, bytes, bytes]
    report_data: bytes
    """64 bytes."""
    mrsignerseam: bytes = bytes(48)
    seam_attributes: bytes = bytes(8)
    td_attributes: int = SEPT_VE_DISABLE
    xfam: int = 0x000602E7
    mr_config_id: bytes = bytes(48)
    mr_owner: bytes = bytes(48)
    mr_owner_config: bytes = bytes(48)

    def encode(self) -> bytes:
        return b"".join(
            (
                self.tee_tcb_svn,
                self.mrseam,
                self.mrsignerseam,
                self.seam_attributes,
                struct.pack("<QQ", self.td_attributes, self.xfam),
                self.mrtd,
                self.mr_config_id,
                self.mr_owner,
                self.mr_owner_config,
                *self.rtmrs,
                self.report_data,
            )
        )


@dataclass(frozen=True, slots=True)
class TdBody15:
    """A TD report of TDX 1.5, 648 bytes."""

    launch: TdBody
    tee_tcb_svn2: bytes
    mr_service_td: bytes = bytes(48)

    def encode(self) -> bytes:
        return self.launch.encode() + self.tee_tcb_svn2 + self.mr_service_td


@dataclass(frozen=True, slots=True)
class TdBody15Ex:
    """The extended TD report of TDX 1.5, 885 bytes. The service TD's members are zero without one."""

    base: TdBody15
    init_cpu_svn: bytes
    init_tee_fmspc: bytes = bytes(12)
    vm_id: int = 0
    td_id: bytes = bytes(32)
    dev_info_hash: bytes = bytes(48)

    def encode(self) -> bytes:
        service_td = bytes(48 + 8)
        return b"".join(
            (
                self.base.encode(),
                bytes([self.vm_id]),
                self.td_id,
                self.dev_info_hash,
                service_td,
                self.init_cpu_svn,
                self.base.launch.tee_tcb_svn,
                self.init_tee_fmspc,
                service_td,
            )
        )


@dataclass(frozen=True, slots=True)
class CertificationData:
    """How the QE's certification key is named: type 5 is the PCK chain in PEM."""

    kind: int
    data: bytes

    def encode(self) -> bytes:
        return struct.pack("<HI", self.kind, len(self.data)) + self.data


@dataclass(frozen=True, slots=True)
class SignatureParts:
    """All that follows the report. Signatures and the key have 64 bytes."""

    signature: bytes
    attestation_key: bytes
    qe_report: bytes
    qe_report_signature: bytes
    qe_auth_data: bytes
    certification: CertificationData
    outer_kind: int = QE_REPORT_DATA
    """Certification type around it all in versions 4 and 5."""


def encode_signature_data(parts: SignatureParts, version: int) -> bytes:
    """Without the length in front of it."""
    inner = parts.qe_report + parts.qe_report_signature
    inner += struct.pack("<H", len(parts.qe_auth_data)) + parts.qe_auth_data + parts.certification.encode()
    if version > 3:
        inner = CertificationData(parts.outer_kind, inner).encode()
    return parts.signature + parts.attestation_key + inner


def assemble(signed: bytes, signature_data: bytes) -> bytes:
    """A whole quote: what was signed, the length, the signature data."""
    return signed + struct.pack("<I", len(signature_data)) + signature_data
