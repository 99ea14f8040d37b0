"""MR_CONFIG_ID: 48 bytes the host sets at launch, and the guest refuses to boot with if they contradict what it sees.

    all zero                                            not used
    compose_hash || 16 zero bytes                       guests of 0.5.1, without a version byte
    01 || compose_hash || 15 zero bytes                 V1
    02 || keccak256(compose_hash || app_id || kind || key_provider_id) || 15 zero bytes            V2
    03 || SHA-256("dstack-mr-config-v3:" || 00 || document) || 15 zero bytes                       V3

V3's document is the `mr_config` text of the VM's sys-config; it is hashed as it is and names what the guest checks.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from twinproof.dstack.known_boots import Deployment
from twinproof.errors import Contradiction, Forged, Malformed
from twinproof.keccak import INSTALL, has_keccak, keccak256
from twinproof.wire import Fields, parse_object, shown

__all__ = ["NO_DOCUMENT", "MrConfigId", "check_v2", "check_v3_document", "read_mr_config_id"]

NO_KECCAK = (
    f"MR_CONFIG_ID is of version 2 (Keccak-256), which is recomputed where eth-hash is installed ({INSTALL});"
    " the event log was replayed instead"
)
OTHER_APP_ID = (
    "MR_CONFIG_ID is of version 2, over the app id given when deploying; without a KMS a guest before 0.6 measures"
    " another one, so the two cannot be compared"
)
NO_DOCUMENT = "MR_CONFIG_ID is of version 3, and its document (mr_config of the sys-config) is not in this evidence"
_V3_DOMAIN = b"dstack-mr-config-v3:\x00"
_V3_MEMBERS = frozenset(
    {
        "app_id",
        "compose_hash",
        "gpu_policy_hash",
        "init_script_hashes",
        "instance_id",
        "key_provider",
        "key_provider_id",
        "version",
    }
)
_V2_KINDS = {"none": 0, "local-sgx": 1, "kms": 2, "tpm": 3}
_EVENT_NAME_OF_KIND = {"none": "none", "local": "local-sgx", "kms": "kms", "tpm": "tpm"}


@dataclass(frozen=True, slots=True)
class MrConfigId:
    """`form` is `unused`, `0.5.1`, `V1`, `V2` or `V3`; `digest` the 32 bytes it commits to (empty when unused)."""

    form: str
    digest: bytes


def read_mr_config_id(value: bytes, compose_hash: bytes | None) -> MrConfigId:
    """Tell the form. The one of 0.5.1 has no marker: it is told by being the compose hash.

    Raises Malformed for no known form, or for bytes 33..47 of a versioned form that are not zero.
    """
    if not any(value):
        return MrConfigId("unused", b"")
    if compose_hash is not None and value == compose_hash + bytes(16):
        return MrConfigId("0.5.1", compose_hash)
    version = value[0]
    if version not in (1, 2, 3):
        raise Malformed(
            "MR_CONFIG_ID of no known form, and not this compose hash",
            where="MR_CONFIG_ID",
            got=value.hex(),
            expected="zero, the compose hash, or a first byte of 1, 2 or 3",
        )
    if any(value[33:]):
        raise Malformed("reserved bytes 33..47 are not zero", where="MR_CONFIG_ID", got=value.hex())
    return MrConfigId(f"V{version}", value[1:33])


def check_v2(digest: bytes, boot: Deployment) -> str:
    """The digest is over what was measured, or why that cannot be told. Raises Contradiction."""
    if not has_keccak():
        return NO_KECCAK
    kind, provider = bytes([_V2_KINDS[boot.key_provider.name]]), boot.key_provider.id_bytes
    measured = keccak256(boot.compose_hash + boot.app_id + kind + provider)
    if measured == digest:
        return ""
    if boot.key_provider.name != "kms" and boot.app_id == boot.compose_hash[: len(boot.app_id)]:
        return OTHER_APP_ID
    raise Contradiction(
        "MR_CONFIG_ID names another compose file, app id or key provider than was measured",
        where="MR_CONFIG_ID",
        got=digest.hex(),
        expected=measured.hex(),
    )


def check_v3_document(digest: bytes, document: str, boot: Deployment) -> None:
    """The document is the one committed to, and says what was measured. Raises Forged, Malformed, Contradiction."""
    hashed = hashlib.sha256(_V3_DOMAIN + document.encode()).digest()
    if hashed != digest:
        raise Forged(
            "not the document that MR_CONFIG_ID commits to", where="mr_config", got=hashed.hex(), expected=digest.hex()
        )
    _check_content(parse_object(document, "mr_config", max_bytes=1 << 16), boot)


def _check_content(fields: Fields, boot: Deployment) -> None:
    unknown = set(fields.raw) - _V3_MEMBERS
    if unknown:
        raise Malformed("unknown member", where="mr_config", got=shown(min(unknown), 40))
    if fields.integer("version") != 3:
        raise Malformed("not version 3", where="mr_config.version", got=str(fields.integer("version")))
    for name, measured in (
        ("compose_hash", boot.compose_hash),
        ("app_id", boot.app_id),
        ("instance_id", boot.instance_id),
        ("gpu_policy_hash", boot.gpu_policy_hash),
    ):
        if measured is not None and (name == "compose_hash" or name in fields):
            _must_equal(fields, name, measured)
    if "init_script_hashes" in fields:
        hashes = tuple(text.lower() for text in fields.texts("init_script_hashes", max_items=64, max_chars=64))
        if hashes != tuple(value.hex() for value in boot.init_script_hashes):
            raise Contradiction("other init scripts than were measured", where="mr_config.init_script_hashes")
    kind = fields.text("key_provider", max_chars=64)
    if _EVENT_NAME_OF_KIND.get(kind) != boot.key_provider.name:
        raise Contradiction(
            "another key provider than was measured",
            where="mr_config.key_provider",
            got=shown(kind),
            expected=boot.key_provider.name,
        )
    if "key_provider_id" in fields and fields.text("key_provider_id"):
        _must_equal(fields, "key_provider_id", boot.key_provider.id_bytes)


def _must_equal(fields: Fields, name: str, measured: bytes) -> None:
    value = fields.hex(name, max_size=1024)
    if value != measured:
        raise Contradiction(
            f"another {name} than was measured",
            where=f"{fields.where}.{name}",
            got=value.hex(),
            expected=measured.hex(),
        )
