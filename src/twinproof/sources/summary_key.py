"""A private key from a file, for signing summaries: PEM, ECDSA P-256 or Ed25519, without a passphrase."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from twinproof.errors import UsageError
from twinproof.sources.files import read_file
from twinproof.wire import shown

__all__ = ["SummaryKey", "read_summary_key"]


@dataclass(frozen=True, slots=True, repr=False)
class SummaryKey:
    """`sign` gives Ed25519's 64 bytes, or ECDSA with SHA-256 in DER; `key_id` is SHA-256 of the SPKI, hex."""

    sign: Callable[[bytes], bytes]
    key_id: str


def read_summary_key(name: str) -> SummaryKey:
    """Raises UsageError naming the file, never showing what is in it."""
    where = f"--sign-key {shown(name)}"
    data = read_file(name, "--sign-key", max_bytes=64 * 1024)
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError("not a private key without a passphrase", where=where, expected="PEM") from error
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key_id = hashlib.sha256(public).hexdigest()
    if isinstance(key, Ed25519PrivateKey):
        return SummaryKey(key.sign, key_id)
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return SummaryKey(lambda message: key.sign(message, ECDSA(SHA256())), key_id)
    raise UsageError("a key of another kind", where=where, expected="ECDSA P-256 or Ed25519")
