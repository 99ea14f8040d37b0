"""Ethereum's signatures: which secp256k1 key signed the Keccak-256 of a message.

Recovery comes from eth-keys and Keccak from eth-hash, both optional (`pip install twinproof[chain]`); what is recovered
is then verified by OpenSSL. Signatures are 65 bytes, r || s || recovery id, the id 0 or 1 (not 27 or 28), s in the
lower half of the order: the signer writes no others, and every signature has a twin in the upper half.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twinproof.errors import Forged, Malformed, UsageError
from twinproof.keccak import INSTALL, keccak256

__all__ = ["ORDER", "address_of", "compressed", "compressed_point", "recover", "verify_digest"]

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def recover(signature: bytes, message: bytes, where: str) -> bytes:
    """The public key (33 bytes, compressed) for which this signature of the message holds.

    Almost every signature recovers to some key: only its being a known one proves anything. Raises Malformed for
    signatures of another form, Forged for one that no key could have made, UsageError without eth-keys.
    """
    if len(signature) != 65:
        raise Malformed("not a recoverable signature", where=where, got=f"{len(signature)} bytes", expected="65 bytes")
    recovery_id = signature[64]
    if recovery_id > 1:
        raise Malformed("unknown recovery id", where=where, got=str(recovery_id), expected="0 or 1 (not 27 or 28)")
    _check_scalars(signature[:64], where)
    digest = keccak256(message)
    key = _recovered(signature, digest, where)
    verify_digest(key, signature[:64], digest, where)
    return key


def _recovered(signature: bytes, digest: bytes, where: str) -> bytes:
    try:
        from eth_keys.backends.native.main import NativeECCBackend  # noqa: PLC0415  (an optional dependency)
        from eth_keys.datatypes import Signature  # noqa: PLC0415
        from eth_keys.exceptions import BadSignature  # noqa: PLC0415
    except ImportError as error:
        raise UsageError("eth-keys is not installed", where="secp256k1 recovery", hint=INSTALL) from error
    recoverable = Signature(signature_bytes=signature, backend=NativeECCBackend())
    try:
        return recoverable.recover_public_key_from_msg_hash(digest).to_compressed_bytes()
    except BadSignature as error:
        raise Forged("no key can have made this signature", where=where) from error


def verify_digest(public_key: bytes, signature: bytes, digest: bytes, where: str) -> None:
    """Check r || s (64 bytes) over a 32-byte digest. Raises Malformed for its form, Forged when it does not hold."""
    r, s = _check_scalars(signature, where)
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), compressed_point(public_key, where))
    try:
        key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(SHA256())))
    except InvalidSignature as error:
        raise Forged("the signature does not hold", where=where) from error


def _check_scalars(signature: bytes, where: str) -> tuple[int, int]:
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < ORDER and 0 < s < ORDER):
        raise Malformed("r or s out of range", where=where, expected="1 to the order of the curve")
    if s > ORDER // 2:
        raise Malformed("s in the upper half: a twin that anybody can make of a signature", where=where)
    return r, s


def address_of(public_key: bytes, where: str) -> bytes:
    """The account (20 bytes) of a key: the end of the Keccak-256 of its point. Source: Ethereum yellow paper, 7."""
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), compressed_point(public_key, where))
    return keccak256(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:])[12:]


def compressed(key: ec.EllipticCurvePublicKey) -> bytes:
    """33 bytes, SEC1."""
    return key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def compressed_point(data: bytes, where: str) -> bytes:
    """33 bytes of a point given as 33 (compressed) or 65 (uncompressed). Raises Malformed."""
    if (len(data), data[:1]) not in {(33, b"\x02"), (33, b"\x03"), (65, b"\x04")}:
        raise Malformed(
            "not a public key of secp256k1",
            where=where,
            got=f"{len(data)} bytes starting with {data[:1].hex() or 'nothing'}",
            expected="33 bytes (02 or 03) or 65 bytes (04)",
        )
    try:
        return compressed(ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), data))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Malformed("not a point of secp256k1", where=where) from error
