"""ECDSA P-256 with SHA-256 over raw r || s and x || y, as quotes and Intel's JSON documents carry them."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from twinproof.errors import Forged, Malformed

__all__ = ["check_signature", "load_point"]

_ALGORITHM = ECDSA(Prehashed(SHA256()))
_CURVE = SECP256R1()


def load_point(xy: bytes, what: str) -> EllipticCurvePublicKey:
    """A key from x || y (64 bytes). Raises Malformed for a point that is not on the curve."""
    try:
        return EllipticCurvePublicKey.from_encoded_point(_CURVE, b"\x04" + xy)
    except ValueError as error:
        raise Malformed(f"the {what} is not a point of P-256", got=xy[:8].hex() + "...") from error


def check_signature(key: EllipticCurvePublicKey, signature: bytes, message: bytes, what: str) -> bytes:
    """`signature` is r || s (64 bytes); returns the SHA-256 that it signs.

    Raises Forged; r or s of zero or out of range never verifies.
    """
    digest = hashlib.sha256(message).digest()
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        key.verify(encode_dss_signature(r, s), digest, _ALGORITHM)
    except InvalidSignature as error:
        raise Forged(f"the signature of the {what} does not verify", where=what) from error
    return digest
