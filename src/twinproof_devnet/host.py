"""A TDX machine that signs quotes for real: its PCK key signs the quoting enclave, which signs the TD's report.

    PCK key ─signs→ QE report ─names→ attestation key ─signs→ header and TD report

Nothing is ever wrong by itself: `replace` a member of the host, its module or its QE, or use `Tampering`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twinproof_devnet.certificate import Change, Issued, new_key
from twinproof_devnet.machine import Machine
from twinproof_devnet.pki import Pki
from twinproof_devnet.quote import (
    BODY_TYPES,
    PCK_CHAIN,
    SEPT_VE_DISABLE,
    SGX,
    TDX,
    CertificationData,
    EnclaveBody,
    Header,
    SignatureParts,
    TdBody,
    TdBody15,
    TdBody15Ex,
    assemble,
    encode_signature_data,
)

__all__ = ["QuotingEnclave", "Tampering", "TdMeasurements", "TdxHost", "TdxModule", "raw_point", "raw_signature"]

QE_AUTH_DATA = bytes(range(32))
TD_QE_MRSIGNER = hashlib.sha256(b"twinproof devnet TD quoting enclave signer").digest()
SGX_QE_MRSIGNER = hashlib.sha256(b"twinproof devnet SGX quoting enclave signer").digest()


@dataclass(frozen=True, slots=True)
class TdMeasurements:
    """What a TD brings into its report. Registers have 48 bytes."""

    mrtd: bytes = bytes(48)
    rtmr0: bytes = bytes(48)
    rtmr1: bytes = bytes(48)
    rtmr2: bytes = bytes(48)
    rtmr3: bytes = bytes(48)
    mr_config_id: bytes = bytes(48)
    mr_owner: bytes = bytes(48)
    mr_owner_config: bytes = bytes(48)
    td_attributes: int = SEPT_VE_DISABLE
    xfam: int = 0x000602E7
    mr_service_td: bytes = bytes(48)
    """Only reports of TDX 1.5 show it."""


@dataclass(frozen=True, slots=True)
class TdxModule:
    """The TDX module. SVN byte 0 is its minor version, byte 1 its major version, byte 2 the late microcode."""

    tee_tcb_svn: bytes = bytes([5, 1, 4]) + bytes(13)
    """16 bytes, at the launch of the TD."""
    tee_tcb_svn2: bytes | None = None
    """16 bytes, now (TDX 1.5); None: as at launch."""
    mrseam: bytes = hashlib.sha384(b"twinproof devnet TDX module 1.5.05").digest()
    mrsignerseam: bytes = bytes(48)
    seam_attributes: bytes = bytes(8)


@dataclass(frozen=True, slots=True)
class QuotingEnclave:
    """The enclave that holds the attestation key, as its report shows it."""

    mrsigner: bytes
    isv_prod_id: int
    isv_svn: int
    mrenclave: bytes = bytes(32)
    attributes: int = 0x15
    misc_select: int = 0
    auth_data: bytes = QE_AUTH_DATA


TD_QE = QuotingEnclave(TD_QE_MRSIGNER, isv_prod_id=2, isv_svn=4)
SGX_QE = QuotingEnclave(SGX_QE_MRSIGNER, isv_prod_id=1, isv_svn=8)


@dataclass(frozen=True, slots=True)
class Tampering:
    """Lies told while a quote is made; each field is one, and its default is the truth."""

    header: Callable[[Header], Header] | None = None
    signed: Callable[[bytes], bytes] | None = None
    """Change header and report after they were signed."""
    quote_signed_by: ec.EllipticCurvePrivateKey | None = None
    qe_report_signed_by: ec.EllipticCurvePrivateKey | None = None
    qe_report_data: bytes | None = None
    """64 bytes instead of the hash of the attestation key."""
    attestation_key: bytes | None = None
    """64 bytes instead of the key that signs."""
    certification: CertificationData | None = None
    outer_kind: int | None = None
    body_type: int | None = None
    body_size: int | None = None


_HONEST = Tampering()


@dataclass(frozen=True, slots=True)
class TdxHost:
    """One machine. `pck_chain` is PEM as quotes carry it."""

    name: str
    machine: Machine
    pck: Issued
    pck_chain: bytes
    module: TdxModule = field(default_factory=TdxModule)
    td_qe: QuotingEnclave = TD_QE
    sgx_qe: QuotingEnclave = SGX_QE
    attestation_key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    @classmethod
    def create(
        cls,
        pki: Pki,
        at: int,
        *,
        name: str = "prod9",
        machine: Machine | None = None,
        change: Change | None = None,
        sgx_extension: bytes | None = None,
    ) -> TdxHost:
        """A machine with a PCK certificate that is valid at `at`, but for the changes to it."""
        machine = machine or Machine.named(name)
        pck = pki.pck(machine, at, change=change, sgx_extension=sgx_extension)
        return cls(name, machine, pck, pki.pck_chain(pck, machine.ca))

    @property
    def device_id(self) -> bytes:
        """SHA-256 of the PPID, 32 bytes."""
        return self.machine.device_id

    @property
    def qe_id(self) -> bytes:
        """16 bytes: the name under which a collateral service knows the machine."""
        return hashlib.sha256(b"twinproof devnet QE id:" + self.machine.ppid).digest()[:16]

    def quote(
        self,
        td: TdMeasurements,
        report_data: bytes,
        version: int = 4,
        *,
        body: str = "TD1.0",
        tampering: Tampering = _HONEST,
    ) -> bytes:
        """A TDX quote over 64 bytes of report data. `body` is TD1.0, and with version 5 also TD1.5 or TD1.5ex."""
        return self._sign(Header(version, TDX), self._td_body(td, report_data, body), body, self.td_qe, tampering)

    def sgx_quote(self, enclave: EnclaveBody, version: int = 3, *, tampering: Tampering = _HONEST) -> bytes:
        """An SGX quote; nothing but version 3 is in use."""
        return self._sign(Header(version, SGX), enclave.encode(), "SGX", self.sgx_qe, tampering)

    def enclave(self, report_data: bytes = bytes(64), *, debug: bool = False) -> EnclaveBody:
        """Some application enclave on this machine."""
        return EnclaveBody(
            cpu_svn=self.machine.cpu_svn,
            mrenclave=hashlib.sha256(b"twinproof devnet enclave").digest(),
            mrsigner=hashlib.sha256(b"twinproof devnet enclave signer").digest(),
            isv_prod_id=0,
            isv_svn=1,
            report_data=report_data,
            attributes=0x07 if debug else 0x05,
        )

    def _td_body(self, td: TdMeasurements, report_data: bytes, body: str) -> bytes:
        launch = TdBody(
            tee_tcb_svn=self.module.tee_tcb_svn,
            mrseam=self.module.mrseam,
            mrtd=td.mrtd,
            rtmrs=(td.rtmr0, td.rtmr1, td.rtmr2, td.rtmr3),
            report_data=report_data,
            mrsignerseam=self.module.mrsignerseam,
            seam_attributes=self.module.seam_attributes,
            td_attributes=td.td_attributes,
            xfam=td.xfam,
            mr_config_id=td.mr_config_id,
            mr_owner=td.mr_owner,
            mr_owner_config=td.mr_owner_config,
        )
        if body == "TD1.0":
            return launch.encode()
        newer = TdBody15(launch, self.module.tee_tcb_svn2 or self.module.tee_tcb_svn, td.mr_service_td)
        if body == "TD1.5":
            return newer.encode()
        return TdBody15Ex(newer, self.machine.cpu_svn).encode()

    def _sign(self, header: Header, body: bytes, body_type: str, qe: QuotingEnclave, tampering: Tampering) -> bytes:
        header = replace(header, user_data=self.qe_id + bytes(4))
        if tampering.header is not None:
            header = tampering.header(header)
        signed = header.encode()
        if header.version > 4:
            kind = BODY_TYPES[body_type] if tampering.body_type is None else tampering.body_type
            size = len(body) if tampering.body_size is None else tampering.body_size
            signed += kind.to_bytes(2, "little") + size.to_bytes(4, "little")
        signed += body
        signature = raw_signature(tampering.quote_signed_by or self.attestation_key, signed)
        qe_report = self._qe_report(qe, tampering)
        parts = SignatureParts(
            signature=signature,
            attestation_key=tampering.attestation_key or raw_point(self.attestation_key),
            qe_report=qe_report,
            qe_report_signature=_certify(tampering.qe_report_signed_by or self.pck.key, qe_report),
            qe_auth_data=qe.auth_data,
            certification=tampering.certification or CertificationData(PCK_CHAIN, self.pck_chain),
        )
        if tampering.outer_kind is not None:
            parts = replace(parts, outer_kind=tampering.outer_kind)
        if tampering.signed is not None:
            signed = tampering.signed(signed)
        return assemble(signed, encode_signature_data(parts, header.version))

    def _qe_report(self, qe: QuotingEnclave, tampering: Tampering) -> bytes:
        bound = hashlib.sha256(raw_point(self.attestation_key) + qe.auth_data).digest() + bytes(32)
        return EnclaveBody(
            cpu_svn=self.machine.cpu_svn,
            mrenclave=qe.mrenclave,
            mrsigner=qe.mrsigner,
            isv_prod_id=qe.isv_prod_id,
            isv_svn=qe.isv_svn,
            report_data=tampering.qe_report_data or bound,
            attributes=qe.attributes,
            misc_select=qe.misc_select,
        ).encode()


@lru_cache(maxsize=256)
def _certify(key: ec.EllipticCurvePrivateKey, qe_report: bytes) -> bytes:
    """A machine certifies its attestation key once: all quotes signed with that key carry the same signature."""
    return raw_signature(key, qe_report)


def raw_signature(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """ECDSA with SHA-256 as r || s, 32 bytes each."""
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def raw_point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public key as x || y, 32 bytes each."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
