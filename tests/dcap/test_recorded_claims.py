"""The claims that another verifier makes about real platforms, member by member, wherever ours has a counterpart."""

from __future__ import annotations

import pytest

from recorded import Json, appraised, cases, claimed, collateral, quote_bytes
from twinproof.dcap.timestamps import iso
from twinproof.dcap.verify import Appraisal
from twinproof.tdx.report import EnclaveReport, TdReport

pytestmark = pytest.mark.vectors

TD_REGISTERS = {
    "tee_tcb_svn": "tee_tcb_svn",
    "mr_seam": "mrseam",
    "mr_signer_seam": "mrsignerseam",
    "seam_attributes": "seam_attributes",
    "td_attributes": "td_attributes",
    "xfam": "xfam",
    "mr_td": "mrtd",
    "mr_config_id": "mr_config_id",
    "mr_owner": "mr_owner",
    "mr_owner_config": "mr_owner_config",
    "rt_mr0": "rtmr0",
    "rt_mr1": "rtmr1",
    "rt_mr2": "rtmr2",
    "rt_mr3": "rtmr3",
    "report_data": "report_data",
}


def appraisal_of(case_id: str) -> Appraisal:
    case = cases()[case_id]
    result = appraised(quote_bytes(case["quote"]), collateral(case["collateral"]), case["now"])
    assert isinstance(result, Appraisal), result
    return result


@pytest.fixture(params=list(claimed()))
def pair(request: pytest.FixtureRequest) -> tuple[Appraisal, Json]:
    return appraisal_of(request.param), claimed()[request.param]


def test_status_and_advisories(pair: tuple[Appraisal, Json]) -> None:
    ours, claims = pair
    assert ours.tcb_status == claims["tcb"]["status"]
    assert set(ours.advisory_ids) == set(claims["tcb"]["advisory_ids"])
    assert ours.tcb_evaluation_data_number == claims["tcb"]["eval_data_number"]
    assert ours.qe_status == claims["qe"]["tcb_level"]["tcbStatus"]


def test_dates_of_the_tcb(pair: tuple[Appraisal, Json]) -> None:
    """Theirs leaves the quoting enclave's date apart; ours is the oldest of all parts, as Intel's."""
    ours, claims = pair
    assert iso(ours.tcb_date) == min(iso(claims["platform"]["tcb_date_tag"]), claims["qe"]["tcb_level"]["tcbDate"])


def test_windows_of_the_collateral(pair: tuple[Appraisal, Json]) -> None:
    ours, claims = pair
    assert ours.earliest_issue == claims["earliest_issue_date"]
    assert ours.latest_issue == claims["latest_issue_date"]
    assert ours.earliest_expiration == claims["earliest_expiration_date"]


def test_identity_and_configuration_of_the_platform(pair: tuple[Appraisal, Json]) -> None:
    ours, claims = pair
    pck, theirs = ours.pck, claims["platform"]["pck"]
    for name in ("ppid", "cpu_svn", "pce_id", "fmspc"):
        assert getattr(pck, name) == bytes(theirs[name]), name
    assert (pck.pce_svn, pck.sgx_type) == (theirs["pce_svn"], theirs["sgx_type"])
    if ours.pck_ca == "platform":
        assert pck.platform_instance_id == bytes(theirs["platform_instance_id"])
        for name in ("dynamic_platform", "cached_keys", "smt_enabled"):
            assert str(getattr(pck, name)) == theirs[name], name


def test_report_of_the_quoting_enclave(pair: tuple[Appraisal, Json]) -> None:
    ours, claims = pair
    _same_enclave(ours.quote.qe_report, claims["qe"]["report"])


def test_report_that_was_quoted(pair: tuple[Appraisal, Json]) -> None:
    ours, claims = pair
    report, theirs = ours.quote.report, claims["report"]
    if isinstance(report, EnclaveReport):
        _same_enclave(report, theirs["SgxEnclave"])
        return
    layers = {"TD1.0": "TD10", "TD1.5": "TD15", "TD1.5ex": "TD15Ex"}
    theirs = theirs[layers[report.body_type]]
    while "base" in theirs:
        _same_newer_members(report, theirs)
        theirs = theirs["base"]
    for name, own in TD_REGISTERS.items():
        assert getattr(report, own).hex() == theirs[name], name


def _same_newer_members(report: TdReport, theirs: Json) -> None:
    if "tee_tcb_svn2" in theirs:
        assert report.tee_tcb_svn2 is not None
        assert report.mr_service_td is not None
        assert report.tee_tcb_svn2.hex() == theirs["tee_tcb_svn2"]
        assert report.mr_service_td.hex() == theirs["mr_service_td"]


def _same_enclave(report: EnclaveReport, theirs: Json) -> None:
    for name, own in (
        ("cpu_svn", report.cpu_svn),
        ("attributes", report.attributes),
        ("mr_enclave", report.mrenclave),
        ("mr_signer", report.mrsigner),
        ("report_data", report.report_data),
    ):
        assert own.hex() == theirs[name], name
    assert (report.misc_select, report.isv_prod_id, report.isv_svn) == (
        theirs["misc_select"],
        theirs["isv_prod_id"],
        theirs["isv_svn"],
    )
