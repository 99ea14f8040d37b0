"""The signup counter: in memory on purpose. It starts at zero with every start, and each instance has its own."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256K1, derive_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from toy_example.guest_agent import AgentError, Key
from toy_example.statement import canonical

__all__ = ["KEY_PATH", "SignupCounter", "signed_count"]

KEY_PATH = "signup-count"


class SignupCounter:
    """Counts within one process; the event loop is its only caller."""

    def __init__(self) -> None:
        self._count = 0

    @property
    def count(self) -> int:
        return self._count

    def add(self) -> int:
        self._count += 1
        return self._count


def signed_count(count: int, instance_id: str, issued_at: int, key: Key) -> dict[str, object]:
    """The count with a signature that the app's key made, and the KMS's signatures over that key.

    ECDSA over secp256k1 with SHA-256, DER; the public key is compressed (33 bytes). All hex.
    Raises AgentError for 32 bytes that are no private key.
    """
    payload = canonical(
        {"schema": "toy-example/signup-count/v1", "count": count, "instance_id": instance_id, "issued_at": issued_at}
    )
    try:
        private = derive_private_key(int.from_bytes(key.secret, "big"), SECP256K1())
    except ValueError as error:
        raise AgentError("the guest agent's key is not a secp256k1 private key") from error
    return {
        "count": count,
        "instanceId": instance_id,
        "issuedAt": issued_at,
        "payload": payload,
        "signature": private.sign(payload.encode(), ECDSA(SHA256())).hex(),
        "publicKey": private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint).hex(),
        "algorithm": "secp256k1",
        "signatureChain": list(key.signature_chain),
    }
