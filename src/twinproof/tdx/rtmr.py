"""Runtime measurement registers: a register only ever moves forward, by hashing the next digest onto itself.

Source: Intel TDX Module ABI, TDG.MR.RTMR.EXTEND. Registers and digests have 48 bytes (SHA-384).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from twinproof.errors import Malformed

__all__ = ["REGISTER_SIZE", "ZERO_REGISTER", "extend", "replay"]

REGISTER_SIZE = 48
ZERO_REGISTER = bytes(REGISTER_SIZE)


def extend(register: bytes, digest: bytes) -> bytes:
    """The register after one more digest: SHA-384(register || digest). Raises Malformed for any other size.

    A shorter digest is refused, not padded: padding an empty one is how a replay comes out wrong without a word.
    """
    for name, value in (("register", register), ("digest", digest)):
        if len(value) != REGISTER_SIZE:
            raise Malformed(
                f"wrong {name} length", where="rtmr", got=f"{len(value)} bytes", expected=f"{REGISTER_SIZE} bytes"
            )
    return hashlib.sha384(register + digest).digest()


def replay(digests: Iterable[bytes]) -> bytes:
    """The register after these digests, from all zero. Raises Malformed when a digest has not 48 bytes."""
    register, sha384 = ZERO_REGISTER, hashlib.sha384
    for digest in digests:
        register = sha384(register + digest).digest() if len(digest) == REGISTER_SIZE else extend(register, digest)
    return register
