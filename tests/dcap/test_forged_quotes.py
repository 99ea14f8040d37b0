"""Attacks on the quote itself, one lie each: which check catches it, and as what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from simulated import AT, REPORT_DATA, TD, host, judge, members, pki, quote
from twinproof.dcap.verify import PLAN
from twinproof.memo import Memo
from twinproof.verdict import Status
from twinproof_devnet.certificate import new_key
from twinproof_devnet.collateral import make
from twinproof_devnet.host import Tampering, TdxHost, raw_point
from twinproof_devnet.machine import Machine
from twinproof_devnet.quote import CertificationData

KINDS = [(4, "TD1.0"), (5, "TD1.0"), (5, "TD1.5"), (5, "TD1.5ex")]
NOT_FOR_SGX = {"dcap.tdx_module", "dcap.current_tcb"}


def _with_register_changed(signed: bytes) -> bytes:
    at = signed.index(TD.rtmr3)
    return signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :]


@pytest.mark.parametrize(("version", "body"), KINDS)
def test_an_honest_td_is_genuine(version: int, body: str) -> None:
    judgement = judge(quote(version, body))
    assert judgement.good.tcb_status == "UpToDate"
    assert judgement.good.device_id == host().device_id
    assert judgement.good.quote.report.report_data == REPORT_DATA
    assert (judgement.good.current is None) == (body == "TD1.0")
    assert [check.id for check in judgement.checks] == [step.id for step in PLAN]
    for check in judgement.checks:
        assert check.passed or check.reason.startswith("not applicable"), check


def test_an_honest_enclave_is_genuine_and_nothing_of_tdx_applies_to_it() -> None:
    judgement = judge(host().sgx_quote(host().enclave()), members("SGX"))
    assert judgement.good.tcb_status == "UpToDate"
    unchecked = {check.id for check in judgement.checks if check.status is Status.NOT_CHECKED}
    assert unchecked == NOT_FOR_SGX
    assert all(judgement.check(step).reason == "not applicable: an SGX quote" for step in unchecked)


def test_padding_after_the_quote_is_told_and_changes_nothing() -> None:
    judgement = judge(quote() + bytes(70))
    assert judgement.good.quote.trailing == bytes(70)
    assert ("after the end", "70 bytes, ignored") in judgement.check("dcap.quote_format").detail


@pytest.mark.parametrize(("version", "body"), KINDS)
@pytest.mark.parametrize(
    ("tampering", "caught"),
    [
        (Tampering(signed=_with_register_changed), ("dcap.quote_signature", "Forged")),
        (Tampering(quote_signed_by=new_key()), ("dcap.quote_signature", "Forged")),
        (Tampering(qe_report_signed_by=new_key()), ("dcap.qe_report_signature", "Forged")),
        (Tampering(qe_report_data=bytes(64)), ("dcap.qe_binding", "Forged")),
        (Tampering(attestation_key=raw_point(new_key())), ("dcap.qe_binding", "Forged")),
        (Tampering(header=lambda h: replace(h, qe_vendor_id=bytes(16))), ("dcap.header", "Malformed")),
        (Tampering(header=lambda h: replace(h, attestation_key_type=3)), ("dcap.header", "Malformed")),
        (Tampering(outer_kind=7), ("dcap.quote_format", "Malformed")),
    ],
    ids=[
        "a register edited after signing",
        "signed by a key of the attacker's",
        "a quoting enclave without hardware",
        "a quoting enclave that names no key",
        "the attacker's key beside an honest enclave",
        "another vendor's quoting enclave",
        "another kind of key",
        "another outer certification type",
    ],
)
def test_a_lie_in_the_quote_is_caught(tampering: Tampering, caught: tuple[str, str], version: int, body: str) -> None:
    judgement = judge(host().quote(TD, REPORT_DATA, version, body=body, tampering=tampering))
    assert judgement.failed == caught
    assert judgement.appraisal is None


def test_the_attackers_whole_signing_set_beside_a_real_certificate_is_caught() -> None:
    """Key, binding and both signatures are consistent; only the PCK key is not the attacker's."""
    attacker = replace(host(), attestation_key=new_key())
    forged = attacker.quote(TD, REPORT_DATA, tampering=Tampering(qe_report_signed_by=new_key()))
    assert judge(forged).failed == ("dcap.qe_report_signature", "Forged")


def test_report_data_of_the_quoting_enclave_has_a_zero_tail() -> None:
    bound = bytearray(judge(quote()).good.quote.qe_report.report_data)
    bound[63] = 1
    forged = host().quote(TD, REPORT_DATA, tampering=Tampering(qe_report_data=bytes(bound)))
    assert judge(forged).failed == ("dcap.qe_binding", "Forged")


def test_an_attestation_key_that_is_not_on_the_curve_is_malformed() -> None:
    qe_report_data = judge(quote()).good.quote.qe_report.report_data
    for point in (bytes(64), b"\xff" * 64):
        tampering = Tampering(attestation_key=point, qe_report_data=qe_report_data)
        assert judge(host().quote(TD, REPORT_DATA, tampering=tampering)).failed[1] == "Forged"  # not the bound key
    unbound = replace(host(), td_qe=replace(host().td_qe, auth_data=b""))
    assert judge(unbound.quote(TD, REPORT_DATA)).genuine  # an empty QE authentication data is in order


@pytest.mark.parametrize("signature", [bytes(64), b"\xff" * 64, bytes(63) + b"\x01"])
def test_signature_values_out_of_range_never_verify(signature: bytes) -> None:
    whole = quote()
    at = 632 + 4
    judgement = judge(whole[:at] + signature + whole[at + 64 :])
    assert judgement.failed == ("dcap.quote_signature", "Forged")


@pytest.mark.parametrize("version", [4, 5])
def test_an_sgx_quote_of_a_version_nobody_makes_is_refused(version: int) -> None:
    judgement = judge(host().sgx_quote(host().enclave(), version), members("SGX"))
    assert judgement.failed == ("dcap.header", "Malformed")


def test_the_quoting_enclave_of_the_other_tee_is_not_accepted() -> None:
    """An SGX quoting enclave signs whatever report an enclave shows it, a made-up TD report included."""
    judgement = judge(replace(host(), td_qe=host().sgx_qe).quote(TD, REPORT_DATA))
    assert judgement.failed == ("dcap.qe_match", "Untrusted")
    assert "MRSIGNER" in judgement.reason


@pytest.mark.parametrize(
    ("change", "member"),
    [
        ({"mrsigner": bytes(32)}, "MRSIGNER"),
        ({"isv_prod_id": 1}, "ISVPRODID"),
        ({"misc_select": 1}, "MISCSELECT"),
        ({"attributes": 0x17}, "ATTRIBUTES"),
        ({"attributes": 0x14}, "ATTRIBUTES"),
    ],
)
def test_any_other_enclave_posing_as_the_quoting_enclave_is_caught(change: dict[str, Any], member: str) -> None:
    judgement = judge(replace(host(), td_qe=replace(host().td_qe, **change)).quote(TD, REPORT_DATA))
    assert judgement.failed == ("dcap.qe_match", "Untrusted")
    assert member in judgement.reason


def test_a_quoting_enclave_older_than_all_levels_is_unknown() -> None:
    judgement = judge(replace(host(), td_qe=replace(host().td_qe, isv_svn=2)).quote(TD, REPORT_DATA))
    assert judgement.failed == ("dcap.qe_tcb_level", "TcbUnknown")


class TestWhereTheCertificatesAreElsewhere:
    """Certification types 1 to 4: the quote names its platform, the collateral brings the chain."""

    @staticmethod
    def collateral(chain: bytes | None = None) -> dict[str, str]:
        return members() | {"pck_certificate_chain": (chain or host().pck_chain).rstrip(b"\x00").decode()}

    @staticmethod
    def quoted(kind: int, data: bytes) -> bytes:
        return host().quote(TD, REPORT_DATA, tampering=Tampering(certification=CertificationData(kind, data)))

    @pytest.mark.parametrize(("kind", "size"), [(1, 34), (1, 36), (2, 274), (2, 276), (3, 402), (3, 404)], ids=str)
    def test_a_supplied_chain_serves(self, kind: int, size: int) -> None:
        assert judge(self.quoted(kind, bytes(size)), self.collateral()).good.device_id == host().device_id

    @pytest.mark.parametrize(("kind", "size"), [(1, 33), (1, 35), (2, 275), (3, 401), (3, 0)])
    def test_an_identity_of_another_size_is_malformed(self, kind: int, size: int) -> None:
        judgement = judge(self.quoted(kind, bytes(size)), self.collateral())
        assert judgement.failed == ("dcap.certification_data", "Malformed")

    def test_no_supplied_chain_is_an_error(self) -> None:
        assert judge(self.quoted(3, bytes(404))).failed == ("dcap.certification_data", "Malformed")

    def test_the_leaf_alone_has_to_be_the_supplied_leaf(self) -> None:
        leaf = host().pck.pem.encode()
        assert judge(self.quoted(4, leaf), self.collateral()).genuine
        other = pki().pck(Machine.named("other"), AT).pem.encode()
        judgement = judge(self.quoted(4, other), self.collateral())
        assert judgement.failed == ("dcap.certification_data", "CollateralMismatch")

    def test_a_supplied_chain_of_another_machine_does_not_verify(self) -> None:
        other = TdxHost.create(pki(), AT, name="other")
        judgement = judge(self.quoted(3, bytes(404)), self.collateral(other.pck_chain))
        assert judgement.failed == ("dcap.qe_report_signature", "Forged")

    def test_the_quotes_own_chain_cannot_be_overridden(self) -> None:
        other = TdxHost.create(pki(), AT, name="other")
        judgement = judge(quote(), self.collateral(other.pck_chain))
        assert judgement.failed == ("dcap.certification_data", "CollateralMismatch")
        assert judge(quote(), self.collateral()).genuine

    @pytest.mark.parametrize("kind", [0, 6, 7, 8, 0xFFFF])
    def test_other_kinds_are_malformed(self, kind: int) -> None:
        judgement = judge(self.quoted(kind, host().pck_chain), self.collateral())
        assert judgement.failed == ("dcap.certification_data", "Malformed")


def test_a_machine_under_the_processor_ca_is_genuine_too() -> None:
    machine = replace(Machine.named("old"), ca="processor")
    old = TdxHost.create(pki(), AT, machine=machine)
    appraisal = judge(old.quote(TD, REPORT_DATA), make(pki(), AT, ca="processor")).good
    assert appraisal.pck_ca == "processor"
    assert appraisal.pck.platform_instance_id is None


def test_what_a_memory_has_seen_vouches_for_nothing_else() -> None:
    """Every lie above again, after the honest quote was verified with the same memory."""
    memo = Memo()
    assert judge(quote(), memo=memo).genuine
    lies = {
        "dcap.quote_signature": Tampering(signed=_with_register_changed),
        "dcap.qe_report_signature": Tampering(qe_report_signed_by=new_key()),
        "dcap.qe_binding": Tampering(attestation_key=raw_point(new_key())),
    }
    for step, tampering in lies.items():
        for _ in range(2):  # a failure is not remembered as anything either
            assert judge(host().quote(TD, REPORT_DATA, tampering=tampering), memo=memo).failed[0] == step


def test_every_step_after_a_failure_is_listed_as_blocked_by_it() -> None:
    judgement = judge(host().quote(TD, REPORT_DATA, tampering=Tampering(qe_report_signed_by=new_key())))
    ids = [check.id for check in judgement.checks]
    assert ids == [step.id for step in PLAN]
    at = ids.index("dcap.qe_report_signature")
    assert all(check.passed for check in judgement.checks[:at])
    for check in judgement.checks[at + 1 :]:
        assert (check.status, check.reason) == (Status.NOT_CHECKED, "blocked by dcap.qe_report_signature")
