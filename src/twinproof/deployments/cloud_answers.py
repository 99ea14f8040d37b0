"""What Phala Cloud's API answers, read for what a deployment needs. None of it is evidence: it says where to look.

Members that are not used may be there or not; those that are used have their type or the answer is Malformed. Ids and
hashes come with or without `0x`, app ids also with `app_`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from twinproof.errors import Malformed
from twinproof.wire import Fields, shown, unhex

__all__ = [
    "Cvm",
    "EnvKey",
    "KmsInfo",
    "Node",
    "Pending",
    "Provision",
    "read_cvm",
    "read_env_key",
    "read_nodes",
    "read_pending",
    "read_provision",
]

MAX_ITEMS = 1000
_TEXT = 4096
_ADDRESS = re.compile(r"https?://[!-~]+", re.ASCII)
"""Anything else would be the name of a file or of a machine, to those who ask for evidence."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cloud, as the cloud calls it. Newer backends give a node several device ids."""

    number: int
    name: str
    device_ids: tuple[bytes, ...]
    onchain_kms: bool


@dataclass(frozen=True, slots=True)
class KmsInfo:
    """`contract` has 20 bytes; None, as the chain, for a KMS that asks no chain."""

    slug: str
    chain_id: int | None
    contract: bytes | None


@dataclass(frozen=True, slots=True)
class Provision:
    """A first deployment that waits for its commit. `app_id` is None while there is no contract."""

    compose_hash: bytes
    device_id: bytes | None
    app_id: bytes | None
    kms: KmsInfo | None


@dataclass(frozen=True, slots=True)
class Pending:
    """The answer 465: what the chain has to allow before the change can be confirmed."""

    compose_hash: bytes
    device_id: bytes
    app_id: bytes | None
    token: str
    kms: KmsInfo | None


@dataclass(frozen=True, slots=True)
class Cvm:
    """One CVM, in either of the API's shapes; what a shape does not say is empty or None."""

    uuid: str
    name: str
    status: str
    app_id: bytes | None
    node_number: int | None
    node_name: str
    device_id: bytes | None
    compose_hash: bytes | None
    urls: tuple[str, ...]
    kms: KmsInfo | None


@dataclass(frozen=True, slots=True)
class EnvKey:
    """The X25519 key (32 bytes) that an app's environment is encrypted to, and the KMS's signature (65 bytes).

    With a `timestamp` (unix seconds) it is signature_v1; the API leaves both out, and gives the older signature.
    """

    public_key: bytes
    signature: bytes
    timestamp: int | None


def read_nodes(fields: Fields) -> tuple[Node, ...]:
    return tuple(_node(entry) for entry in fields.objects("nodes", max_items=MAX_ITEMS))


def _node(entry: Fields) -> Node:
    known = [_optional_hex(entry, "device_id", 32)]
    if entry.raw.get("device_ids") is not None:
        known += [_optional_hex(item, "device_id", 32) for item in entry.objects("device_ids", max_items=64)]
    return Node(
        number=entry.integer("teepod_id"),
        name=_printable(entry, "name"),
        device_ids=tuple(dict.fromkeys(device for device in known if device)),
        onchain_kms=entry.raw.get("support_onchain_kms") is True,
    )


def read_kms_info(fields: Fields) -> KmsInfo:
    contract = _optional_hex(fields, "kms_contract_address", 20)
    return KmsInfo(
        slug=_optional(fields, "slug") or _optional(fields, "id"),
        chain_id=fields.integer("chain_id") if fields.raw.get("chain_id") is not None else None,
        contract=contract or _optional_hex(fields, "dstack_kms_address", 20),
    )


def read_provision(fields: Fields) -> Provision:
    return Provision(
        compose_hash=_hex(fields, "compose_hash", 32),
        device_id=_optional_hex(fields, "device_id", 32),
        app_id=_optional_hex(fields, "app_id", 20),
        kms=_kms(fields),
    )


def read_pending(fields: Fields) -> Pending:
    """The details of a 465, by field name; at the top, or under `detail`."""
    top = fields.child("detail") if isinstance(fields.raw.get("detail"), dict) else fields
    values: dict[str, object] = {}
    for entry in top.objects("details", max_items=100):
        name = entry.text("field", max_chars=100)
        if name in values:
            raise Malformed("a field told twice", where=f"{top.where}.details", got=shown(name, 40))
        values[name] = entry.raw.get("value")
    details = Fields(values, f"{top.where}.details")
    return Pending(
        compose_hash=_hex(details, "compose_hash", 32),
        device_id=_hex(details, "device_id", 32),
        app_id=_optional_hex(details, "app_id", 20),
        token=_optional(details, "commit_token"),
        kms=_kms(details),
    )


def read_cvm(fields: Fields) -> Cvm:
    node = _child(fields, "node_info") or _child(fields, "teepod")
    number = node.raw.get("id") if node else fields.raw.get("teepod_id")
    endpoints = next((name for name in ("endpoints", "public_urls") if fields.raw.get(name) is not None), None)
    urls = [_optional(entry, "app") for entry in fields.objects(endpoints, max_items=64)] if endpoints else []
    return Cvm(
        uuid=_optional(fields, "vm_uuid"),
        name=_printable(fields, "name"),
        status=_optional(fields, "status"),
        app_id=_optional_hex(fields, "app_id", 20),
        node_number=number if isinstance(number, int) and not isinstance(number, bool) else None,
        node_name=_optional(node, "name") if node else "",
        device_id=_optional_hex(node, "device_id", 32) if node else None,
        compose_hash=_optional_hex(fields, "compose_hash", 32),
        urls=tuple(url.rstrip("/") for url in urls if _ADDRESS.fullmatch(url)),
        kms=_kms(fields),
    )


def read_env_key(fields: Fields) -> EnvKey:
    dated = fields.raw.get("signature_v1") is not None
    return EnvKey(
        public_key=_hex(fields, "public_key", 32),
        signature=_hex(fields, "signature_v1" if dated else "signature", 65),
        timestamp=fields.integer("timestamp") if dated else None,
    )


def _kms(fields: Fields) -> KmsInfo | None:
    child = _child(fields, "kms_info")
    return read_kms_info(child) if child else None


def _child(fields: Fields, name: str) -> Fields | None:
    return fields.child(name) if fields.raw.get(name) is not None else None


def _hex(fields: Fields, name: str, size: int) -> bytes:
    text = fields.text(name, max_chars=_TEXT).strip().lower()
    return unhex(text.removeprefix("app_").removeprefix("0x"), f"{fields.where}.{name}", size=size)


def _optional_hex(fields: Fields, name: str, size: int) -> bytes | None:
    """None for what is absent, null or empty."""
    return _hex(fields, name, size) if fields.raw.get(name) not in (None, "") else None


def _optional(fields: Fields, name: str) -> str:
    return _printable(fields, name) if fields.raw.get(name) is not None else ""


def _printable(fields: Fields, name: str) -> str:
    text = fields.text(name, max_chars=_TEXT)
    if not text.isprintable():
        raise Malformed("not printable", where=f"{fields.where}.{name}", got=shown(text, 40))
    return text
