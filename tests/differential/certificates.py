"""Certificates that the devnet's CAs sign with something else in them, and chains put together in other ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.x509.oid import ExtendedKeyUsageOID

from differential.edits import edited
from differential.harness import Case
from differential.resigned import pem_of, resigned_certificate
from differential.world import AT, REPORT_DATA, TD, Devnet, devnet, fixed, key
from twinproof_devnet.certificate import Change, Issued, Recipe, issue
from twinproof_devnet.collateral import make
from twinproof_devnet.defects import DEFECTS, EXTENSION_NAMES
from twinproof_devnet.der import boolean, enumerated, integer, octet_string, oid, sequence
from twinproof_devnet.host import Tampering, TdxHost
from twinproof_devnet.machine import Machine
from twinproof_devnet.pki import Pki
from twinproof_devnet.quote import PCK_CHAIN, CertificationData
from twinproof_devnet.sgx_extension import SGX_EXTENSION_OID, encode_members

__all__ = ["certificate_cases"]

SUBJECTS = ("root", "platform_ca", "tcb_signing", "pck")
YEAR = 365 * 86_400


@cache
def defect_names() -> tuple[str, ...]:
    """Without the RSA key, which takes a second to make."""
    return tuple(name for name in DEFECTS if name != "an RSA key")


def _some(recipe: Recipe, **changes: object) -> Recipe:
    return replace(recipe, **changes)  # type: ignore[arg-type]


def _extension(rng: Random) -> x509.ExtensionType:
    name = x509.DNSName("devnet.invalid")
    return rng.choice(
        (
            x509.ExtendedKeyUsage([rng.choice((ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CODE_SIGNING))]),
            x509.SubjectAlternativeName([name]),
            x509.NameConstraints(permitted_subtrees=[name], excluded_subtrees=None),
            x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=[name]),
            x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None),
            x509.InhibitAnyPolicy(0),
            x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)]),
            x509.OCSPNoCheck(),
            x509.IssuerAlternativeName([name]),
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.840.113741.1.13.2"), b"\x05\x00"),
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.62397.99"), rng.randbytes(3)),
        )
    )


def a_change(rng: Random) -> tuple[str, Change]:
    """One property of a certificate at another value."""
    day = rng.choice((-YEAR, -86_400, -1, 0, 1, 86_400, YEAR))
    serial = rng.choice((1, 127, 128, 2**64, 2**158, 2**158 + 1))
    usage = {name: rng.random() < 0.5 for name in ("digital_signature", "key_cert_sign", "crl_sign")}
    path_length = rng.choice((0, 1, 2, 255))
    extension, critical = _extension(rng), rng.random() < 0.4
    left_out = rng.choice(EXTENSION_NAMES)
    name = rng.choice(("", "Intel SGX PCK Processor CA", "Intel SGX PCK Certificate", "Intel SGX TCB Signing"))
    defect = rng.choice(defect_names())
    changes: tuple[tuple[str, Change], ...] = (
        (f"begins at {day:+d} s", lambda recipe: _some(recipe, not_before=AT + day)),
        (f"ends at {day:+d} s", lambda recipe: _some(recipe, not_after=max(AT + day, recipe.not_before))),
        (f"serial {serial:x}", lambda recipe: _some(recipe, serial=serial)),
        (f"usage {usage}", lambda recipe: _some(recipe, **usage)),
        (f"path length {path_length}", lambda recipe: _some(recipe, ca=True, path_length=path_length)),
        ("no path length", lambda recipe: _some(recipe, path_length=None)),
        ("no CA", lambda recipe: _some(recipe, ca=False, path_length=None)),
        (f"also {extension} {critical=}", lambda recipe: _some(recipe, extra=(*recipe.extra, (extension, critical)))),
        (f"also {extension} {critical=}", lambda recipe: _some(recipe, extra=(*recipe.extra, (extension, critical)))),
        (f"without {left_out}", lambda recipe: _some(recipe, left_out=frozenset({left_out}))),
        (f"named {name}", lambda recipe: _some(recipe, common_name=name or recipe.common_name + " ")),
        ("other organisation", lambda recipe: _some(recipe, organisation="Intel Corporation")),
        ("signed with SHA-384", lambda recipe: _some(recipe, hash=SHA384())),
        ("signed by a stranger", lambda recipe: _some(recipe, signed_by=key(66))),
        ("a P-384 key", lambda recipe: _some(recipe, public_key=ec.derive_private_key(5, ec.SECP384R1()).public_key())),
        ("another key id above", lambda recipe: _some(recipe, authority_key_id=rng.randbytes(20))),
        ("a CRL elsewhere", lambda recipe: _some(recipe, crl_url="ldap://nowhere.invalid/x")),
        (defect, DEFECTS[defect]),
    )
    return rng.choice(changes)


def _changed(rng: Random) -> Case:
    subject = rng.choice(SUBJECTS)
    changes = [a_change(rng) for _ in range(rng.choice((1, 1, 1, 1, 2)))]

    def apply(recipe: Recipe) -> Recipe:
        for _, change in changes:
            recipe = change(recipe)
        return recipe

    try:
        world = Devnet.create(**{subject: apply})
    except ValueError:  # the library signs no such certificate, such as one that ends before it begins
        return _changed(rng)
    return world.case(f"{subject}: {', '.join(what for what, _ in changes)}", world.quote())


def _sgx_extension(rng: Random, machine: Machine) -> bytes:
    """The members of the PCK certificate's SGX extension, one or two of them odd."""
    if rng.random() < 0.4:
        good = encode_members(machine)
        return edited(rng, good, 0, len(good))[1]
    members = [
        _pair("1", octet_string(machine.ppid)),
        _pair("2", sequence(*_tcb_members(rng, machine))),
        _pair("3", octet_string(rng.choice((machine.pce_id, machine.pce_id, b"\x00\x01")))),
        _pair("4", octet_string(rng.choice((machine.fmspc, machine.fmspc, bytes(6))))),
        _pair("5", enumerated(rng.choice((0, 1, 2, 3)))),
        _pair("6", octet_string(machine.platform_instance_id)),
        _pair("7", sequence(*(_pair(f"7.{number}", boolean(rng.random() < 0.5)) for number in (1, 2, 3)))),
    ]
    index = rng.randrange(len(members))
    before = members[index - 1]
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: sequence(*members),
        lambda: sequence(*members[:index], *members[index + 1 :]),
        lambda: sequence(*members[: index + 1], *members[index:]),
        lambda: sequence(*members[: index - 1], members[index], before, *members[index + 1 :]),
        lambda: sequence(*members[:5]),
        lambda: sequence(*members, _pair("8", integer(1))),
        lambda: sequence(*members) + b"\x00",
    )
    return rng.choice(kinds)()


def _tcb_members(rng: Random, machine: Machine) -> list[bytes]:
    svn = [integer(value) for value in machine.components]
    pce_svn, cpu_svn = integer(machine.pce_svn), octet_string(machine.cpu_svn)
    at = rng.randrange(16)
    odd = rng.choice((0, 1, 3, 5, 127, 128, 255, 256, -1, 65535, 65536))
    if rng.random() < 0.5:
        svn[at] = integer(odd)
    if rng.random() < 0.3:
        components = bytearray(machine.components)
        components[at] = odd & 0xFF
        cpu_svn = octet_string(bytes(components))
    if rng.random() < 0.2:
        pce_svn = integer(rng.choice((0, 10, 11, 12, 65535, 65536, -1)))
    if rng.random() < 0.1:
        svn[at] = b"\x02\x02\x00" + bytes([machine.components[at]])  # longer than it has to be
    pairs = [_pair(f"2.{number}", value) for number, value in enumerate(svn, 1)]
    if rng.random() < 0.1:
        pairs[at], pairs[at - 1] = pairs[at - 1], pairs[at]
    return [*pairs, _pair("2.17", pce_svn), _pair("2.18", cpu_svn)]


def _pair(number: str, value: bytes) -> bytes:
    return sequence(oid(f"{SGX_EXTENSION_OID}.{number}"), value)


def _another_extension(rng: Random) -> Case:
    world = devnet()
    value = _sgx_extension(rng, world.host.machine)
    host = TdxHost.create(world.pki, AT, machine=world.host.machine, change=fixed(9), sgx_extension=value)
    host = replace(host, attestation_key=key(10))
    return world.case(f"SGX extension {value.hex()}", host.quote(TD, REPORT_DATA))


def _another_processor(rng: Random) -> Case:
    """A machine with other SVNs, of either CA: honest, but of another level."""
    world = devnet()
    kind = rng.choice(("platform", "processor"))
    components = tuple(max(0, svn + rng.choice((-1, 0, 0, 0, 1))) for svn in world.host.machine.components)
    machine = replace(world.host.machine, ca=kind, components=components, pce_svn=rng.choice((0, 10, 11, 12)))
    host = replace(TdxHost.create(world.pki, AT, machine=machine, change=fixed(9)), attestation_key=key(10))
    crl = world.pki.pck_crl(AT, rng.choice((kind, kind, kind, "platform", "processor"))).hex()
    return world.case(f"{machine}", host.quote(TD, REPORT_DATA), {"pck_crl": crl})


def _resigned(rng: Random) -> Case:
    world = devnet()
    pki, host = world.pki, world.host
    subject = rng.choice(("platform_ca", "tcb_signing", "pck"))
    issued: Issued = {"platform_ca": pki.platform_ca, "tcb_signing": pki.tcb_signing, "pck": host.pck}[subject]
    signer = pki.platform_ca.key if subject == "pck" else pki.root.key
    what, der = resigned_certificate(rng, issued.certificate, signer)
    pem = pem_of(der)
    what = f"{subject} signed again, {what}"
    if subject == "tcb_signing":
        chain = pem + pki.root.pem
        return world.case(what, world.quote(), {"tcb_info_issuer_chain": chain, "qe_identity_issuer_chain": chain})
    leaf, ca = (pem, pki.platform_ca.pem) if subject == "pck" else (host.pck.pem, pem)
    return world.case(what, _with_chain(world, f"{leaf}{ca}{pki.root.pem}"))


def _with_chain(world: Devnet, chain: str) -> bytes:
    certification = CertificationData(PCK_CHAIN, chain.encode())
    return world.host.quote(TD, REPORT_DATA, tampering=Tampering(certification=certification))


@cache
def extra_certificates() -> dict[str, Issued]:
    """Certificates under the same root that belong elsewhere."""
    pki = devnet().pki
    later = issue(_ca_recipe("Another CA", 2), pki.root, fixed(20))
    return {
        "root": pki.root,
        "platform CA": pki.platform_ca,
        "processor CA": pki.processor_ca,
        "TCB signing": pki.tcb_signing,
        "PCK": devnet().host.pck,
        "PCK of another": pki.pck(Machine.named("prod7"), AT, change=fixed(21)),
        "another CA": later,
        "TCB signing of another CA": issue(_signing_recipe(), later, fixed(22)),
        "TCB signing of the platform CA": issue(_signing_recipe(), pki.platform_ca, fixed(23)),
        "PCK of the root": issue(_pck_recipe(), pki.root, fixed(24)),
        "root of another": Pki.create(AT, root=fixed(25)).root,
        "second TCB signing": issue(_signing_recipe(), pki.root, fixed(26)),
    }


def _ca_recipe(name: str, path_length: int) -> Recipe:
    url = "https://devnet.invalid/crl"
    return Recipe(name, AT - YEAR, AT + YEAR, url, ca=True, path_length=path_length, key_cert_sign=True, crl_sign=True)


def _signing_recipe() -> Recipe:
    return Recipe("Intel SGX TCB Signing", AT - YEAR, AT + YEAR, "https://devnet.invalid/crl", digital_signature=True)


def _pck_recipe() -> Recipe:
    value = encode_members(Machine.named("prod9"))
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(SGX_EXTENSION_OID), value)
    return replace(_signing_recipe(), common_name="Intel SGX PCK Certificate", extra=((extension, False),))


def _another_chain(rng: Random) -> Case:
    """PCK chains and issuer chains out of certificates that are all good for something."""
    world, known = devnet(), extra_certificates()
    names = [rng.choice(tuple(known)) for _ in range(rng.choice((0, 1, 2, 2, 3, 3, 4, 5)))]
    if rng.random() < 0.6:
        names = ["PCK", *names, "root"]
    chain = "".join(known[name].pem for name in names)
    if rng.random() < 0.5:
        return world.case(f"PCK chain {names}", _with_chain(world, chain))
    signer = known[names[0]] if names else world.pki.tcb_signing
    members = make(world.pki, AT, signed_by=signer.key)
    chosen = rng.choice((("tcb_info",), ("qe_identity",), ("tcb_info", "qe_identity")))
    changed: dict[str, str] = {}
    for name in chosen:
        changed |= {f"{name}_issuer_chain": chain, f"{name}_signature": members[f"{name}_signature"]}
    return world.case(f"issuer chain of {chosen}: {names}, signed by the first", world.quote(), changed)


MAKERS: tuple[tuple[Callable[[Random], Case], int], ...] = (
    (_changed, 4),
    (_another_extension, 4),
    (_another_processor, 2),
    (_resigned, 6),
    (_another_chain, 4),
)


def certificate_cases(rng: Random, count: int) -> Iterator[Case]:
    makers, weights = zip(*MAKERS, strict=True)
    for _ in range(count):
        yield rng.choices(makers, weights)[0](rng)
