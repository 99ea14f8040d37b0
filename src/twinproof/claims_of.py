"""Claims, read from what was appraised; the caller knows that every check behind them has passed."""

from __future__ import annotations

from twinproof.claims import Platform, Registers, Software
from twinproof.dcap.appraisal import Appraisal
from twinproof.dstack.verify import DstackAppraisal
from twinproof.tdx.report import TdReport
from twinproof.wire import shown

__all__ = ["platform_of", "registers_of", "software_of"]


def platform_of(appraisal: Appraisal) -> Platform:
    quote, pck, current = appraisal.quote, appraisal.pck, appraisal.current
    return Platform(
        tee=quote.tee,
        quote_version=quote.header.version,
        fmspc=pck.fmspc,
        pck_ca=appraisal.pck_ca,
        device_id=pck.device_id,
        tcb_status=str(appraisal.tcb_status),
        current_tcb_status=str(current.status) if current is not None else None,
        advisory_ids=appraisal.advisory_ids,
        tcb_date=appraisal.tcb_date,
        tcb_evaluation_data_number=appraisal.tcb_evaluation_data_number,
        collateral_issued=appraisal.latest_issue,
        collateral_expires=appraisal.earliest_expiration,
    )


def registers_of(report: TdReport) -> Registers:
    return Registers(
        mrtd=report.mrtd,
        rtmr0=report.rtmr0,
        rtmr1=report.rtmr1,
        rtmr2=report.rtmr2,
        rtmr3=report.rtmr3,
        mr_config_id=report.mr_config_id,
        mrseam=report.mrseam,
        mrsignerseam=report.mrsignerseam,
        tee_tcb_svn=report.tee_tcb_svn,
        td_attributes=report.td_attributes,
        xfam=report.xfam,
        report_data=report.report_data,
    )


def software_of(appraisal: DstackAppraisal) -> Software:
    boot = appraisal.boot
    return Software(
        app_id=boot.app_id,
        compose_hash=boot.compose_hash,
        instance_id=boot.instance_id,
        os_image_hash=boot.os_image_hash,
        recomputed_image=appraisal.recomputed_image,
        key_provider_name=boot.key_provider.name,
        key_provider_id=boot.key_provider.id,
        mr_aggregated=appraisal.mr_aggregated,
        app_events=tuple([shown(event.event, 100) for event in boot.app_events]) if boot.app_events else (),
    )
