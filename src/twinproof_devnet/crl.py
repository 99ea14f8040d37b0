"""Certificate revocation lists from a recipe: every property is a field, so that a test can spoil exactly one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from twinproof_devnet.certificate import Issued, moment
from twinproof_devnet.der import bit_string, oid, sequence

__all__ = ["CrlRecipe", "sign_crl"]

_HOUR, _DAY = 3600, 86_400
_ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2"


@dataclass(frozen=True, slots=True)
class CrlRecipe:
    """What goes into one list. Times are unix seconds; `left_out` holds `cRLNumber`, `authorityKeyIdentifier` or
    `nextUpdate`.
    """

    this_update: int
    next_update: int
    revoked: tuple[int, ...] = ()
    left_out: frozenset[str] = frozenset()
    signed_by: ec.EllipticCurvePrivateKey | None = None
    """None: the issuer's key. Another one spoils the signature."""
    issuer_name: x509.Name | None = None
    authority_key_id: bytes | None = None
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    """Further extensions and whether they are critical."""

    @classmethod
    def around(cls, at: int, days: int, revoked: Iterable[int] = ()) -> CrlRecipe:
        """Issued an hour before `at`, for this many days."""
        return cls(at - _HOUR, at - _HOUR + days * _DAY, tuple(revoked))


def sign_crl(recipe: CrlRecipe, issuer: Issued) -> bytes:
    """The list in DER, signed by its CA."""
    this_update = moment(recipe.this_update)
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=recipe.issuer_name or issuer.certificate.subject,
        last_update=this_update,
        next_update=moment(recipe.next_update),
    )
    own_id = x509.SubjectKeyIdentifier.from_public_key(issuer.certificate.public_key()).digest
    if "cRLNumber" not in recipe.left_out:
        builder = builder.add_extension(x509.CRLNumber(1), critical=False)
    if "authorityKeyIdentifier" not in recipe.left_out:
        authority = x509.AuthorityKeyIdentifier(recipe.authority_key_id or own_id, None, None)
        builder = builder.add_extension(authority, critical=False)
    for extension, critical in recipe.extra:
        builder = builder.add_extension(extension, critical)
    for serial in recipe.revoked:
        entry = x509.RevokedCertificateBuilder(serial, this_update)
        entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    signer = recipe.signed_by or issuer.key
    signed = builder.sign(signer, SHA256())
    if "nextUpdate" in recipe.left_out:
        return _without_next_update(signed, signer)
    return signed.public_bytes(Encoding.DER)


def _without_next_update(crl: x509.CertificateRevocationList, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Sign again without nextUpdate, which the library insists on."""
    if crl.next_update_utc is None:
        raise ValueError("there is no nextUpdate to leave out")
    text = crl.next_update_utc.strftime("%y%m%d%H%M%SZ").encode("ascii")
    time = bytes([0x17, len(text)]) + text
    before, found, after = crl.tbs_certlist_bytes.partition(time)
    if not found or before[1] & 0x80 == 0:
        raise ValueError("not the encoding that was expected")
    content = before[2 + (before[1] & 0x7F) :] + after
    body = sequence(content)
    return sequence(body, sequence(oid(_ECDSA_WITH_SHA256)), bit_string(key.sign(body, ec.ECDSA(SHA256()))))
