"""From SVNs to one status: which level a platform reaches, and what the statuses of its parts make together."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from simulated import AT, REPORT_DATA, TD, Judgement, host, judge, pki
from twinproof.dcap.tcb import COMPONENT_STATUSES, PLATFORM_STATUSES, TcbStatus, converge, relaunch
from twinproof_devnet.collateral import Documents, make
from twinproof_devnet.host import TdxHost
from twinproof_devnet.machine import COMPONENTS, Machine
from twinproof_devnet.tcb_levels import ENCLAVES, Level, Module, SvnLevel

S = TcbStatus
OLD, NEWER = "2023-01-01T00:00:00Z", "2025-01-01T00:00:00Z"

WITH_A_PART_OUT_OF_DATE = {
    S.UP_TO_DATE: S.OUT_OF_DATE,
    S.SW_HARDENING_NEEDED: S.OUT_OF_DATE,
    S.CONFIGURATION_NEEDED: S.OUT_OF_DATE_CONFIGURATION_NEEDED,
    S.CONFIGURATION_AND_SW_HARDENING_NEEDED: S.OUT_OF_DATE_CONFIGURATION_NEEDED,
    S.OUT_OF_DATE: S.OUT_OF_DATE,
    S.OUT_OF_DATE_CONFIGURATION_NEEDED: S.OUT_OF_DATE_CONFIGURATION_NEEDED,
    S.REVOKED: S.REVOKED,
}
COMBINATIONS = list(product(sorted(PLATFORM_STATUSES), sorted(COMPONENT_STATUSES), sorted(COMPONENT_STATUSES)))


def svn(*first: int) -> tuple[int, ...]:
    return (*first, *[0] * (16 - len(first)))


def tdx(*levels: Level, module: tuple[SvnLevel, ...] = (SvnLevel(5),), qe: str = "UpToDate", **more: Any) -> Documents:
    """Documents with these platform levels, one level set of module version 1, and a QE of this status."""
    enclave = replace(ENCLAVES["TDX"], levels=(SvnLevel(4, qe, ("INTEL-SA-QE",), NEWER),))
    return replace(Documents.at(AT), levels=levels, modules=(Module(1, module),), enclave=enclave, **more)


def judge_svns(
    documents: Documents, launch: bytes, current: bytes | None = None, machine: Machine | None = None
) -> Judgement:
    """A TD launched under `launch`; with `current`, a TD 1.5 report that names the module running now."""
    where = TdxHost.create(pki(), AT, machine=machine) if machine else host()
    where = replace(where, module=replace(where.module, tee_tcb_svn=launch, tee_tcb_svn2=current))
    quoted = where.quote(TD, REPORT_DATA, 5, body="TD1.5" if current else "TD1.0")
    return judge(quoted, make(pki(), AT, documents=documents))


def tee(*first: int) -> bytes:
    return bytes(svn(*first))


TOP = Level(COMPONENTS, 11, svn(5, 0, 4))
BOTTOM = Level(svn(), 0, svn(), "OutOfDate", ("INTEL-SA-00002",), OLD)


class TestConvergence:
    def test_there_are_63_combinations(self) -> None:
        assert len(COMBINATIONS) == 63

    @pytest.mark.parametrize(("platform", "qe", "module"), COMBINATIONS)
    def test_of_platform_quoting_enclave_and_module(
        self, platform: TcbStatus, qe: TcbStatus, module: TcbStatus
    ) -> None:
        if S.REVOKED in {platform, qe, module}:
            expected = S.REVOKED
        elif S.OUT_OF_DATE in {qe, module}:
            expected = WITH_A_PART_OUT_OF_DATE[platform]
        else:
            expected = platform
        assert converge(platform, qe, module) == converge(platform, module, qe) == expected

    @pytest.mark.parametrize("platform", sorted(PLATFORM_STATUSES))
    def test_parts_in_order_change_nothing(self, platform: TcbStatus) -> None:
        assert converge(platform, S.UP_TO_DATE) == converge(platform, S.UP_TO_DATE, S.UP_TO_DATE) == platform

    @pytest.mark.parametrize(("platform", "qe", "module"), COMBINATIONS)
    def test_a_part_never_makes_a_status_better(self, platform: TcbStatus, qe: TcbStatus, module: TcbStatus) -> None:
        assert (converge(platform, qe, module) == S.UP_TO_DATE) == ({platform, qe, module} == {S.UP_TO_DATE})


class TestRelaunch:
    OUT = (S.OUT_OF_DATE, S.OUT_OF_DATE_CONFIGURATION_NEEDED)
    WITH_CONFIGURATION = (
        S.CONFIGURATION_NEEDED,
        S.CONFIGURATION_AND_SW_HARDENING_NEEDED,
        S.OUT_OF_DATE_CONFIGURATION_NEEDED,
    )

    @pytest.mark.parametrize(("launch", "current"), list(product(sorted(PLATFORM_STATUSES), repeat=2)))
    def test_is_advised_when_only_the_launch_was_out_of_date(self, launch: TcbStatus, current: TcbStatus) -> None:
        got = relaunch(launch, current)
        if launch in self.OUT and current not in {*self.OUT, S.REVOKED}:
            configuration = launch in self.WITH_CONFIGURATION or current in self.WITH_CONFIGURATION
            expected = S.TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED if configuration else S.TD_RELAUNCH_ADVISED
            assert got == expected
        else:
            assert got == launch

    MODULE = (SvnLevel(7), SvnLevel(3, "OutOfDate", ("INTEL-SA-MODULE",), OLD))

    def test_a_td_from_before_the_modules_update_should_be_launched_again(self) -> None:
        appraisal = judge_svns(tdx(TOP, module=self.MODULE), tee(4, 1, 4), tee(7, 1, 4)).good
        assert appraisal.tcb_status == S.TD_RELAUNCH_ADVISED
        assert (appraisal.launch.status, appraisal.current_tcb_status) == (S.OUT_OF_DATE, S.UP_TO_DATE)
        assert appraisal.advisory_ids == ("INTEL-SA-MODULE", "INTEL-SA-QE")
        assert appraisal.current is not None
        assert appraisal.current.advisory_ids == ("INTEL-SA-QE",)

    def test_a_module_gone_back_in_time_is_kept_beside_a_good_launch(self) -> None:
        appraisal = judge_svns(tdx(TOP, module=self.MODULE), tee(7, 1, 4), tee(4, 1, 4)).good
        assert appraisal.tcb_status == S.UP_TO_DATE
        assert appraisal.current_tcb_status == S.OUT_OF_DATE

    @pytest.mark.parametrize(("launch", "current"), [(7, 4), (4, 7)], ids=["now", "at launch"])
    def test_a_revoked_module_is_refused_now_and_at_launch(self, launch: int, current: int) -> None:
        module = (SvnLevel(7), SvnLevel(3, "Revoked", (), OLD))
        judgement = judge_svns(tdx(TOP, module=module), tee(launch, 1, 4), tee(current, 1, 4))
        assert judgement.failed == ("dcap.not_revoked", "Revoked")

    def test_a_module_of_another_version_now_is_judged_by_its_own_identity(self) -> None:
        """SVN2[1] chooses the identity and the first component that is compared."""
        judgement = judge_svns(tdx(TOP), tee(5, 1, 4), tee(5, 9, 4))
        assert judgement.failed == ("dcap.current_tcb", "TcbUnknown")
        assert "TDX_09" in judgement.reason

    def test_a_platform_that_fell_below_all_levels_since_the_launch_is_unknown(self) -> None:
        assert judge_svns(tdx(TOP), tee(5, 1, 4), tee(5, 1, 3)).failed == ("dcap.current_tcb", "TcbUnknown")

    def test_an_out_of_date_quoting_enclave_is_not_healed_by_a_relaunch(self) -> None:
        appraisal = judge_svns(tdx(TOP, module=self.MODULE, qe="OutOfDate"), tee(4, 1, 4), tee(7, 1, 4)).good
        assert appraisal.tcb_status == S.OUT_OF_DATE


class TestPlatformLevel:
    def test_a_platform_reaches_the_highest_level_it_covers(self) -> None:
        levels = (TOP, replace(TOP, components=svn(3, 3), status="SWHardeningNeeded"), BOTTOM)
        assert judge_svns(tdx(*levels), tee(5, 1, 4)).good.tcb_status == S.UP_TO_DATE

    @pytest.mark.parametrize("index", range(16))
    def test_one_lower_component_is_enough_for_the_level_below(self, index: int) -> None:
        components = tuple(svn + (position == index) for position, svn in enumerate(COMPONENTS))
        appraisal = judge_svns(tdx(replace(TOP, components=components), BOTTOM), tee(5, 1, 4)).good
        assert appraisal.tcb_status == S.OUT_OF_DATE
        assert "INTEL-SA-00002" in appraisal.advisory_ids

    def test_a_lower_pcesvn_alone_is_enough_for_the_level_below(self) -> None:
        assert judge_svns(tdx(replace(TOP, pce_svn=12), BOTTOM), tee(5, 1, 4)).good.tcb_status == S.OUT_OF_DATE

    def test_a_higher_pcesvn_makes_up_for_nothing(self) -> None:
        machine = replace(Machine.named("low"), components=svn(*COMPONENTS[:7]), pce_svn=99)
        judgement = judge_svns(tdx(TOP, BOTTOM), tee(5, 1, 4), machine=machine)
        assert judgement.good.tcb_status == S.OUT_OF_DATE

    @pytest.mark.parametrize("index", range(2, 16))
    def test_one_lower_tdx_component_is_enough_for_the_level_below(self, index: int) -> None:
        components = tuple(svn + (position == index) for position, svn in enumerate(svn(5, 0, 4)))
        level = replace(TOP, tdx_components=components)
        assert judge_svns(tdx(level, BOTTOM), tee(5, 1, 4)).good.tcb_status == S.OUT_OF_DATE

    @pytest.mark.parametrize("index", [0, 1])
    def test_the_first_two_tdx_components_are_a_versioned_modules_own(self, index: int) -> None:
        components = tuple(99 if position == index else value for position, value in enumerate(svn(5, 0, 4)))
        level = replace(TOP, tdx_components=components)
        assert judge_svns(tdx(level, BOTTOM), tee(5, 1, 4)).good.tcb_status == S.UP_TO_DATE
        assert judge_svns(tdx(level, BOTTOM), tee(5, 0, 4)).good.tcb_status == S.OUT_OF_DATE

    def test_below_every_level_is_an_error_and_not_a_status(self) -> None:
        assert judge_svns(tdx(TOP), tee(5, 1, 3)).failed == ("dcap.tcb_level", "TcbUnknown")

    def test_a_revoked_platform_is_refused_whatever_the_policy(self) -> None:
        judgement = judge_svns(tdx(replace(TOP, status="Revoked")), tee(5, 1, 4))
        assert judgement.failed == ("dcap.not_revoked", "Revoked")

    def test_a_revoked_level_that_is_not_reached_does_not_matter(self) -> None:
        above = replace(TOP, pce_svn=12, status="Revoked")
        assert judge_svns(tdx(above, TOP), tee(5, 1, 4)).genuine

    def test_advisories_are_those_of_all_parts_sorted_and_once(self) -> None:
        level = replace(TOP, status="OutOfDate", advisory_ids=("INTEL-SA-B", "INTEL-SA-QE", "INTEL-SA-A"), date=NEWER)
        module = (SvnLevel(5, "UpToDate", ("INTEL-SA-M", "INTEL-SA-A"), OLD),)
        appraisal = judge_svns(tdx(level, module=module), tee(5, 1, 4)).good
        assert appraisal.advisory_ids == ("INTEL-SA-A", "INTEL-SA-B", "INTEL-SA-M", "INTEL-SA-QE")

    def test_the_tcb_is_as_old_as_its_oldest_part(self) -> None:
        module = (SvnLevel(5, date=OLD),)
        assert judge_svns(tdx(TOP, module=module), tee(5, 1, 4)).good.tcb_date == 1_672_531_200  # 2023-01-01


class TestTdxModule:
    def test_an_old_module_makes_the_platform_out_of_date(self) -> None:
        module = (SvnLevel(6), SvnLevel(2, "OutOfDate", (), OLD))
        assert judge_svns(tdx(TOP, module=module), tee(5, 1, 4)).good.tcb_status == S.OUT_OF_DATE

    def test_a_module_below_all_its_levels_is_unknown(self) -> None:
        judgement = judge_svns(tdx(TOP, module=(SvnLevel(6),)), tee(5, 1, 4))
        assert judgement.failed == ("dcap.tdx_module", "TcbUnknown")

    @pytest.mark.parametrize("modules", [(Module(3, (SvnLevel(0),)),), ()], ids=["another version", "none"])
    def test_a_module_that_intel_does_not_list_is_unknown(self, modules: tuple[Module, ...]) -> None:
        judgement = judge_svns(replace(tdx(TOP), modules=modules), tee(5, 1, 4))
        assert judgement.failed[1] == ("TcbUnknown" if modules else "Malformed")  # an empty list is no list

    def test_a_module_without_a_version_is_judged_by_the_platforms_level(self) -> None:
        assert judge_svns(tdx(TOP, module=(SvnLevel(99),)), tee(5, 0, 4)).good.tcb_status == S.UP_TO_DATE

    @pytest.mark.parametrize("version", [0, 1])
    @pytest.mark.parametrize(
        ("change", "where"),
        [({"mrsignerseam": b"\x01" * 48}, "MRSIGNERSEAM"), ({"seam_attributes": b"\x01" + bytes(7)}, "SEAMATTRIBUTES")],
        ids=["signer", "attributes"],
    )
    def test_a_module_of_somebody_else_is_untrusted(self, version: int, change: dict[str, Any], where: str) -> None:
        evil = replace(host(), module=replace(host().module, tee_tcb_svn=tee(5, version, 4), **change))
        judgement = judge(evil.quote(TD, REPORT_DATA), make(pki(), AT))
        assert judgement.failed == ("dcap.tdx_module", "Untrusted")
        assert where in judgement.reason

    def test_attributes_that_intel_would_allow_are_refused_all_the_same(self) -> None:
        """Intel's library wants zero; an identity that lists a bit does not make a module with it good."""
        listed = Module(1, (SvnLevel(5),), attributes=b"\x01" + bytes(7))
        evil = replace(host(), module=replace(host().module, seam_attributes=b"\x01" + bytes(7)))
        documents = replace(tdx(TOP), modules=(listed,))
        judgement = judge(evil.quote(TD, REPORT_DATA), make(pki(), AT, documents=documents))
        assert judgement.failed == ("dcap.tdx_module", "Untrusted")
