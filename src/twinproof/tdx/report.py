"""The two report bodies a quote can sign: an SGX enclave report and a TD report. All integers are little-endian.

Source: Intel TDX DCAP Quoting Library API, quote formats 3, 4 and 5; Intel TDX Module ABI (TD report).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BODY_SIZES", "EnclaveReport", "TdExtension", "TdReport", "parse_enclave_report", "parse_td_report"]

ENCLAVE_REPORT_SIZE = 384
BODY_SIZES = {1: 384, 2: 584, 3: 648, 4: 885}
"""Size in bytes of each body type of a version 5 quote: SGX, TD 1.0, TD 1.5, TD 1.5 extended."""
TD15_EXTENDED = 4
BODY_NAMES = {2: "TD1.0", 3: "TD1.5", 4: "TD1.5ex"}


@dataclass(frozen=True, slots=True)
class EnclaveReport:
    """An SGX report (384 bytes): of the quoting enclave in every quote, and of the enclave in SGX quotes."""

    cpu_svn: bytes
    misc_select: int
    attributes: bytes
    mrenclave: bytes
    mrsigner: bytes
    isv_prod_id: int
    isv_svn: int
    report_data: bytes

    @property
    def debug(self) -> bool:
        return bool(self.attributes[0] & 0x02)


@dataclass(frozen=True, slots=True)
class TdExtension:
    """The last 237 bytes of TD 1.5 extended. The service-TD fields are filled for a TD with SERVTD_EXT only."""

    vm_id: int
    td_id: bytes
    device_info_hash: bytes
    init_service_td_hash: bytes
    init_service_td_attributes: bytes
    init_cpu_svn: bytes
    init_tee_tcb_svn: bytes
    init_tee_fmspc: bytes
    current_service_td_hash: bytes
    current_service_td_attributes: bytes


@dataclass(frozen=True, slots=True)
class TdReport:
    """A TD report: 584, 648 or 885 bytes. `tee_tcb_svn2` and `mr_service_td` came with TD 1.5, `extended` after it."""

    body_type: str
    tee_tcb_svn: bytes
    mrseam: bytes
    mrsignerseam: bytes
    seam_attributes: bytes
    td_attributes: bytes
    xfam: bytes
    mrtd: bytes
    mr_config_id: bytes
    mr_owner: bytes
    mr_owner_config: bytes
    rtmr0: bytes
    rtmr1: bytes
    rtmr2: bytes
    rtmr3: bytes
    report_data: bytes
    tee_tcb_svn2: bytes | None = None
    mr_service_td: bytes | None = None
    extended: TdExtension | None = None


def parse_enclave_report(data: bytes) -> EnclaveReport:
    """`data` is exactly 384 bytes; the caller has checked."""
    return EnclaveReport(
        cpu_svn=data[0:16],
        misc_select=int.from_bytes(data[16:20], "little"),
        attributes=data[48:64],
        mrenclave=data[64:96],
        mrsigner=data[128:160],
        isv_prod_id=int.from_bytes(data[256:258], "little"),
        isv_svn=int.from_bytes(data[258:260], "little"),
        report_data=data[320:384],
    )


def parse_td_report(data: bytes, body_type: int) -> TdReport:
    """`data` is exactly `BODY_SIZES[body_type]` bytes; the caller has checked."""
    later = body_type >= 3
    return TdReport(
        body_type=BODY_NAMES[body_type],
        tee_tcb_svn=data[0:16],
        mrseam=data[16:64],
        mrsignerseam=data[64:112],
        seam_attributes=data[112:120],
        td_attributes=data[120:128],
        xfam=data[128:136],
        mrtd=data[136:184],
        mr_config_id=data[184:232],
        mr_owner=data[232:280],
        mr_owner_config=data[280:328],
        rtmr0=data[328:376],
        rtmr1=data[376:424],
        rtmr2=data[424:472],
        rtmr3=data[472:520],
        report_data=data[520:584],
        tee_tcb_svn2=data[584:600] if later else None,
        mr_service_td=data[600:648] if later else None,
        extended=_extension(data[648:]) if body_type == TD15_EXTENDED else None,
    )


def _extension(data: bytes) -> TdExtension:
    return TdExtension(
        vm_id=data[0],
        td_id=data[1:33],
        device_info_hash=data[33:81],
        init_service_td_hash=data[81:129],
        init_service_td_attributes=data[129:137],
        init_cpu_svn=data[137:153],
        init_tee_tcb_svn=data[153:169],
        init_tee_fmspc=data[169:181],
        current_service_td_hash=data[181:229],
        current_service_td_attributes=data[229:237],
    )
