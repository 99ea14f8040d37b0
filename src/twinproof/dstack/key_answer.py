"""What the guest agent answers to GetKey and Sign, kept as JSON: a key and the signatures that vouch for it.

    GetKey         {"key": 32 bytes, "signature_chain": [65 bytes, 65 bytes]}
    published      {"public_key": bytes, "signature_chain": [65 bytes, 65 bytes]}    GetKey without its secret
    DeriveK256Key  {"k256_key": 32 bytes, "k256_signature_chain": [...]}             the older name of GetKey
    Sign           {"signature": 64 bytes, "signature_chain": [64, 65, 65 bytes], "public_key": bytes}

Bytes are hex text, with or without 0x, or what `JSON.stringify` makes of the JavaScript client's byte arrays. Nothing
of a secret key is kept, nor shown in an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twinproof.errors import Contradiction, Malformed
from twinproof.secp256k1 import ORDER, compressed, compressed_point
from twinproof.wire import Fields, parse_object, shown, unhex

__all__ = ["MAX_ANSWER_BYTES", "Algorithm", "KeyAnswer", "Method", "parse_key_answer"]

MAX_ANSWER_BYTES = 64 << 10
WHERE = "key answer"
_MEMBERS = frozenset({"key", "k256_key", "public_key", "signature", "signature_chain", "k256_signature_chain"})
_CLIENTS_OWN = frozenset({"__name__"})
_LONGEST = 128


class Algorithm(StrEnum):
    """As in the requests; `k256` is another name of `secp256k1`."""

    SECP256K1 = "secp256k1"
    SECP256K1_PREHASHED = "secp256k1_prehashed"
    ED25519 = "ed25519"

    @property
    def of_key(self) -> Algorithm:
        """What kind of key it needs."""
        return Algorithm.ED25519 if self is Algorithm.ED25519 else Algorithm.SECP256K1


class Method(StrEnum):
    """Which of the agent's methods answers in this form."""

    GET_KEY = "GetKey"
    SIGN = "Sign"


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """A public key and its chain. `public_key` is 33 bytes (SEC1 compressed) or 32 (Ed25519)."""

    method: Method
    algorithm: Algorithm
    """SECP256K1 or ED25519: the kind of key."""
    public_key: bytes
    app_signature: bytes = field(repr=False)
    """65 bytes: by the app key, over purpose and public key."""
    root_signature: bytes = field(repr=False)
    """65 bytes by the KMS root over the app key; empty when no KMS gave the app its key."""
    data_signature: bytes | None = field(default=None, repr=False)
    """64 bytes, of Sign only."""


def parse_key_answer(text: str | bytes, *, algorithm: Algorithm | None = None) -> KeyAnswer:
    """Read one answer strictly. `algorithm` is what GetKey was asked for; its answer does not say (default secp256k1).

    Raises Malformed, Contradiction.
    """
    try:
        fields = parse_object(text, WHERE, max_bytes=MAX_ANSWER_BYTES)
    except Malformed as error:  # what it got may be the beginning of a secret
        raise Malformed(error.what, where=error.where, expected=error.expected, hint=error.hint) from None
    if "error" in fields:
        raise Malformed("the guest agent answered with an error", where=f"{WHERE}.error")
    unknown = set(fields.raw) - _MEMBERS - _CLIENTS_OWN
    if unknown:
        raise Malformed("unknown member", where=WHERE, got=shown(min(unknown), 40))
    chain_name = _only(fields, "signature_chain", "k256_signature_chain")
    chain = [
        _octets(item, f"{WHERE}.{chain_name}[{at}]") for at, item in enumerate(fields.array(chain_name, max_items=8))
    ]
    if "signature" in fields:
        return _sign_answer(fields, chain, chain_name, algorithm)
    if len(chain) != 2:
        raise Malformed(
            "not the chain of a GetKey answer",
            where=f"{WHERE}.{chain_name}",
            got=f"{len(chain)} signatures",
            expected="2, or 3 and a member `signature` (Sign)",
        )
    kind, public_key = _key(fields, algorithm)
    return KeyAnswer(Method.GET_KEY, kind, public_key, *_links(chain, chain_name, 0))


def _sign_answer(fields: Fields, chain: list[bytes], chain_name: str, algorithm: Algorithm | None) -> KeyAnswer:
    where = f"{WHERE}.{chain_name}"
    if len(chain) != 3:
        raise Malformed("not the chain of a Sign answer", where=where, got=f"{len(chain)} signatures", expected="3")
    signature = _octets(fields.raw["signature"], f"{WHERE}.signature", 64)
    if chain[0] != signature:
        raise Contradiction(
            "the chain begins with another signature than the answer's", where=f"{where}[0]", expected="the same"
        )
    kind, public_key = _key(fields, algorithm)
    return KeyAnswer(Method.SIGN, kind, public_key, *_links(chain, chain_name, 1), signature)


def _links(chain: list[bytes], name: str, first: int) -> tuple[bytes, bytes]:
    app, root = chain[first], chain[first + 1]
    for at, signature, sizes in ((first, app, (65,)), (first + 1, root, (65, 0))):
        if len(signature) not in sizes:
            raise Malformed(
                "not a recoverable signature",
                where=f"{WHERE}.{name}[{at}]",
                got=f"{len(signature)} bytes",
                expected="65 bytes: r, s and the recovery id",
            )
    return app, root


def _key(fields: Fields, algorithm: Algorithm | None) -> tuple[Algorithm, bytes]:
    """The public key: given, or the secret's own. Given both, they must be one."""
    wanted = algorithm.of_key if algorithm else None
    given = _public_key(_octets(fields.raw["public_key"], f"{WHERE}.public_key")) if "public_key" in fields else None
    if given is not None and wanted not in {None, given[0]}:
        raise Malformed(
            "a key of another algorithm", where=f"{WHERE}.public_key", got=given[0].value, expected=f"{wanted}"
        )
    if given is not None and "key" not in fields and "k256_key" not in fields:
        return given
    name = _only(fields, "key", "k256_key")
    secret = _octets(fields.raw[name], f"{WHERE}.{name}", 32)
    derived = _of_secret(secret, given[0] if given else wanted or Algorithm.SECP256K1, f"{WHERE}.{name}")
    if given is not None and given != derived:
        raise Contradiction("the public key is not that of the secret key", where=f"{WHERE}.public_key")
    return derived


def _public_key(data: bytes) -> tuple[Algorithm, bytes]:
    """33 or 65 bytes (SEC1) are secp256k1, 32 are Ed25519."""
    if len(data) == 32:
        return Algorithm.ED25519, data
    return Algorithm.SECP256K1, compressed_point(data, f"{WHERE}.public_key")


def _of_secret(secret: bytes, algorithm: Algorithm, where: str) -> tuple[Algorithm, bytes]:
    if algorithm is Algorithm.ED25519:
        public = Ed25519PrivateKey.from_private_bytes(secret).public_key()
        return algorithm, public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    scalar = int.from_bytes(secret, "big")
    if not 0 < scalar < ORDER:
        raise Malformed("not a secret key of secp256k1", where=where)
    return algorithm, compressed(ec.derive_private_key(scalar, ec.SECP256K1()).public_key())


def _only(fields: Fields, name: str, older: str) -> str:
    """The name under which a member stands; both at once would be two stories."""
    if name in fields and older in fields:
        raise Malformed("one thing under two names", where=WHERE, got=f"{name}, {older}")
    if name not in fields and older not in fields:
        raise Malformed("missing member", where=f"{WHERE}.{name}")
    return name if name in fields else older


def _octets(value: object, where: str, size: int | None = None) -> bytes:
    """Bytes in one of the clients' spellings. Errors say lengths and never the value."""
    data = _spelled(value, where)
    if size is not None and len(data) != size:
        raise Malformed("wrong length", where=where, got=f"{len(data)} bytes", expected=f"{size} bytes")
    return data


def _spelled(value: object, where: str) -> bytes:
    if isinstance(value, str):
        try:
            return unhex(value[2:] if value[:2] in {"0x", "0X"} else value, where, max_size=_LONGEST)
        except Malformed as error:
            raise Malformed(error.what, where=where, expected=error.expected) from None
    if isinstance(value, dict) and value.get("type") == "Buffer" and set(value) == {"type", "data"}:
        value = value["data"]  # a Buffer of Node.js
    elif isinstance(value, dict) and list(value) == [str(at) for at in range(len(value))]:
        value = list(value.values())  # a Uint8Array
    if not isinstance(value, list):
        raise Malformed("wrong type", where=where, got=type(value).__name__, expected="hex text")
    numbers = [item for item in value if isinstance(item, int) and not isinstance(item, bool) and 0 <= item <= 0xFF]
    if len(numbers) != len(value) or len(value) > _LONGEST:
        raise Malformed("not an array of bytes", where=where)
    return bytes(numbers)
