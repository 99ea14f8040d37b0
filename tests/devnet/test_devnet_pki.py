"""The devnet's certificates have Intel's shapes, and nothing of Intel's in their names but the roles."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtensionOID, NameOID

from twinproof_devnet.certificate import Issued, Recipe, issue
from twinproof_devnet.crl import CrlRecipe, sign_crl
from twinproof_devnet.defects import DEFECTS
from twinproof_devnet.der import integer, oid
from twinproof_devnet.machine import Machine
from twinproof_devnet.pki import Pki
from twinproof_devnet.sgx_extension import SGX_EXTENSION_OID

AT = 1_800_000_000
PKI = Pki.create(AT)
MACHINE = Machine.named("prod9")
PCK = PKI.pck(MACHINE, AT)

FIVE = [
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.CRL_DISTRIBUTION_POINTS,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.BASIC_CONSTRAINTS,
]


def common_name(issued: Issued) -> str:
    return str(issued.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_the_root_says_that_it_is_not_intel() -> None:
    assert common_name(PKI.root) == "twinproof devnet root, NOT INTEL"
    for issued in (PKI.root, PKI.platform_ca, PKI.processor_ca, PKI.tcb_signing, PCK):
        organisation = issued.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value
        assert organisation == "twinproof devnet, NOT INTEL"


@pytest.mark.parametrize(
    ("issued", "issuer", "name"),
    [
        (PKI.platform_ca, PKI.root, "Intel SGX PCK Platform CA"),
        (PKI.processor_ca, PKI.root, "Intel SGX PCK Processor CA"),
        (PKI.tcb_signing, PKI.root, "Intel SGX TCB Signing"),
        (PCK, PKI.platform_ca, "Intel SGX PCK Certificate"),
    ],
    ids=["platform CA", "processor CA", "TCB signing", "PCK"],
)
def test_each_certificate_has_its_name_its_issuer_and_intels_five_extensions(
    issued: Issued, issuer: Issued, name: str
) -> None:
    issued.certificate.verify_directly_issued_by(issuer.certificate)
    assert common_name(issued) == name
    own = [extension for extension in issued.certificate.extensions if extension.oid.dotted_string != SGX_EXTENSION_OID]
    assert [extension.oid for extension in own] == FIVE
    critical = {extension.oid for extension in own if extension.critical}
    assert critical == {ExtensionOID.KEY_USAGE, ExtensionOID.BASIC_CONSTRAINTS}


def test_the_sgx_extension_has_seven_members_from_the_platform_ca_and_five_from_the_processor_ca() -> None:
    processor = replace(MACHINE, ca="processor")
    leaf = PKI.pck(processor, AT)
    leaf.certificate.verify_directly_issued_by(PKI.processor_ca.certificate)
    for issued, count in ((PCK, 7), (leaf, 5)):
        extension = issued.certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier(SGX_EXTENSION_OID))
        assert isinstance(extension.value, x509.UnrecognizedExtension)
        members = [number for number in range(1, 8) if oid(f"{SGX_EXTENSION_OID}.{number}") in extension.value.value]
        assert members == list(range(1, count + 1))
        assert MACHINE.ppid in extension.value.value


def test_der_integers_are_as_short_as_they_can_be_and_positive() -> None:
    assert [integer(value).hex() for value in (0, 127, 128, 255, 65535)] == [
        "020100",
        "02017f",
        "02020080",
        "020200ff",
        "020300ffff",
    ]


def test_a_revocation_list_names_its_certificates_and_is_signed_by_its_ca() -> None:
    crl = x509.load_der_x509_crl(PKI.pck_crl(AT, revoked=[PCK.serial, 7]))
    assert {entry.serial_number for entry in crl} == {PCK.serial, 7}
    assert {extension.oid for extension in crl.extensions} == {
        ExtensionOID.CRL_NUMBER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    }
    assert crl.is_signature_valid(PKI.platform_ca.key.public_key())
    root_crl = x509.load_der_x509_crl(PKI.root_crl(AT))
    assert root_crl.is_signature_valid(PKI.root.key.public_key())
    assert root_crl.issuer == PKI.root.certificate.subject
    assert list(root_crl) == []


def test_a_list_can_be_made_without_its_next_update() -> None:
    recipe = CrlRecipe(AT, AT + 60, (1, 2, 3), left_out=frozenset({"nextUpdate"}))
    crl = x509.load_der_x509_crl(sign_crl(recipe, PKI.root))
    assert crl.next_update_utc is None
    assert crl.is_signature_valid(PKI.root.key.public_key())
    assert len(list(crl)) == 3


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_changes_the_certificate_and_nothing_else_in_its_recipe(name: str) -> None:
    seen: list[tuple[Recipe, Recipe]] = []

    def spy(recipe: Recipe) -> Recipe:
        seen.append((recipe, DEFECTS[name](recipe)))
        return seen[0][1]

    PKI.pck(MACHINE, AT, change=spy)
    before, after = seen[0]
    assert before != after


def test_a_certificate_signed_by_another_key_does_not_verify() -> None:
    forged = PKI.pck(MACHINE, AT, change=DEFECTS["signed by another key"])
    with pytest.raises(InvalidSignature):
        forged.certificate.verify_directly_issued_by(PKI.platform_ca.certificate)


def test_keys_are_new_every_time() -> None:
    recipe = Recipe("a", AT, AT + 1, "https://devnet.invalid/crl")
    assert issue(recipe).serial != issue(recipe).serial
    assert Pki.create(AT).root.der != PKI.root.der
