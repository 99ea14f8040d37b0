"""Secrets on their way to an app: encrypted to a key that the KMS's root signed for this app, and to no other.

    key        keccak("dstack-env-encrypt-pubkey:" || app id || BE64(timestamp) || public key), signed by the KMS root;
               the older form has no timestamp
    plaintext  {"env":[{"key":...,"value":...},...]}
    blob       ephemeral X25519 key (32) || IV (12) || AES-256-GCM ciphertext and tag, no associated data; the AES key
               is the raw shared secret

What this gives is secrecy, not authenticity: anyone can encrypt for an app. Source: dstack, docs/encrypted-env-spec.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twinproof.deployments.cloud_answers import EnvKey
from twinproof.errors import Malformed, Stale, Untrusted, UsageError
from twinproof.secp256k1 import compressed_point, recover
from twinproof.wire import shown

__all__ = ["IV_SIZE", "check_env_key", "check_secrets", "parse_env_file", "refuse_own_keys", "seal"]

IV_SIZE = 12
MAX_AGE, MAX_SKEW = 300, 60
"""Seconds: how old a dated signature may be, and how far in the future."""
MAX_VALUE = 64 * 1024
_SHORTEST_KEY = 8
_PREFIX = b"dstack-env-encrypt-pubkey:"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def check_secrets(allowed: Sequence[str], values: Mapping[str, str]) -> dict[str, str]:
    """The value of every allowed name, in order. Raises UsageError naming what is missing or not allowed; no value."""
    odd = [shown(name, 40) for name in allowed if not _NAME.fullmatch(name)]
    if odd:
        raise UsageError(
            "not the name of a variable", where="allowed_envs", got=", ".join(odd), hint="nothing was sent"
        )
    missing = [name for name in allowed if name not in values]
    if missing:
        raise UsageError(
            "secrets without a value",
            got=", ".join(missing),
            expected="an environment variable or a line of --env-file for each of allowed_envs",
            hint="nothing was sent",
        )
    empty = [name for name in allowed if not values[name]]
    if empty:
        raise UsageError("secrets that are empty", got=", ".join(empty), hint="nothing was sent")
    for name in allowed:
        if len(values[name].encode()) > MAX_VALUE or "\0" in values[name]:
            raise UsageError("a secret that cannot be sent", got=name, expected=f"at most {MAX_VALUE} bytes, no NUL")
    return {name: values[name] for name in allowed}


def refuse_own_keys(allowed: Sequence[str], values: Mapping[str, str], own: Mapping[str, str]) -> None:
    """What the deployer signs and logs in with is not the app's, under whatever name: `own` are its variables.

    `values` are those that somebody gave for the app. Whoever may change `allowed_envs` could read these keys there
    otherwise. Raises UsageError; no value.
    """
    taken = [name for name in allowed if name in own and name not in values]
    if taken:
        raise UsageError(
            "the deployer's own keys are not secrets of the app",
            where="allowed_envs",
            got=", ".join(taken),
            hint="nothing was sent; where an app has a secret of this name, --env-file gives its value",
        )
    keys = {_plain(value) for value in own.values() if len(value) >= _SHORTEST_KEY}
    repeated = [name for name in allowed if any(key in _plain(values.get(name, "")) for key in keys)]
    if repeated:
        raise UsageError(
            "a secret that holds one of the deployer's own keys", got=", ".join(repeated), hint="nothing was sent"
        )


def _plain(key: str) -> str:
    return key.strip().lower().removeprefix("0x")


def parse_env_file(text: str, where: str) -> dict[str, str]:
    """NAME=VALUE lines, the value as it is up to the line's end; `#` starts a comment line. Raises UsageError."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")  # noqa: PLW2901
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not _NAME.fullmatch(name.strip()) or name.strip() in found:
            raise UsageError("not NAME=VALUE, or a name twice", where=f"{where} line {number}")
        found[name.strip()] = value
    return found


def check_env_key(key: EnvKey, *, app_id: bytes, kms_root: bytes, at: int) -> None:
    """The KMS root (33 or 65 bytes, secp256k1) signed this key for this app. Raises Untrusted, Stale, Malformed."""
    if not kms_root:
        raise Untrusted("the KMS contract names no root key", where="kmsInfo().k256Pubkey")
    dated = b""
    if key.timestamp is not None:
        if not at - MAX_AGE <= key.timestamp <= at + MAX_SKEW:
            raise Stale(
                "the KMS signed this key at another time",
                where="environment key",
                got=str(key.timestamp),
                expected=f"{at - MAX_AGE} to {at + MAX_SKEW}",
            )
        dated = key.timestamp.to_bytes(8, "big")
    signer = recover(key.signature, _PREFIX + app_id + dated + key.public_key, "environment key signature")
    expected = compressed_point(kms_root, "kmsInfo().k256Pubkey")
    if signer != expected:
        raise Untrusted(
            "the key to encrypt secrets to is not signed by the KMS",
            where=f"app {app_id.hex()}",
            got=signer.hex(),
            expected=expected.hex(),
            hint="whoever made this key reads the secrets: nothing was sent",
        )


def seal(secrets: Mapping[str, str], key: EnvKey, *, ephemeral: bytes, iv: bytes) -> bytes:
    """The blob. `ephemeral` are 32 and `iv` 12 random bytes, never used before. Raises Malformed for a weak key."""
    text = json.dumps(
        {"env": [{"key": name, "value": value} for name, value in secrets.items()]}, separators=(",", ":")
    )
    own = X25519PrivateKey.from_private_bytes(ephemeral)
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(key.public_key))
    except ValueError as error:
        raise Malformed("a key of small order", where="environment key", got=key.public_key.hex()) from error
    public = own.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return public + iv + AESGCM(shared).encrypt(iv, text.encode(), None)
