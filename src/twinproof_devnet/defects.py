"""One-defect certificates by name: what each changes in an otherwise good recipe."""

from __future__ import annotations

from dataclasses import replace

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA384

from twinproof_devnet.certificate import Change, Recipe, distinguished_name, new_key

__all__ = ["DEFECTS", "EXTENSION_NAMES", "without"]

_YEAR = 365 * 86_400
EXTENSION_NAMES = (
    "authorityKeyIdentifier",
    "cRLDistributionPoints",
    "subjectKeyIdentifier",
    "keyUsage",
    "basicConstraints",
)


def without(extension: str) -> Change:
    """Leave out one of EXTENSION_NAMES."""
    return lambda recipe: replace(recipe, left_out=recipe.left_out | {extension})


def _unknown(critical: bool) -> Change:
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.62397.99"), b"\x05\x00")
    return lambda recipe: replace(recipe, extra=(*recipe.extra, (extension, critical)))


def _rsa_key(recipe: Recipe) -> Recipe:
    return replace(recipe, public_key=rsa.generate_private_key(65537, 2048).public_key())


def _other_usage(recipe: Recipe) -> Recipe:
    """An end entity that may certify, a CA that may only sign data."""
    return replace(
        recipe,
        digital_signature=not recipe.digital_signature,
        key_cert_sign=not recipe.key_cert_sign,
        crl_sign=not recipe.crl_sign,
    )


DEFECTS: dict[str, Change] = {
    "another common name": lambda recipe: replace(recipe, common_name="Intel SGX Attestation Report Signing"),
    "another organisation": lambda recipe: replace(recipe, organisation="Somebody Else"),
    "the CA flag the other way round": lambda recipe: replace(
        recipe, ca=not recipe.ca, path_length=None if recipe.ca else 0
    ),
    "the wrong key usage": _other_usage,
    "expired": lambda recipe: replace(recipe, not_before=recipe.not_before - 30 * _YEAR, not_after=recipe.not_before),
    "not yet valid": lambda recipe: replace(recipe, not_before=recipe.not_after, not_after=recipe.not_after + _YEAR),
    "signed by another key": lambda recipe: replace(recipe, signed_by=new_key()),
    "issued by another name": lambda recipe: replace(recipe, issuer_name=distinguished_name("Another CA")),
    "issued by another key id": lambda recipe: replace(recipe, authority_key_id=bytes(20)),
    "signed with SHA-384": lambda recipe: replace(recipe, hash=SHA384()),
    "a key on P-384": lambda recipe: replace(recipe, public_key=ec.generate_private_key(ec.SECP384R1()).public_key()),
    "an RSA key": _rsa_key,
    "an unknown critical extension": _unknown(critical=True),
    **{f"without {name}": without(name) for name in EXTENSION_NAMES},
}
"""The text says what is wrong. Each is a defect of a PCK CA, a PCK certificate and a TCB Signing certificate alike."""
