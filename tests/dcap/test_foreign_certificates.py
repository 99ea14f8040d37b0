"""Certificates that are almost Intel's: one defect each, in each place where a certificate is believed."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID

from simulated import AT, REPORT_DATA, TD, Judgement, host, judge, members, pki, quote
from twinproof.dcap.certificates import check_issued, load_certificate
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.crl import load_crl
from twinproof.dcap.pem import pem_certificates
from twinproof.dcap.roots import INTEL_SGX_ROOT_CA, TrustRoot
from twinproof.dcap.shapes import TCB_SIGNING, anchor_of, ca_kind, check_ca, check_end_entity
from twinproof.dcap.verify import PLAN, appraise
from twinproof.errors import Malformed
from twinproof.ledger import Ledger
from twinproof.memo import Memo
from twinproof.verdict import Status
from twinproof_devnet.certificate import Change, Issued, Recipe
from twinproof_devnet.collateral import make
from twinproof_devnet.crl import CrlRecipe, sign_crl
from twinproof_devnet.defects import DEFECTS
from twinproof_devnet.der import bit_string, oid, sequence
from twinproof_devnet.host import Tampering, TdxHost
from twinproof_devnet.machine import Machine
from twinproof_devnet.pki import Pki
from twinproof_devnet.quote import CertificationData
from twinproof_devnet.sgx_extension import encode_members

ERRORS = {"expired": "Stale", "not yet valid": "Stale", "signed by another key": "Forged"}


def judge_tree(tree: Pki, *, change: Change | None = None, sgx_extension: bytes | None = None) -> Judgement:
    machine = TdxHost.create(tree, AT, change=change, sgx_extension=sgx_extension)
    return judge(machine.quote(TD, REPORT_DATA), make(tree, AT), tree=tree)


@pytest.mark.parametrize("name", DEFECTS)
def test_a_pck_ca_with_one_defect_vouches_for_nothing(name: str) -> None:
    judgement = judge_tree(Pki.create(AT, platform_ca=DEFECTS[name]))
    assert judgement.failed == ("dcap.pck_chain", ERRORS.get(name, "Untrusted")), judgement.reason


@pytest.mark.parametrize("name", DEFECTS)
def test_a_pck_certificate_with_one_defect_is_no_machine(name: str) -> None:
    judgement = judge_tree(pki(), change=DEFECTS[name])
    assert judgement.failed == ("dcap.pck_chain", ERRORS.get(name, "Untrusted")), judgement.reason


@pytest.mark.parametrize("name", DEFECTS)
def test_a_tcb_signing_certificate_with_one_defect_signs_nothing(name: str) -> None:
    judgement = judge_tree(Pki.create(AT, tcb_signing=DEFECTS[name]))
    assert judgement.failed == ("dcap.tcb_signing", ERRORS.get(name, "Untrusted")), judgement.reason


RESTRICTING = {
    "extendedKeyUsage": x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]),
    "nameConstraints": x509.NameConstraints(None, [x509.DNSName("devnet.invalid")]),
    "policyConstraints": x509.PolicyConstraints(0, None),
    "inhibitAnyPolicy": x509.InhibitAnyPolicy(0),
}


@pytest.mark.parametrize("critical", [True, False], ids=["critical", "not critical"])
@pytest.mark.parametrize("name", RESTRICTING)
def test_a_certificate_that_is_restricted_to_other_uses_vouches_for_nothing(name: str, critical: bool) -> None:
    def restricted(recipe: Recipe) -> Recipe:
        return replace(recipe, extra=(*recipe.extra, (RESTRICTING[name], critical)))

    for judgement, step in (
        (judge_tree(Pki.create(AT, platform_ca=restricted)), "dcap.pck_chain"),
        (judge_tree(pki(), change=restricted), "dcap.pck_chain"),
        (judge_tree(Pki.create(AT, tcb_signing=restricted)), "dcap.tcb_signing"),
    ):
        assert judgement.failed == (step, "Untrusted")
        assert "restricts its use" in judgement.reason


def signed_again(certificate: Issued, old: bytes, new: bytes) -> bytes:
    """The certificate with a part of its signed bytes replaced by as many others, signed by the platform CA."""
    signed = certificate.certificate.tbs_certificate_bytes
    assert signed.count(old) == 1
    signed = signed.replace(old, new)
    signature = pki().platform_ca.key.sign(signed, ECDSA(SHA256()))
    return sequence(signed, sequence(oid("1.2.840.10045.4.3.2")), bit_string(signature))


def test_a_certificate_that_names_two_signature_algorithms_is_malformed() -> None:
    """RFC 5280, 4.1.1.2: the one outside is not signed, the one inside has to be the same."""
    with pytest.raises(Malformed, match="two signature algorithms"):
        load_certificate(signed_again(host().pck, oid("1.2.840.10045.4.3.2"), oid("1.2.840.10045.4.3.3")), "PCK")


def loosely_ended(der: bytes) -> bytes | None:
    """The last bit of the signature called unused, where it is zero: other bytes, the same signature."""
    size = next(size for size in range(73, 60, -1) if der[-size - 2 : -size + 1] == bytes([3, size, 0]))
    return None if der[-1] & 1 else der[:-size] + b"\x01" + der[-size + 1 :]


def test_a_signature_has_one_encoding() -> None:
    """It is not signed itself: without this, one certificate or list has several spellings that verify."""
    certificates = (issue_again(number) for number in range(64))
    loose = next(found for found in map(loosely_ended, certificates) if found)
    with pytest.raises(Malformed, match="signature does not end with a byte"):
        load_certificate(loose, "PCK")
    lists = (sign_crl(CrlRecipe.around(AT, 30, [number]), pki().platform_ca) for number in range(1, 64))
    loose = next(found for found in map(loosely_ended, lists) if found)
    with pytest.raises(Malformed, match="signature does not end with a byte"):
        load_crl(loose, "CRL")


def issue_again(number: int) -> bytes:
    return pki().pck(Machine.named(f"machine {number}"), AT).der


def test_a_certificate_from_before_1970_is_malformed() -> None:
    born = host().pck.certificate.not_valid_before_utc.strftime("%y%m%d%H%M%SZ").encode()
    with pytest.raises(Malformed, match="a date before 1970"):
        load_certificate(signed_again(host().pck, born, b"61" + born[2:]), "PCK")


@cache
def _stolen_pck() -> Issued:
    return pki().pck(Machine.named("stolen"), AT)


def test_an_extracted_pck_key_cannot_sign_tcb_documents() -> None:
    """The hole of other verifiers: any end entity under the root could call every platform up to date."""
    stolen = _stolen_pck()
    chain = f"{stolen.pem}{pki().platform_ca.pem}{pki().root.pem}"
    collateral = make(pki(), AT, signed_by=stolen.key, tcb_info_issuer_chain=chain, qe_identity_issuer_chain=chain)
    assert judge(quote(), collateral).failed == ("dcap.tcb_signing", "Untrusted")
    short = make(pki(), AT, signer=stolen)  # pretending that the root issued it
    assert judge(quote(), short).failed == ("dcap.tcb_signing", "Untrusted")


@pytest.mark.parametrize("member", ["tcb_info_issuer_chain", "qe_identity_issuer_chain"])
def test_each_document_needs_its_own_good_chain(member: str) -> None:
    stolen = _stolen_pck()
    judgement = judge(quote(), members() | {member: f"{stolen.pem}{pki().root.pem}"})
    assert judgement.failed == ("dcap.tcb_signing", "Untrusted")


def test_the_tcb_signing_certificate_is_no_machine() -> None:
    signer = pki().tcb_signing
    chain = f"{signer.pem}{pki().platform_ca.pem}{pki().root.pem}".encode()
    tampering = Tampering(certification=CertificationData(5, chain), qe_report_signed_by=signer.key)
    judgement = judge(host().quote(TD, REPORT_DATA, tampering=tampering))
    assert judgement.failed == ("dcap.pck_chain", "Untrusted")


def _chained(*certificates: Issued) -> Judgement:
    pem = "".join(certificate.pem for certificate in certificates).encode()
    return judge(host().quote(TD, REPORT_DATA, tampering=Tampering(certification=CertificationData(5, pem))))


def test_a_chain_has_exactly_three_certificates_in_their_order() -> None:
    leaf, ca, root = host().pck, pki().platform_ca, pki().root
    assert _chained(leaf, ca, root).genuine
    for wrong in ((leaf, ca), (leaf, root), (ca, root), (leaf, root, ca), (root, ca, leaf), (ca, leaf, root)):
        judgement = _chained(*wrong)
        assert judgement.failed == ("dcap.pck_chain", "Untrusted"), judgement.reason
    assert _chained(leaf, ca, ca, root).failed == ("dcap.pck_chain", "Untrusted")
    assert _chained(leaf, ca, root, root, root).failed == ("dcap.pck_chain", "Malformed")


def test_another_root_of_the_same_name_is_another_root() -> None:
    """Simulated evidence, or a root that an attacker made with the name of the trusted one."""
    other = Pki.create(AT)
    machine = TdxHost.create(other, AT)
    judgement = judge(machine.quote(TD, REPORT_DATA), make(other, AT), tree=pki())
    assert judgement.failed == ("dcap.pck_chain", "Untrusted")
    assert "another root" in judgement.reason


def test_good_certificates_under_a_foreign_root_cannot_borrow_the_trusted_one() -> None:
    other = Pki.create(AT)
    stranger = TdxHost.create(other, AT)
    chain = f"{stranger.pck.pem}{other.platform_ca.pem}{pki().root.pem}".encode()
    borrowed = stranger.quote(TD, REPORT_DATA, tampering=Tampering(certification=CertificationData(5, chain)))
    assert judge(borrowed).failed == ("dcap.pck_chain", "Untrusted")


def test_simulated_evidence_is_not_genuine_under_intels_root() -> None:
    ledger = Ledger(PLAN)
    collateral = Collateral.from_json(json.dumps(members()))
    assert appraise(quote(), collateral, at=AT, root=INTEL_SGX_ROOT_CA, ledger=ledger, memo=Memo()) is None
    failed = [check.id for check in ledger.checks() if check.status is Status.FAIL]
    assert failed == ["dcap.pck_chain"]


def test_a_memory_does_not_carry_trust_from_one_root_to_another() -> None:
    memo = Memo()
    assert judge(quote(), memo=memo).genuine
    assert judge(quote(), tree=Pki.create(AT), memo=memo).failed == ("dcap.pck_chain", "Untrusted")
    assert judge(quote(), memo=memo).genuine


@pytest.mark.parametrize("name", ["the CA flag the other way round", "the wrong key usage"])
def test_a_trust_root_that_is_no_ca_anchors_nothing(name: str) -> None:
    assert judge_tree(Pki.create(AT, root=DEFECTS[name])).failed == ("dcap.pck_chain", "Untrusted")


def test_a_trust_root_that_another_name_issued_anchors_nothing() -> None:
    """Its own list could not speak about it. dcap-qvl 0.7 aborts its process over such a root."""
    judgement = judge_tree(Pki.create(AT, root=DEFECTS["issued by another name"]))
    assert judgement.failed == ("dcap.pck_chain", "Untrusted")
    assert "not issued by itself" in judgement.reason


@pytest.mark.parametrize("name", ["expired", "not yet valid"])
def test_the_trust_roots_own_dates_count(name: str) -> None:
    assert judge_tree(Pki.create(AT, root=DEFECTS[name])).failed == ("dcap.pck_chain", "Stale")


@pytest.mark.parametrize("moment", ["not_before", "not_after"])
def test_a_pck_certificate_is_valid_from_its_first_to_its_last_second(moment: str) -> None:
    certificate = host().pck.certificate
    edge = int(
        getattr(certificate, f"{'not_valid_before' if moment == 'not_before' else 'not_valid_after'}_utc").timestamp()
    )
    outside = edge - 1 if moment == "not_before" else edge + 1
    for at, stale in ((edge, False), (outside, True)):
        tree_was = Pki(pki().root, pki().platform_ca, pki().processor_ca, pki().tcb_signing)
        failed = judge(quote(), make(tree_was, at), at=at).failed
        assert (failed == ("dcap.pck_chain", "Stale")) == stale, failed


def test_the_sgx_extension_has_the_form_of_its_ca() -> None:
    processor_form = encode_members(Machine(ppid=bytes(16), ca="processor"))
    assert judge_tree(pki(), sgx_extension=processor_form).failed == ("dcap.pck_chain", "Untrusted")
    assert judge_tree(pki(), sgx_extension=b"").failed == ("dcap.pck_chain", "Malformed")
    assert judge_tree(pki(), sgx_extension=b"\x30\x00").failed == ("dcap.pck_chain", "Malformed")


@pytest.mark.parametrize("data", [b"", b"\x00", b"-----BEGIN CERTIFICATE-----", b"\x30\x03\x02\x01\x00", b"\xff" * 40])
def test_a_trust_root_that_is_no_certificate_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        TrustRoot.from_pem_or_der(data)


@pytest.mark.vectors
def test_every_ca_and_signer_that_intel_ever_used_passes(vectors: Path) -> None:
    """Two encodings of the Processor CA and three TCB Signing certificates among them."""
    anchor = anchor_of(INTEL_SGX_ROOT_CA.der)
    kinds = []
    for file in sorted((vectors / "dcap" / "pki").glob("*.pem")):
        (der,) = pem_certificates(file.read_bytes(), file.name)
        certificate = load_certificate(der, file.name)
        check_issued(certificate, anchor.root, file.name)
        if "tcb-signing" in file.name:
            check_end_entity(certificate, anchor, TCB_SIGNING, file.name)
            kinds.append("signer")
        else:
            check_ca(certificate, file.name)
            kinds.append(ca_kind(certificate, anchor, file.name))
    assert kinds == ["platform", "processor", "processor", "signer", "signer", "signer"]


def test_a_trust_root_of_an_unknown_x509_version_is_malformed() -> None:
    """The library has an exception of its own for this, which is no ValueError."""
    version_6 = pki().root.der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020105"), 1)
    with pytest.raises(Malformed, match=r"not an X\.509 certificate"):
        TrustRoot.from_pem_or_der(version_6)


@pytest.mark.filterwarnings("ignore")  # as installed: the library warns, and goes on
def test_a_serial_that_no_revocation_list_can_name_is_malformed() -> None:
    """The library cannot look up a negative serial in a list: that must be no crash, and no `not revoked`."""
    serial = host().pck.serial.to_bytes(20, "big")
    negative = host().pck.der.replace(serial, bytes([serial[0] | 0x80]) + serial[1:], 1)
    with pytest.raises(Malformed, match="serial number that is not positive"):
        load_certificate(negative, "PCK certificate")


def test_a_trust_root_is_the_same_from_pem_and_from_der() -> None:
    root = pki().root
    assert TrustRoot.from_pem_or_der(root.pem.encode()) == TrustRoot.from_pem_or_der(root.der)
    assert not TrustRoot.from_pem_or_der(root.der).is_intel
    with pytest.raises(Malformed, match="not one certificate"):
        TrustRoot.from_pem_or_der((root.pem * 2).encode())


def test_the_built_in_root_is_intels() -> None:
    """SHA-256 of the certificate that Intel publishes, 2018 to 2049."""
    assert INTEL_SGX_ROOT_CA.is_intel
    assert INTEL_SGX_ROOT_CA.fingerprint == "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"
    assert INTEL_SGX_ROOT_CA.name == "Intel SGX Root CA"
