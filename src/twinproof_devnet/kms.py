"""A key management service: one secp256k1 root and one CA, from which every app's keys are derived (dstack 5.2, 5.3).

app key   = HKDF-SHA256(root scalar,   salt RATLS, info app_id || "app-key")
app CA    = HKDF-SHA256(CA scalar,     salt RATLS, info app_id || "app-ca"), P-256
GetKey    = HKDF-SHA256(app key,       salt RATLS, info path)
env key   = SHA-256(PKCS#8 of the P-256 key of HKDF-SHA256(CA scalar, salt RATLS, info app_id || "env-encrypt-key"))
chain     = app key signs keccak(purpose ":" hex(public key)); root signs keccak("dstack-kms-issued:" app_id app key)
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey

from twinproof_devnet.boot import KeyProvider
from twinproof_devnet.certificate import Issued, new_key
from twinproof_devnet.instance import KeyAnswer, SignAnswer
from twinproof_devnet.ra_tls import app_ca, kms_root_ca

__all__ = ["AppKeys", "Kms", "derive_key"]

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SECP256K1 = frozenset({"secp256k1", "k256"})
_PREHASHED = "secp256k1_prehashed"
_DIGEST_BYTES = 32


def derive_key(key: bytes, *info: bytes) -> bytes:
    """32 bytes; the parts of `info` are joined without separators."""
    return HKDF(SHA256(), 32, b"RATLS", b"".join(info)).derive(key)


def _scalar_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_numbers().private_value.to_bytes(32, "big")


@dataclass(frozen=True)
class AppKeys:
    """What the KMS released to one app. Every instance and every version of the app gets the same."""

    app_key: bytes
    """secp256k1 scalar, 32 bytes."""
    app_key_signature: bytes
    """65 bytes by the KMS root; empty without a KMS."""
    ca: Issued
    """Signs the app's TLS certificates."""
    issuers: tuple[Issued, ...]
    """Above `ca`: the KMS root CA, or nothing."""

    @classmethod
    def without_kms(cls, at: int) -> AppKeys:
        """Keys that a guest made up for itself: nothing chains to a root."""
        seed = secrets.token_bytes(32)
        return cls(derive_key(seed, b"app-k256-key"), b"", app_ca(None, new_key(), at), ())

    def get_key(self, path: str, purpose: str, algorithm: str) -> KeyAnswer:
        key = derive_key(self.app_key, path.encode())
        public = _public_key(key, algorithm or "secp256k1")
        message = f"{purpose}:{public.hex()}".encode()
        return KeyAnswer(key, (_recoverable(self.app_key, message), self.app_key_signature))

    def public_key(self, algorithm: str) -> bytes:
        return _public_key(self._signing_key, algorithm)

    def sign(self, algorithm: str, data: bytes) -> SignAnswer:
        if algorithm == "ed25519":
            signature = Ed25519PrivateKey.from_private_bytes(self._signing_key).sign(data)
        elif algorithm in _SECP256K1 | {_PREHASHED}:
            digest = data if algorithm == _PREHASHED else hashlib.sha256(data).digest()
            if len(digest) != _DIGEST_BYTES:
                raise ValueError(f"Pre-hashed signing requires a 32-byte digest, but received {len(digest)} bytes")
            signature = PrivateKey(self._signing_key).sign_msg_hash(digest).to_bytes()[:64]
        else:
            raise ValueError("Unsupported algorithm")
        kind = "ed25519" if algorithm == "ed25519" else "secp256k1"
        chain = self.get_key("vms", "signing", kind).signature_chain
        return SignAnswer(signature, (signature, *chain), _public_key(self._signing_key, kind))

    @cached_property
    def _signing_key(self) -> bytes:
        return derive_key(self.app_key, b"vms")


@dataclass(frozen=True)
class Kms:
    """The service itself. Its identity is the CA's public key; apps' key chains end at the secp256k1 root."""

    root: bytes
    """secp256k1 scalar, 32 bytes."""
    ca: Issued
    at: int

    @classmethod
    def create(cls, at: int) -> Kms:
        """With new keys; certificates are valid at `at` (unix seconds)."""
        return cls(PrivateKey(_scalar_bytes(ec.generate_private_key(ec.SECP256K1()))).to_bytes(), kms_root_ca(at), at)

    @property
    def root_public_key(self) -> bytes:
        """33 bytes, SEC1 compressed: what a contract would name."""
        return PrivateKey(self.root).public_key.to_compressed_bytes()

    @property
    def key_provider(self) -> KeyProvider:
        """As guests measure it."""
        spki = self.ca.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return KeyProvider("kms", spki.hex(), hashlib.sha256(b"twinproof devnet KMS").digest())

    def release(self, app_id: bytes) -> AppKeys:
        """The keys of this app."""
        app_key = derive_key(self.root, app_id, b"app-key")
        public = _public_key(app_key, "secp256k1")
        scalar = int.from_bytes(derive_key(_scalar_bytes(self.ca.key), app_id, b"app-ca"), "big")
        ca_key = ec.derive_private_key(scalar % (_P256_ORDER - 1) + 1, ec.SECP256R1())
        signature = _recoverable(self.root, b"dstack-kms-issued:" + app_id + public)
        return AppKeys(app_key, signature, app_ca(self.ca, ca_key, self.at), (self.ca,))

    def env_key(self, app_id: bytes) -> X25519PrivateKey:
        """Decrypts the app's environment: SHA-256 of the PKCS#8 of a P-256 key that is derived from the CA's."""
        scalar = int.from_bytes(derive_key(_scalar_bytes(self.ca.key), app_id, b"env-encrypt-key"), "big")
        key = ec.derive_private_key(scalar % (_P256_ORDER - 1) + 1, ec.SECP256R1())
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return X25519PrivateKey.from_private_bytes(hashlib.sha256(der).digest())

    def env_public_key(self, app_id: bytes) -> tuple[bytes, bytes]:
        """32 bytes to encrypt the environment to, and the root's signature over them, 65 bytes (without a time)."""
        public = self.env_key(app_id).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return public, _recoverable(self.root, b"dstack-env-encrypt-pubkey:" + app_id + public)


def _public_key(key: bytes, algorithm: str) -> bytes:
    if algorithm == "ed25519":
        public = Ed25519PrivateKey.from_private_bytes(key).public_key()
        return public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    if algorithm in _SECP256K1:
        return PrivateKey(key).public_key.to_compressed_bytes()
    raise ValueError("Unsupported algorithm")


def _recoverable(key: bytes, message: bytes) -> bytes:
    """r || s || recovery id (0 or 1), 65 bytes, over the Keccak-256 of the message."""
    return PrivateKey(key).sign_msg_hash(keccak(message)).to_bytes()
