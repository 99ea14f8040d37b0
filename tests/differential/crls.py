"""Revocation lists: real ones with a byte changed, and devnet ones that their CA signs with something else in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding

from differential.edits import edited
from differential.harness import Case
from differential.resigned import resigned_crl
from differential.world import AT, Devnet, devnet, key, real_cases
from twinproof_devnet.certificate import Issued, distinguished_name, moment
from twinproof_devnet.crl import CrlRecipe, sign_crl
from twinproof_devnet.pki import PCK_CRL_URL, ROOT_CRL_URL

__all__ = ["real_crl_cases", "signed_crl_cases"]

LISTS = {"root_ca_crl": "root", "pck_crl": "platform_ca"}
DAY = 86_400


def real_crl_cases(rng: Random, count: int) -> Iterator[Case]:
    for _ in range(count):
        base = rng.choice(real_cases())
        name = rng.choice(tuple(LISTS))
        der = bytes.fromhex(base.members[name])
        kind = rng.random()
        if kind < 0.1:
            other = rng.choice(real_cases())
            which = rng.choice(tuple(LISTS))
            yield base.case(f"{name} := {which} of {other.name}", members={name: other.members[which]})
        elif kind < 0.2:
            size = rng.randrange(len(der))
            yield base.case(f"{name} cut off at {size}", members={name: der[:size].hex()})
        else:
            what, changed = edited(rng, der, 0, len(der))
            yield base.case(f"{name}: {what}", members={name: changed.hex()})


@cache
def quote() -> bytes:
    return devnet().quote()


def _serials(world: Devnet) -> dict[str, int]:
    pki = world.pki
    return {
        "the machine": world.host.pck.serial,
        "the platform CA": pki.platform_ca.serial,
        "the processor CA": pki.processor_ca.serial,
        "the TCB signer": pki.tcb_signing.serial,
        "the root": pki.root.serial,
        "nobody": 77,
        "one more than the machine": world.host.pck.serial + 1,
        "a long one": 2**150 + 1,
    }


def _recipe(rng: Random, world: Devnet) -> tuple[str, CrlRecipe]:
    good = CrlRecipe.around(AT, 30)
    start = rng.choice((-400 * DAY, -DAY, -1, 0, 1, DAY))
    length = rng.choice((1, 2, DAY, 30 * DAY, 800 * DAY))
    serials = _serials(world)
    listed = [rng.choice(tuple(serials)) for _ in range(rng.choice((1, 1, 2, 5)))]
    critical = rng.random() < 0.5
    extension = _extension(rng)
    left_out = rng.choice(("cRLNumber", "authorityKeyIdentifier", "nextUpdate"))
    choices: tuple[tuple[str, Callable[[], CrlRecipe]], ...] = (
        (
            f"from {start:+d} s for {length} s",
            lambda: replace(good, this_update=AT + start, next_update=AT + start + length),
        ),
        (f"ends at {start:+d} s", lambda: replace(good, this_update=AT - 500 * DAY, next_update=AT + start)),
        (f"lists {listed}", lambda: replace(good, revoked=tuple(serials[name] for name in listed))),
        (f"lists {listed}", lambda: replace(good, revoked=tuple(serials[name] for name in listed))),
        (f"without {left_out}", lambda: replace(good, left_out=frozenset({left_out}))),
        ("signed by a stranger", lambda: replace(good, signed_by=key(66))),
        ("issued by another name", lambda: replace(good, issuer_name=distinguished_name("Another CA"))),
        ("another key id", lambda: replace(good, authority_key_id=rng.randbytes(20))),
        (f"also {extension} {critical=}", lambda: replace(good, extra=((extension, critical),))),
        (f"also {extension} {critical=}", lambda: replace(good, extra=((extension, critical),))),
        (f"also {extension} {critical=}", lambda: replace(good, extra=((extension, critical),))),
    )
    what, make = rng.choice(choices)
    return what, make()


def _extension(rng: Random) -> x509.ExtensionType:
    name = x509.DNSName("devnet.invalid")
    fitting = (ROOT_CRL_URL, PCK_CRL_URL.format("platform"), "https://devnet.invalid/crl")
    uri = x509.UniformResourceIdentifier(rng.choice(fitting))
    flags = [rng.random() < 0.3 for _ in range(4)]
    if sum(flags) > 1:
        flags = [False, True, False, False]
    user, ca, indirect, attribute = flags
    reasons = frozenset({x509.ReasonFlags.key_compromise}) if rng.random() < 0.3 else None
    full_name = [uri] if rng.random() < 0.5 or not (any(flags) or reasons) else None
    scope: x509.ExtensionType = x509.IssuingDistributionPoint(full_name, None, user, ca, reasons, indirect, attribute)
    return rng.choice(
        (
            scope,
            scope,
            x509.DeltaCRLIndicator(1),
            x509.IssuerAlternativeName([name]),
            x509.FreshestCRL([x509.DistributionPoint([uri], None, None, None)]),
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.62397.99"), b"\x05\x00"),
        )
    )


def _entries(rng: Random, world: Devnet, issuer: Issued) -> tuple[str, bytes]:
    """Entries with reasons, dates and extensions of their own."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(moment(AT - 3600))
        .next_update(moment(AT + DAY))
        .add_extension(x509.CRLNumber(rng.choice((0, 1, 2**64))), critical=rng.random() < 0.2)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=rng.random() < 0.1
        )
    )
    said = []
    for _ in range(rng.choice((1, 2))):
        name, serial = rng.choice(tuple(_serials(world).items()))
        date = AT + rng.choice((-DAY, 0, DAY, 100 * DAY))
        entry = x509.RevokedCertificateBuilder(serial, moment(date))
        reason = rng.choice((None, *(flag for flag in x509.ReasonFlags if flag is not x509.ReasonFlags.unspecified)))
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=rng.random() < 0.2)
        if rng.random() < 0.2:
            entry = entry.add_extension(x509.InvalidityDate(moment(AT + DAY).replace(tzinfo=None)), critical=False)
        if rng.random() < 0.15:
            other = x509.DirectoryName(distinguished_name("Another CA"))
            entry = entry.add_extension(x509.CertificateIssuer([other]), critical=rng.random() < 0.7)
        said.append(f"{name} at {date - AT:+d} s, {reason}")
        builder = builder.add_revoked_certificate(entry.build())
    signed = builder.sign(issuer.key, SHA384() if rng.random() < 0.1 else SHA256())
    return f"entries {said}", signed.public_bytes(Encoding.DER)


def signed_crl_cases(rng: Random, count: int) -> Iterator[Case]:
    world = devnet()
    for _ in range(count):
        name, issuer_name = rng.choice(tuple(LISTS.items()))
        issuer: Issued = getattr(world.pki, issuer_name)
        kind = rng.choices(("recipe", "entries", "resigned", "other", "text"), (6, 4, 6, 1, 1))[0]
        if kind == "recipe":
            what, recipe = _recipe(rng, world)
            der = sign_crl(recipe, issuer)
        elif kind == "entries":
            what, der = _entries(rng, world, issuer)
        elif kind == "resigned":
            serials = tuple(_serials(world).values())
            base = replace(CrlRecipe.around(AT, 30), revoked=rng.choice(((), (77,), serials[4:], serials)))
            what, der = resigned_crl(rng, sign_crl(base, issuer), issuer.key)
        elif kind == "other":
            by = rng.choice(("root", "platform_ca", "processor_ca", "tcb_signing"))
            what, der = f"the list of {by}", sign_crl(CrlRecipe.around(AT, 30), getattr(world.pki, by))
        else:
            yield _as_text(rng, world, name)
            continue
        yield world.case(f"{name}: {what}", quote(), {name: der.hex()})


def _as_text(rng: Random, world: Devnet, name: str) -> Case:
    """The member of the JSON file itself."""
    good = world.members[name]
    der = bytes.fromhex(good)
    texts = (
        "",
        good.upper(),
        "0x" + good,
        good[:-1],
        good[:-2],
        good + "00",
        good + good,
        good[:10] + " " + good[10:],
        good + "\n",
        x509.load_der_x509_crl(der).public_bytes(Encoding.PEM).decode(),
        x509.load_der_x509_crl(der).public_bytes(Encoding.PEM).hex(),
        "garbage",
        "3000",
    )
    text = rng.choice(texts)
    return world.case(f"{name} := {text[:20]}... ({len(text)} characters)", quote(), {name: text})
