"""Revocation lists with one defect, and machines and CAs that stand on good ones: steps 5 and 6."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cryptography import x509

from twinproof_devnet.certificate import Issued, distinguished_name, new_key
from twinproof_devnet.collateral import make
from twinproof_devnet.corpus.case import Case, Rule
from twinproof_devnet.corpus.rig import Rig
from twinproof_devnet.crl import CrlRecipe, sign_crl
from twinproof_devnet.host import TdxHost

__all__ = ["revocation_cases"]

_DAY = 86_400


def revocation_cases(rig: Rig) -> Iterator[Case]:
    """Steps 5 and 6."""
    yield from _revoked(rig)
    for member, stage, issuer in (
        ("root_ca_crl", "dcap.root_crl", rig.pki.root),
        ("pck_crl", "dcap.pck_crl", rig.pki.platform_ca),
    ):
        yield from _defects(rig, member, stage, issuer)


def _revoked(rig: Rig) -> Iterator[Case]:
    pki, serial = rig.pki, rig.host.pck.serial
    pck, root = "dcap.pck_crl", "dcap.root_crl"
    yield rig.refuse(
        pck, "revoked", "the machine is on its CA's list", collateral=dict(make(pki, rig.at, revoked_pck=[serial]))
    )
    among_others = [*range(1, 60), serial, *range(60, 80)]
    yield rig.refuse(
        pck,
        "revoked-among-others",
        "the machine is on its CA's list, between others",
        collateral=dict(make(pki, rig.at, revoked_pck=among_others)),
    )
    yield rig.refuse(
        pck,
        "revoked-sgx",
        "an SGX quote of a revoked machine",
        quote=rig.sgx_quote(),
        collateral=dict(make(pki, rig.at, tee="SGX", revoked_pck=[serial])),
    )
    old = TdxHost.create(pki, rig.at, machine=replace(rig.host.machine, ca="processor"))
    yield rig.refuse(
        pck,
        "revoked-processor-ca",
        "a machine of the Processor CA on its CA's list",
        quote=rig.quote(host=old),
        collateral=dict(make(pki, rig.at, ca="processor", revoked_pck=[old.pck.serial])),
    )
    yield rig.refuse(
        root,
        "revoked-ca",
        "the root has revoked the PCK CA",
        collateral=dict(make(pki, rig.at, revoked_ca=[pki.platform_ca.serial])),
    )
    yield rig.refuse(
        root,
        "revoked-root",
        "the root stands on its own list",
        collateral=dict(make(pki, rig.at, revoked_ca=[pki.root.serial])),
        rule=Rule.STRICT,
    )


def _defects(rig: Rig, member: str, stage: str, issuer: Issued) -> Iterator[Case]:
    good = CrlRecipe.around(rig.at, 30)

    def given(name: str, description: str, value: str, rule: Rule = Rule.GENUINE) -> Case:
        return rig.refuse(stage, name, description, collateral=rig.collateral() | {member: value}, rule=rule)

    def made(name: str, description: str, recipe: CrlRecipe, rule: Rule = Rule.GENUINE, by: Issued = issuer) -> Case:
        return given(name, description, sign_crl(recipe, by).hex(), rule)

    yield made("forged", "signed by somebody else", replace(good, signed_by=new_key()))
    other = rig.pki.platform_ca if member == "root_ca_crl" else rig.pki.root
    for name, ca in (("other-ca", rig.pki.processor_ca), ("neighbour", other), ("signer", rig.pki.tcb_signing)):
        yield made(f"of-{name}", f"a good list of another issuer ({name})", good, by=ca)
    yield made("other-name", "names another issuer", replace(good, issuer_name=distinguished_name("Another CA")))
    yield made("other-key-id", "names another key", replace(good, authority_key_id=bytes(20)), Rule.STRICT)
    yield made("expired", "nextUpdate was a day ago", CrlRecipe(rig.at - 30 * _DAY, rig.at - _DAY))
    yield made(
        "at-next-update", "judged in the very second of nextUpdate", CrlRecipe(rig.at - _DAY, rig.at), Rule.STRICT
    )
    yield made("future", "thisUpdate is a second ahead", CrlRecipe(rig.at + 1, rig.at + _DAY), Rule.STRICT)
    yield made("no-next-update", "without nextUpdate", replace(good, left_out=frozenset({"nextUpdate"})), Rule.STRICT)
    yield made("no-number", "without cRLNumber", replace(good, left_out=frozenset({"cRLNumber"})), Rule.STRICT)
    yield made(
        "no-key-id",
        "without authorityKeyIdentifier",
        replace(good, left_out=frozenset({"authorityKeyIdentifier"})),
        Rule.STRICT,
    )
    delta = ((x509.DeltaCRLIndicator(1), True),)
    yield made("delta", "a delta list: what it does not name may be revoked all the same", replace(good, extra=delta))
    whole = sign_crl(good, issuer)
    yield given("empty", "no list at all", "")
    yield given("garbage", "bytes that are no list", b"garbage".hex())
    yield given("cut", "the last byte is missing", whole[:-1].hex())
    yield given("certificate", "a certificate instead of a list", issuer.der.hex())
    yield given("trailing", "a byte after the list", (whole + b"\x00").hex(), Rule.STRICT)
    yield given("edited", "thisUpdate edited after signing", _issued_a_year_before(whole).hex())


def _issued_a_year_before(crl: bytes) -> bytes:
    """The last digit of thisUpdate's year, one lower: still a date, still in the past."""
    at = crl.index(b"\x17\x0d") + 3
    return crl[:at] + bytes([crl[at] - 1]) + crl[at + 1 :]
