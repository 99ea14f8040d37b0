"""The two report bodies a quote can sign: an SGX enclave report and a TD report. All integers are little-endian.

Source: Intel TDX DCAP Quoting Library API, quote formats 3, 4 and 5; Intel TDX Module ABI (TD report).
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

__all__ = ["BODY_SIZES", "EnclaveReport", "TdExtension", "TdReport", "parse_enclave_report", "parse_td_report"]

ENCLAVE_REPORT_SIZE = 384
BODY_SIZES = {1: 384, 2: 584, 3: 648, 4: 885}
"""Size in bytes of each body type of a version 5 quote: SGX, TD 1.0, TD 1.5, TD 1.5 extended."""
TD10, TD15_EXTENDED = 2, 4
BODY_NAMES = {2: "TD1.0", 3: "TD1.5", 4: "TD1.5ex"}


class EnclaveReport(NamedTuple):
    """An SGX report (384 bytes): of the quoting enclave in every quote, and of the enclave in SGX quotes.

    Members stand in the order of the bytes; what decides nothing is not kept.
    """

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


class TdExtension(NamedTuple):
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


class TdReport(NamedTuple):
    """A TD report: 584, 648 or 885 bytes. `tee_tcb_svn2` and `mr_service_td` came with TD 1.5, `extended` after it.

    After `body_type`, members stand in the order of the bytes.
    """

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


_ENCLAVE = Struct("<16s I 28x 16s 32s 32x 32s 96x H H 60x 64s")
_EXTENSION = Struct("<B 32s 48s 48s 8s 16s 16s 12s 48s 8s")
_TD10 = Struct("<16s 48s 48s 8s 8s 8s 48s 48s 48s 48s 48s 48s 48s 48s 64s")


def parse_enclave_report(data: bytes) -> EnclaveReport:
    """`data` is exactly 384 bytes; the caller has checked."""
    return EnclaveReport._make(_ENCLAVE.unpack(data))


def parse_td_report(data: bytes, body_type: int) -> TdReport:
    """`data` is exactly `BODY_SIZES[body_type]` bytes; the caller has checked."""
    name, members = BODY_NAMES[body_type], _TD10.unpack_from(data)
    if body_type == TD10:
        return TdReport(name, *members)
    extended = TdExtension._make(_EXTENSION.unpack_from(data, 648)) if body_type == TD15_EXTENDED else None
    return TdReport._make((name, *members, data[584:600], data[600:648], extended))
