"""Revocation lists: both are needed, each of its own CA, signed by it, and neither too old nor from the future."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from simulated import AT, Judgement, host, judge, members, pki, quote
from twinproof.dcap.crl import load_crl
from twinproof.errors import Malformed, Untrusted
from twinproof.memo import Memo
from twinproof_devnet.certificate import Issued, distinguished_name, moment, new_key
from twinproof_devnet.collateral import make
from twinproof_devnet.crl import CrlRecipe, sign_crl
from twinproof_devnet.der import oid

LISTS = {"root_ca_crl": "dcap.root_crl", "pck_crl": "dcap.pck_crl"}
RECIPE = CrlRecipe.around(AT, 30)


def issuer_of(member: str) -> Issued:
    return pki().root if member == "root_ca_crl" else pki().platform_ca


def judge_with(member: str, crl: bytes, at: int = AT) -> Judgement:
    return judge(quote(), members() | {member: crl.hex()}, at=at)


def test_a_machine_on_its_cas_list_is_revoked() -> None:
    judgement = judge(quote(), make(pki(), AT, revoked_pck=[7, host().pck.serial, 9]))
    assert judgement.failed == ("dcap.pck_crl", "Revoked")
    assert f"{host().pck.serial:x}" in judgement.reason


def test_other_machines_on_the_list_do_not_matter() -> None:
    assert judge(quote(), make(pki(), AT, revoked_pck=[7, 9])).genuine


def test_a_revoked_ca_takes_its_machines_with_it() -> None:
    judgement = judge(quote(), make(pki(), AT, revoked_ca=[pki().platform_ca.serial]))
    assert judgement.failed == ("dcap.root_crl", "Revoked")


def test_the_other_ca_being_revoked_does_not_matter() -> None:
    assert judge(quote(), make(pki(), AT, revoked_ca=[pki().processor_ca.serial])).genuine


def test_documents_of_a_revoked_signer_are_worthless() -> None:
    judgement = judge(quote(), make(pki(), AT, revoked_ca=[pki().tcb_signing.serial]))
    assert judgement.failed == ("dcap.tcb_signing", "Revoked")


def test_a_root_that_lists_itself_is_revoked() -> None:
    judgement = judge(quote(), make(pki(), AT, revoked_ca=[pki().root.serial]))
    assert judgement.failed == ("dcap.root_crl", "Revoked")


def test_revocation_is_judged_anew_with_every_list() -> None:
    """A memory that knows the certificate as good does not help it once it is on a list."""
    memo = Memo()
    assert judge(quote(), memo=memo).genuine
    assert judge(quote(), make(pki(), AT, revoked_pck=[host().pck.serial]), memo=memo).failed[1] == "Revoked"


@pytest.mark.parametrize("member", LISTS)
def test_a_list_signed_by_somebody_else_is_forged(member: str) -> None:
    crl = sign_crl(replace(RECIPE, signed_by=new_key()), issuer_of(member))
    assert judge_with(member, crl).failed == (LISTS[member], "Forged")


@pytest.mark.parametrize("member", LISTS)
def test_the_list_of_another_ca_is_not_this_cas_list(member: str) -> None:
    """An empty list of the wrong CA must not stand for `not revoked`."""
    for other in (
        pki().processor_ca,
        pki().tcb_signing,
        issuer_of("pck_crl" if member == "root_ca_crl" else "root_ca_crl"),
    ):
        assert judge_with(member, sign_crl(RECIPE, other)).failed == (LISTS[member], "Untrusted")


@pytest.mark.parametrize("member", LISTS)
@pytest.mark.parametrize(
    "recipe",
    [replace(RECIPE, issuer_name=distinguished_name("Another CA")), replace(RECIPE, authority_key_id=bytes(20))],
    ids=["name", "key id"],
)
def test_a_list_that_names_another_issuer_is_untrusted(member: str, recipe: CrlRecipe) -> None:
    assert judge_with(member, sign_crl(recipe, issuer_of(member))).failed == (LISTS[member], "Untrusted")


@pytest.mark.parametrize("member", LISTS)
@pytest.mark.parametrize("left_out", ["nextUpdate", "cRLNumber", "authorityKeyIdentifier"])
def test_a_list_without_what_every_list_has_is_malformed(member: str, left_out: str) -> None:
    crl = sign_crl(replace(RECIPE, left_out=frozenset({left_out})), issuer_of(member))
    judgement = judge_with(member, crl)
    assert judgement.failed == (LISTS[member], "Malformed")
    assert left_out in judgement.reason


SCOPES: dict[str, x509.ExtensionType] = {
    "delta": x509.DeltaCRLIndicator(1),
    "CAs only": x509.IssuingDistributionPoint(None, None, False, True, None, False, False),
    "some reasons": x509.IssuingDistributionPoint(
        None, None, False, False, frozenset({x509.ReasonFlags.superseded}), False, False
    ),
    "indirect": x509.IssuingDistributionPoint(None, None, False, False, None, True, False),
}


@pytest.mark.parametrize("critical", [True, False], ids=["critical", "not critical"])
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("member", LISTS)
def test_a_list_of_some_certificates_does_not_pass_for_the_whole(member: str, scope: str, critical: bool) -> None:
    crl = sign_crl(replace(RECIPE, extra=((SCOPES[scope], critical),)), issuer_of(member))
    judgement = judge_with(member, crl)
    assert judgement.failed == (LISTS[member], "Untrusted")
    assert "a CRL of a part of the certificates" in judgement.reason


@pytest.mark.parametrize("member", LISTS)
def test_a_list_with_entries_of_other_cas_is_untrusted(member: str) -> None:
    issuer = issuer_of(member)
    other = x509.CertificateIssuer([x509.DirectoryName(distinguished_name("Another CA"))])
    entry = x509.RevokedCertificateBuilder(7, moment(AT)).add_extension(other, critical=False).build()
    builder = x509.CertificateRevocationListBuilder(issuer.certificate.subject, moment(AT - 1), moment(AT + 10), [], [])
    builder = builder.add_extension(x509.CRLNumber(1), critical=False).add_revoked_certificate(entry)
    key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    crl = builder.add_extension(key_id, critical=False).sign(issuer.key, SHA256()).public_bytes(Encoding.DER)
    judgement = judge_with(member, crl)
    assert judgement.failed == (LISTS[member], "Untrusted")
    assert "entries of other CAs" in judgement.reason


def test_a_list_that_names_two_signature_algorithms_is_malformed() -> None:
    crl = sign_crl(RECIPE, pki().platform_ca)
    good, other = oid("1.2.840.10045.4.3.2"), oid("1.2.840.10045.4.3.3")
    with pytest.raises(Malformed, match="signature algorithms do not match"):
        load_crl(crl.replace(good, other, 1), "CRL")


def test_a_list_from_before_1970_is_malformed() -> None:
    with pytest.raises(Malformed, match="a date before 1970"):
        load_crl(sign_crl(replace(RECIPE, this_update=-86_400), pki().platform_ca), "CRL")


@pytest.mark.parametrize("member", LISTS)
@pytest.mark.parametrize(
    ("at", "good"),
    [
        (RECIPE.this_update - 1, False),
        (RECIPE.this_update, True),
        (RECIPE.next_update - 1, True),
        (RECIPE.next_update, False),
    ],
    ids=["before", "first second", "last second", "nextUpdate"],
)
def test_a_list_holds_from_this_update_until_before_next_update(member: str, at: int, good: bool) -> None:
    collateral = make(pki(), at) | {member: sign_crl(RECIPE, issuer_of(member)).hex()}
    judgement = judge(quote(), collateral, at=at)
    assert judgement.failed == (("", "") if good else (LISTS[member], "Stale")), judgement.reason


@pytest.mark.parametrize("member", LISTS)
@pytest.mark.parametrize("crl", [b"", b"\x30\x00", b"\x00" * 64, b"-----BEGIN X509 CRL-----\n"], ids=repr)
def test_what_is_no_list_is_malformed(member: str, crl: bytes) -> None:
    assert judge_with(member, crl).failed == (LISTS[member], "Malformed")


def test_a_list_of_many_megabytes_is_not_parsed() -> None:
    with pytest.raises(Malformed, match="too large"):
        load_crl(bytes((1 << 20) + 1), "CRL")


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_spoiled_list_is_read_or_refused_with_a_typed_error(edits: list[tuple[int, int]]) -> None:
    spoiled = bytearray.fromhex(members()["pck_crl"])
    for at, value in edits:
        spoiled[at % len(spoiled)] = value
    try:
        load_crl(bytes(spoiled), "CRL")
    except (Malformed, Untrusted):
        return
