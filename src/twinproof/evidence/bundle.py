"""The evidence bundle: one JSON file per instance, holding every byte that was signed or hashed, as it was received.

Schema `twinproof/evidence/v1`. Binary members are lower-case hex, texts are JSON strings of the exact text. Whoever
wrote the file chose its `fetched_at`, `source` and `challenge`: the signed statement inside is what they are held to.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from twinproof.dcap.collateral import Collateral
from twinproof.errors import Malformed
from twinproof.evidence.evidence import Challenge, Evidence, Origin
from twinproof.wire import LAST_SECOND, Fields, parse_object, shown

if TYPE_CHECKING:
    from twinproof.chain.evidence import ChainEvidence

__all__ = ["MAX_BUNDLE_BYTES", "SCHEMA", "bundle_to_json", "parse_bundle", "read_bundle"]

SCHEMA = "twinproof/evidence/v1"
MAX_BUNDLE_BYTES = 16 << 20
_BINARY = ("quote", "attestation", "ra_tls_certificate", "tls_certificate")
_TEXTS = ("event_log", "vm_config", "app_compose", "statement", "guest_info")
_MEMBERS = {"schema", "source", "origin", "fetched_at", "challenge", "collateral", "chain", *_BINARY, *_TEXTS}


def bundle_to_json(evidence: Evidence) -> str:
    """The bundle's text: sorted members, indented, ASCII, one final newline; absent parts are absent members."""
    members: dict[str, object] = {"schema": SCHEMA, "source": evidence.source, "origin": evidence.origin.value}
    for name in _BINARY:
        value = getattr(evidence, name)
        if value is not None:
            members[name] = value.hex()
    for name in _TEXTS:
        value = getattr(evidence, name)
        if value is not None:
            members[name] = value
    if evidence.fetched_at is not None:
        members["fetched_at"] = evidence.fetched_at
    if evidence.challenge is not None:
        challenge = evidence.challenge
        members["challenge"] = {
            "nonce": challenge.nonce.hex(),
            "session": challenge.session.hex(),
            "index": challenge.index,
            "url": challenge.url,
        }
    if evidence.collateral is not None:
        members["collateral"] = evidence.collateral.to_json()
    if evidence.chain is not None:
        members["chain"] = evidence.chain.to_json()
    return json.dumps(members, indent=1, sort_keys=True) + "\n"


def parse_bundle(text: str | bytes) -> Evidence:
    """Read a bundle strictly. Raises Malformed with the member's path."""
    return read_bundle(parse_object(text, "bundle", max_bytes=MAX_BUNDLE_BYTES))


def read_bundle(fields: Fields) -> Evidence:
    """Read a bundle whose JSON was parsed. Raises Malformed with the member's path."""
    schema = fields.text("schema", max_chars=100)
    if schema != SCHEMA:
        raise Malformed("unknown bundle schema", where=f"{fields.where}.schema", got=shown(schema), expected=SCHEMA)
    unknown = set(fields.raw) - _MEMBERS
    if unknown:
        raise Malformed("unknown member", where=fields.where, got=shown(min(unknown), 40))
    origin = fields.text("origin", max_chars=100)
    if origin not in set(Origin):
        raise Malformed("unknown origin", where=f"{fields.where}.origin", got=shown(origin), expected=", ".join(Origin))
    binary = {name: fields.hex(name, max_size=MAX_BUNDLE_BYTES // 2) for name in _BINARY if name in fields}
    texts = {name: fields.text(name, max_chars=MAX_BUNDLE_BYTES) for name in _TEXTS if name in fields}
    carriers = [name for name in ("quote", "attestation", "ra_tls_certificate") if name in binary]
    if len(carriers) != 1:
        raise Malformed(
            "a bundle holds its quote in exactly one member",
            where=fields.where,
            got=", ".join(carriers) or "none",
            expected="one of quote, attestation, ra_tls_certificate",
        )
    return Evidence(
        source=_printable(fields, "source"),
        origin=Origin(origin),
        quote=binary.get("quote"),
        attestation=binary.get("attestation"),
        ra_tls_certificate=binary.get("ra_tls_certificate"),
        tls_certificate=binary.get("tls_certificate"),
        event_log=texts.get("event_log"),
        vm_config=texts.get("vm_config"),
        app_compose=texts.get("app_compose"),
        statement=texts.get("statement"),
        guest_info=texts.get("guest_info"),
        challenge=_challenge(fields.child("challenge")) if "challenge" in fields else None,
        fetched_at=fields.integer("fetched_at", high=LAST_SECOND) if "fetched_at" in fields else None,
        collateral=Collateral.from_fields(fields.child("collateral")) if "collateral" in fields else None,
        chain=_chain(fields.child("chain")) if "chain" in fields else None,
    )


def _chain(fields: Fields) -> ChainEvidence:
    from twinproof.chain.evidence import parse_evidence  # noqa: PLC0415  (most bundles have no such member)

    return parse_evidence(fields)


def _challenge(fields: Fields) -> Challenge:
    return Challenge(
        nonce=fields.hex("nonce", size=32),
        session=fields.hex("session", size=32),
        index=fields.integer("index", high=(1 << 32) - 1),
        url=_printable(fields, "url"),
    )


def _printable(fields: Fields, name: str) -> str:
    """A name that will stand in reports: no control characters, nothing that turns the text around."""
    text = fields.text(name, max_chars=2048)
    if not text.isprintable():
        raise Malformed("not printable", where=f"{fields.where}.{name}", got=shown(text, 40))
    return text
