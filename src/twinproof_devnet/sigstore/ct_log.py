"""A certificate transparency log's promise inside a certificate (RFC 6962, 3.2 and 3.3). It keeps no log."""

from __future__ import annotations

import hashlib
import struct

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID

from twinproof_devnet.der import octet_string

__all__ = ["key_id", "promise"]

_PRE_CERTIFICATE, _SHA256, _ECDSA = 1, 4, 3


def key_id(key: EllipticCurvePrivateKey) -> bytes:
    """SHA-256 of the public key's SPKI: 32 bytes, how logs of both kinds are named."""
    return hashlib.sha256(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def promise(
    unpromised: x509.Certificate, issuer: EllipticCurvePrivateKey, log: EllipticCurvePrivateKey, at: int
) -> x509.UnrecognizedExtension:
    """The extension to append to `unpromised`, the certificate as it is without it."""
    milliseconds = at * 1000
    body = unpromised.tbs_certificate_bytes
    entry = key_id(issuer) + len(body).to_bytes(3, "big") + body
    signed = struct.pack(">BBQH", 0, 0, milliseconds, _PRE_CERTIFICATE) + entry + b"\x00\x00"
    signature = log.sign(signed, ECDSA(SHA256()))
    stamp = struct.pack(">B32sQH", 0, key_id(log), milliseconds, 0)
    stamp += struct.pack(">BBH", _SHA256, _ECDSA, len(signature)) + signature
    stamps = struct.pack(">H", len(stamp)) + stamp
    return x509.UnrecognizedExtension(
        ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS, octet_string(struct.pack(">H", len(stamps)) + stamps)
    )
