"""Who gave the VM its keys: the payload of the `key-provider` event.

UTF-8 JSON with exactly the members `name` and `id`. `id` is hex text: for `kms` the DER SubjectPublicKeyInfo of the
KMS root CA, for `local-sgx` the 32-byte measurement of the sealing enclave, and empty for `none` and `tpm`.
"""

from __future__ import annotations

from typing import NamedTuple

from twinproof.errors import Malformed
from twinproof.memo import remembered
from twinproof.wire import parse_object, shown, unhex

__all__ = ["KeyProvider", "parse_key_provider"]

MAX_KEY_PROVIDER_BYTES = 4096
_ID_SIZES = {"kms": range(1, 1025), "local-sgx": range(32, 33), "tpm": range(1), "none": range(1)}


class KeyProvider(NamedTuple):
    """`raw` is the exact payload: its SHA-256 is `mr_key_provider`."""

    name: str
    id: str
    raw: bytes

    @property
    def id_bytes(self) -> bytes:
        return bytes.fromhex(self.id)


@remembered
def parse_key_provider(payload: bytes, where: str = "key-provider") -> KeyProvider:
    """Read the payload strictly. Raises Malformed."""
    fields = parse_object(payload, where, max_bytes=MAX_KEY_PROVIDER_BYTES)
    unknown = set(fields.raw) - {"name", "id"}
    if unknown:
        raise Malformed("unknown member", where=where, got=shown(min(unknown), 40))
    name, id_text = fields.text("name", max_chars=64), fields.text("id", max_chars=MAX_KEY_PROVIDER_BYTES)
    if name not in _ID_SIZES:
        raise Malformed("unknown key provider", where=f"{where}.name", got=shown(name), expected=", ".join(_ID_SIZES))
    if len(unhex(id_text, f"{where}.id", max_size=1024)) not in _ID_SIZES[name]:
        raise Malformed(f"not the id of a {name} key provider", where=f"{where}.id", got=f"{len(id_text) // 2} bytes")
    return KeyProvider(name, id_text, payload)
