"""X.509 certificates from a recipe: every property is a field, so that a test can spoil exactly one."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

__all__ = ["ORGANISATION", "Change", "Issued", "Recipe", "distinguished_name", "issue", "moment", "new_key"]

ORGANISATION = "twinproof devnet, NOT INTEL"
_SERIAL_BYTES = 20


def moment(at: int) -> datetime:
    """Unix seconds as the UTC time that X.509 wants."""
    return datetime.fromtimestamp(at, UTC)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def distinguished_name(common_name: str, organisation: str = ORGANISATION) -> x509.Name:
    """CN, O, L, ST, C in Intel's order, with nothing of Intel's in the last four."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.LOCALITY_NAME, "Loopback"),
            x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "NA"),
            x509.NameAttribute(NameOID.COUNTRY_NAME, "ZZ"),
        ]
    )


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and the private key it is about."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode("ascii")

    @property
    def key_pem(self) -> str:
        """PKCS#8, not encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")

    @property
    def serial(self) -> int:
        return self.certificate.serial_number


@dataclass(frozen=True, slots=True)
class Recipe:
    """What goes into one certificate. Times are unix seconds; `left_out` holds OID names such as `keyUsage`."""

    common_name: str
    not_before: int
    not_after: int
    crl_url: str
    ca: bool = False
    path_length: int | None = None
    digital_signature: bool = False
    key_cert_sign: bool = False
    crl_sign: bool = False
    organisation: str = ORGANISATION
    left_out: frozenset[str] = frozenset()
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    """Further extensions and whether they are critical."""
    serial: int | None = None
    """None: 20 random bytes."""
    key: ec.EllipticCurvePrivateKey | None = None
    """None: a new one."""
    public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | None = None
    """None: that of `key`. Another one spoils the certificate."""
    signed_by: ec.EllipticCurvePrivateKey | None = None
    """None: the issuer's key. Another one spoils the signature."""
    issuer_name: x509.Name | None = None
    authority_key_id: bytes | None = None
    hash: SHA256 | SHA384 = field(default_factory=SHA256)


Change = Callable[[Recipe], Recipe]
"""Spoils one property of a certificate; `defects` has the usual ones."""


def issue(recipe: Recipe, issuer: Issued | None = None, change: Change | None = None) -> Issued:
    """Sign a certificate; self-signed without an issuer."""
    if change is not None:
        recipe = change(recipe)
    key = recipe.key or new_key()
    recipe = replace(recipe, key=key)
    subject = distinguished_name(recipe.common_name, recipe.organisation)
    issuer_name = recipe.issuer_name or (issuer.certificate.subject if issuer else subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(recipe.public_key or key.public_key())
        .serial_number(recipe.serial or int.from_bytes(secrets.token_bytes(_SERIAL_BYTES), "big") >> 1)
        .not_valid_before(moment(recipe.not_before))
        .not_valid_after(moment(recipe.not_after))
    )
    for name, extension, critical in _extensions(recipe, issuer, key):
        if name not in recipe.left_out:
            builder = builder.add_extension(extension, critical)
    for extension, critical in recipe.extra:
        builder = builder.add_extension(extension, critical)
    signer = recipe.signed_by or (issuer.key if issuer else key)
    return Issued(builder.sign(signer, recipe.hash), key)


def _extensions(
    recipe: Recipe, issuer: Issued | None, key: ec.EllipticCurvePrivateKey
) -> list[tuple[str, x509.ExtensionType, bool]]:
    """The five of every Intel certificate, in their order."""
    own = x509.SubjectKeyIdentifier.from_public_key(recipe.public_key or key.public_key())
    authority = recipe.authority_key_id or _key_id(issuer) or own.digest
    location = x509.DistributionPoint([x509.UniformResourceIdentifier(recipe.crl_url)], None, None, None)
    usage = x509.KeyUsage(
        digital_signature=recipe.digital_signature,
        content_commitment=recipe.digital_signature,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=recipe.key_cert_sign,
        crl_sign=recipe.crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
    return [
        ("authorityKeyIdentifier", x509.AuthorityKeyIdentifier(authority, None, None), False),
        ("cRLDistributionPoints", x509.CRLDistributionPoints([location]), False),
        ("subjectKeyIdentifier", own, False),
        ("keyUsage", usage, True),
        ("basicConstraints", x509.BasicConstraints(ca=recipe.ca, path_length=recipe.path_length), True),
    ]


def _key_id(issuer: Issued | None) -> bytes | None:
    """The issuer's own key id, as its certificate states it."""
    if issuer is None:
        return None
    return x509.SubjectKeyIdentifier.from_public_key(issuer.certificate.public_key()).digest
