"""What a genuine quote proves about the platform that made it."""

from __future__ import annotations

from typing import NamedTuple

from twinproof.dcap.levels import Evaluation
from twinproof.dcap.pck import PckExtension
from twinproof.dcap.tcb import TcbStatus
from twinproof.tdx.quote import Quote

__all__ = ["Appraisal"]


class Appraisal(NamedTuple):
    """Times are unix seconds, UTC.

    `tcb_status` is Intel's converged status. For TD 1.5 it may advise a relaunch: `launch` and `current` are what it is
    made of, each with its advisories, and a policy should look at both. `tcb_evaluation_data_number` is the lower of
    the two documents'. `oldest_document` is the oldest issue of TCB Info, QE Identity and PCK CRL, which Intel renews
    every month (the root's CRL lives a year). The last three times are over all certificates, CRLs and documents.
    """

    quote: Quote
    pck: PckExtension
    pck_ca: str
    tcb_status: TcbStatus
    advisory_ids: tuple[str, ...]
    tcb_date: int
    launch: Evaluation
    current: Evaluation | None
    qe_status: TcbStatus
    tcb_evaluation_data_number: int
    oldest_document: int
    earliest_issue: int
    latest_issue: int
    earliest_expiration: int

    @property
    def device_id(self) -> bytes:
        return self.pck.device_id

    @property
    def current_tcb_status(self) -> TcbStatus | None:
        return self.current.status if self.current else None
