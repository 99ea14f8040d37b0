"""Certificates with one defect, in each of the three places where a certificate is believed: steps 4 and 7."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from twinproof_devnet.certificate import Change, Issued
from twinproof_devnet.collateral import make
from twinproof_devnet.corpus.case import Case, Rule
from twinproof_devnet.corpus.rig import REPORT_DATA, TD, Rig, edited
from twinproof_devnet.defects import DEFECTS
from twinproof_devnet.der import integer, oid, sequence
from twinproof_devnet.host import Tampering, TdxHost
from twinproof_devnet.machine import Machine
from twinproof_devnet.pki import Pki
from twinproof_devnet.quote import CertificationData
from twinproof_devnet.sgx_extension import SGX_EXTENSION_OID, encode_members, members, tcb_members

__all__ = ["certificate_cases"]

_PCK, _TCB_SIGNING = "dcap.pck_chain", "dcap.tcb_signing"
_DEMANDED_BY_ALL = {
    "expired",
    "signed by another key",
    "issued by another name",
    "a key on P-384",
    "an RSA key",
    "an unknown critical extension",
}
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_ECDSA_WITH_SHA256 = bytes.fromhex("06082a8648ce3d040302")
_ROOT_DEFECTS = ("the CA flag the other way round", "the wrong key usage", "expired", "not yet valid")


def certificate_cases(rig: Rig) -> Iterator[Case]:
    """Steps 4 and 7."""
    yield from _defects(rig)
    yield from _chains(rig)
    yield from _roots(rig)
    yield from _restricted(rig)
    yield from _sgx_extensions(rig)
    yield from _signers(rig)


def _rule(defect: str) -> Rule:
    return Rule.GENUINE if defect in _DEMANDED_BY_ALL else Rule.STRICT


def _slug(defect: str) -> str:
    return defect.lower().replace(" ", "-")


def _defects(rig: Rig) -> Iterator[Case]:
    for defect, change in DEFECTS.items():
        foreign_ca = Pki.create(rig.at, platform_ca=change)
        yield _of_tree(rig, foreign_ca, _PCK, f"ca-{_slug(defect)}", f"PCK CA: {defect}", rule=_rule(defect))
        yield rig.refuse(
            _PCK,
            f"leaf-{_slug(defect)}",
            f"PCK certificate: {defect}",
            quote=rig.quote(host=TdxHost.create(rig.pki, rig.at, change=change)),
            rule=_rule(defect),
        )
        foreign_signer = Pki.create(rig.at, tcb_signing=change)
        name, description = f"signer-{_slug(defect)}", f"TCB Signing certificate: {defect}"
        yield _of_tree(rig, foreign_signer, _TCB_SIGNING, name, description, rule=_rule(defect))


def _of_tree(rig: Rig, tree: Pki, stage: str, name: str, description: str, *, rule: Rule) -> Case:
    """A machine, its quote and its collateral under another tree, which is the trusted one."""
    return rig.refuse(
        stage,
        name,
        description,
        quote=TdxHost.create(tree, rig.at).quote(TD, REPORT_DATA),
        collateral=dict(make(tree, rig.at)),
        root=tree.root.der,
        rule=rule,
    )


def _chains(rig: Rig) -> Iterator[Case]:
    leaf, ca, root = rig.host.pck, rig.pki.platform_ca, rig.pki.root

    def chained(name: str, description: str, pem: bytes, rule: Rule = Rule.GENUINE) -> Case:
        tampering = Tampering(certification=CertificationData(5, pem))
        return rig.refuse(_PCK, name, description, quote=rig.quote(tampering=tampering), rule=rule)

    def pem(*certificates: Issued) -> bytes:
        return "".join(certificate.pem for certificate in certificates).encode()

    yield chained("without-root", "leaf and CA, no root", pem(leaf, ca), Rule.STRICT)
    yield chained("without-ca", "leaf and root, no CA", pem(leaf, root))
    yield chained("without-leaf", "CA and root, no leaf", pem(ca, root))
    yield chained("ca-twice", "leaf, CA, CA, root", pem(leaf, ca, ca, root), Rule.STRICT)
    yield chained("root-first", "root, CA, leaf", pem(root, ca, leaf), Rule.STRICT)
    yield chained("ca-first", "CA, leaf, root", pem(ca, leaf, root), Rule.STRICT)
    yield chained("five", "leaf, CA, root, root, root", pem(leaf, ca, root, root, root), Rule.STRICT)
    yield chained("empty", "no certificate at all", b"")
    yield chained("no-pem", "bytes that are no PEM", b"\x30\x82\x01\x00" * 200)
    yield chained("der", "three DER certificates instead of PEM", leaf.der + ca.der + root.der)
    broken = pem(leaf, ca, root)
    yield chained("broken-base64", "a letter of the leaf is no base64", edited(broken, 100, b"!"))
    yield chained("inverted-markers", "END before BEGIN", broken.replace(b"BEGIN", b"END", 1))
    signer = rig.pki.tcb_signing
    tampering = Tampering(certification=CertificationData(5, pem(signer, ca, root)), qe_report_signed_by=signer.key)
    yield rig.refuse(
        _PCK, "signer-as-leaf", "the TCB Signing certificate as a machine", quote=rig.quote(tampering=tampering)
    )
    yield _stray_bits(rig)
    wrong_ca = pem(leaf, rig.pki.processor_ca, root)
    yield chained("other-ca", "a leaf of the Platform CA beside the Processor CA", wrong_ca)


def _stray_bits(rig: Rig) -> Case:
    """A second text for the same certificate: the last letter before the padding holds bits that nobody reads."""
    host = rig.host
    while b"=\n-----END" not in host.pck.pem.encode():  # the length of a signature varies
        host = TdxHost.create(rig.pki, rig.at)
    body, end, rest = host.pck_chain.partition(b"=\n-----END")
    letters = body.rstrip(b"=")
    changed = letters[:-1] + _BASE64[_BASE64.index(letters[-1:]) + 1 :][:1] + body[len(letters) :]
    host = replace(host, pck_chain=changed + end + rest)
    description = "base64 with bits beyond the last byte"
    return rig.refuse(_PCK, "stray-bits", description, quote=rig.quote(host=host), rule=Rule.STRICT)


def _restricted(rig: Rig) -> Iterator[Case]:
    def with_leaf(name: str, description: str, change: Change) -> Case:
        quote = rig.quote(host=TdxHost.create(rig.pki, rig.at, change=change))
        return rig.refuse(_PCK, f"leaf-{name}", f"PCK certificate: {description}", quote=quote, rule=Rule.STRICT)

    usage = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)
    yield with_leaf(
        "for-code-signing", "good for signing code only", lambda recipe: replace(recipe, extra=(*recipe.extra, usage))
    )
    yield with_leaf("of-1969", "valid since 1969", lambda recipe: replace(recipe, not_before=-86_400))
    der = rig.host.pck.der
    at = der.rindex(_ECDSA_WITH_SHA256) + len(_ECDSA_WITH_SHA256) - 1
    body = base64.encodebytes(edited(der, at, b"\x03")).decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n{rig.pki.platform_ca.pem}{rig.pki.root.pem}"
    tampering = Tampering(certification=CertificationData(5, pem.encode()))
    yield rig.refuse(
        _PCK,
        "leaf-two-algorithms",
        "PCK certificate: the algorithm outside the signed part is another one than inside",
        quote=rig.quote(tampering=tampering),
    )


def _roots(rig: Rig) -> Iterator[Case]:
    other = Pki.create(rig.at)
    stranger = TdxHost.create(other, rig.at)
    yield rig.refuse(
        _PCK,
        "other-root",
        "everything under another root of the same name",
        quote=rig.quote(host=stranger),
        collateral=dict(make(other, rig.at)),
    )
    borrowed = f"{stranger.pck.pem}{other.platform_ca.pem}{rig.pki.root.pem}".encode()
    tampering = Tampering(certification=CertificationData(5, borrowed))
    yield rig.refuse(
        _PCK,
        "borrowed-root",
        "a foreign machine and CA with the trusted root put behind them",
        quote=rig.quote(host=stranger, tampering=tampering),
    )
    for defect in _ROOT_DEFECTS:
        tree = Pki.create(rig.at, root=DEFECTS[defect])
        yield _of_tree(rig, tree, _PCK, f"root-{_slug(defect)}", f"trust root: {defect}", rule=Rule.STRICT)
    leaf = rig.host.pck.certificate
    for name, at in (
        ("before", int(leaf.not_valid_before_utc.timestamp()) - 1),
        ("after", int(leaf.not_valid_after_utc.timestamp()) + 1),
    ):
        yield rig.refuse(
            _PCK,
            f"one-second-{name}",
            f"judged one second {name} the validity of the PCK certificate",
            collateral=dict(make(rig.pki, at)),
            at=at,
            rule=Rule.GENUINE if name == "after" else Rule.STRICT,
        )


def _sgx_extensions(rig: Rig) -> Iterator[Case]:
    def with_value(name: str, description: str, value: bytes, rule: Rule = Rule.GENUINE) -> Case:
        host = TdxHost.create(rig.pki, rig.at, sgx_extension=value)
        return rig.refuse(_PCK, f"sgx-{name}", f"SGX extension: {description}", quote=rig.quote(host=host), rule=rule)

    parts = members(rig.host.machine)
    yield with_value("none", "absent", b"")
    yield with_value("empty", "no members", sequence())
    yield with_value("without-ppid", "no PPID", sequence(*parts[1:]))
    yield with_value("without-tcb", "no TCB", sequence(parts[0], *parts[2:]))
    yield with_value("without-fmspc", "no FMSPC", sequence(*parts[:3], *parts[4:]))
    yield with_value("fmspc-twice", "FMSPC twice", sequence(*parts[:4], parts[3], *parts[4:]), Rule.STRICT)
    yield with_value("six-members", "six members: five or seven exist", sequence(*parts[:6]))
    yield with_value("trailing", "a byte after the end", sequence(*parts) + b"\x00", Rule.STRICT)
    processor = replace(rig.host.machine, ca="processor")
    yield with_value("processor-form", "five members, under the Platform CA", encode_members(processor), Rule.STRICT)
    wide = sequence(oid(f"{SGX_EXTENSION_OID}.2.1"), integer(260))
    tcb = sequence(oid(f"{SGX_EXTENSION_OID}.2"), sequence(wide, *tcb_members(rig.host.machine)[1:]))
    value = sequence(parts[0], tcb, *parts[2:])
    yield with_value("component-260", "a component SVN of 260, which is 4 in eight bits", value, Rule.STRICT)
    other_svn = encode_members(rig.host.machine).replace(rig.host.machine.cpu_svn, b"\x09" * 16)
    yield with_value("cpusvn-contradicts", "CPUSVN is not what the components say", other_svn, Rule.STRICT)


def _signers(rig: Rig) -> Iterator[Case]:
    stolen = rig.pki.pck(Machine.named("stolen"), rig.at)
    chain = f"{stolen.pem}{rig.pki.platform_ca.pem}{rig.pki.root.pem}"
    yield rig.refuse(
        _TCB_SIGNING,
        "pck-key",
        "both documents signed with an extracted PCK key, chain leaf, CA, root",
        collateral=dict(
            make(rig.pki, rig.at, signed_by=stolen.key, tcb_info_issuer_chain=chain, qe_identity_issuer_chain=chain)
        ),
        rule=Rule.STRICT,
    )
    yield rig.refuse(
        _TCB_SIGNING,
        "pck-key-short",
        "both documents signed with an extracted PCK key, as if the root had issued it",
        collateral=dict(make(rig.pki, rig.at, signer=stolen)),
    )
    for member in ("tcb_info_issuer_chain", "qe_identity_issuer_chain"):
        for name, value in (
            ("stranger", f"{stolen.pem}{rig.pki.root.pem}"),
            ("signer-alone", rig.pki.tcb_signing.pem),
            ("root-alone", rig.pki.root.pem),
            ("empty", ""),
            ("foreign-root", f"{rig.pki.tcb_signing.pem}{Pki.create(rig.at).root.pem}"),
            ("signer-twice", f"{rig.pki.tcb_signing.pem}{rig.pki.tcb_signing.pem}{rig.pki.root.pem}"),
        ):
            yield rig.refuse(
                _TCB_SIGNING,
                f"{member.removesuffix('_issuer_chain')}-chain-{name}",
                f"{member}: {name.replace('-', ' ')}",
                collateral=rig.collateral() | {member: value},
                rule=Rule.STRICT if name in {"foreign-root", "signer-alone", "signer-twice"} else Rule.GENUINE,
            )
    yield rig.refuse(
        _TCB_SIGNING,
        "revoked",
        "the root has revoked the TCB Signing certificate",
        collateral=dict(make(rig.pki, rig.at, revoked_ca=[rig.pki.tcb_signing.serial])),
    )
