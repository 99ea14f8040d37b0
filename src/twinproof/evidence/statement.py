"""The statement of the toy example: what the app says about itself, bound to its quote by report_data."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from twinproof.errors import Malformed
from twinproof.wire import LAST_SECOND, Fields, parse_object, shown, unhex

__all__ = ["DOMAIN", "Statement", "expected_report_data", "parse_statement"]

DOMAIN = b"toy-example/attestation/v1:"
_SCHEMA = "toy-example/statement/v1"
_MEMBERS = {
    "app_id",
    "build_time",
    "compose_hash",
    "eat_nonce",
    "environment",
    "git_sha",
    "health",
    "instance_id",
    "issued_at",
    "schema",
    "signup_count",
    "version",
}
_OPTIONAL = {"tls_spki_sha256"}
_MAX_BYTES = 16 * 1024
_SEMANTIC = r"(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
_COMMIT, _INSTANT = r"[0-9a-f]{40}", r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z"
_HEX, _PLAIN = "[0-9a-fA-F]", r"[ !#-\[\]-~]"  # printable ASCII without quotes and backslashes
_VERSION, _GIT_SHA, _UTC = (re.compile(form, re.ASCII) for form in (_SEMANTIC, _COMMIT, _INSTANT))
_AS_SERVED = re.compile(
    rf'\{{"app_id":"({_HEX}{{40}})","build_time":"({_INSTANT})","compose_hash":"({_HEX}{{64}})"'
    rf',"eat_nonce":"({_HEX}{{64}})","environment":"({_PLAIN}{{0,100}})","git_sha":"({_COMMIT})"'
    rf',"health":"({_PLAIN}{{0,200}})","instance_id":"((?:{_HEX}{{40}})?)","issued_at":(0|[1-9]\d{{0,11}})'
    rf',"schema":"{_SCHEMA}","signup_count":(0|[1-9]\d{{0,17}})(?:,"tls_spki_sha256":"({_HEX}{{64}})")?'
    rf',"version":"({_SEMANTIC})"\}}',
    re.ASCII,
)
"""The form in which the app writes it: compact, members sorted, no escapes. A text that has it is strict JSON."""
_MAX_CHARS = 100


class Statement(NamedTuple):
    """Parsed members. `issued_at` is unix seconds by the CVM's clock; ids and hashes are raw bytes."""

    version: str
    git_sha: str
    build_time: str
    environment: str
    compose_hash: bytes
    app_id: bytes
    instance_id: bytes
    signup_count: int
    health: str
    issued_at: int
    eat_nonce: bytes
    tls_spki_sha256: bytes | None


def expected_report_data(statement: str) -> bytes:
    """report_data (64 bytes) of the quote that signs this statement: SHA-512 over the domain and the exact bytes."""
    return hashlib.sha512(DOMAIN + statement.encode()).digest()


def parse_statement(text: str) -> Statement:
    """Read the statement strictly: exactly the members of its schema. Raises Malformed."""
    return _as_served(text) or _member_by_member(text)


def _as_served(text: str) -> Statement | None:
    """The same in one look, for every instance of a fleet writes its own; None for any text of another form."""
    match = _AS_SERVED.fullmatch(text)
    if match is None:
        return None
    app_id, build_time, compose_hash, nonce, environment, git_sha, health, instance_id, at, count, spki, version = (
        match.groups()
    )
    issued_at, octets = int(at), bytes.fromhex
    if issued_at > LAST_SECOND or len(version) > _MAX_CHARS:
        return None
    return Statement(
        version,
        git_sha,
        build_time,
        environment,
        octets(compose_hash),
        octets(app_id),
        octets(instance_id),
        int(count),
        health,
        issued_at,
        octets(nonce),
        None if spki is None else octets(spki),
    )


def _member_by_member(text: str) -> Statement:
    fields = parse_object(text, "statement", max_bytes=_MAX_BYTES)
    schema = fields.text("schema", max_chars=100)
    if schema != _SCHEMA:
        raise Malformed("unknown statement schema", where="statement.schema", got=shown(schema), expected=_SCHEMA)
    unknown = set(fields.raw) - _MEMBERS - _OPTIONAL
    if unknown:
        raise Malformed("unknown member", where="statement", got=shown(min(unknown), 40))
    instance_id = fields.hex("instance_id", max_size=20)
    if len(instance_id) not in (0, 20):
        raise Malformed("neither 20 bytes nor empty", where="statement.instance_id", got=f"{len(instance_id)} bytes")
    return Statement(
        version=_matching(fields, "version", _VERSION, "a semantic version"),
        git_sha=_matching(fields, "git_sha", _GIT_SHA, "40 lower-case hex digits"),
        build_time=_matching(fields, "build_time", _UTC, "YYYY-MM-DDThh:mm:ssZ"),
        environment=fields.text("environment", max_chars=100),
        compose_hash=fields.hex("compose_hash", size=32),
        app_id=fields.hex("app_id", size=20),
        instance_id=instance_id,
        signup_count=fields.integer("signup_count"),
        health=fields.text("health", max_chars=200),
        issued_at=fields.integer("issued_at", high=LAST_SECOND),
        eat_nonce=fields.hex("eat_nonce", size=32),
        tls_spki_sha256=_optional_digest(fields, "tls_spki_sha256"),
    )


def _matching(fields: Fields, name: str, pattern: re.Pattern[str], expected: str) -> str:
    value = fields.text(name, max_chars=_MAX_CHARS)
    if not pattern.fullmatch(value):
        raise Malformed("wrong form", where=f"statement.{name}", got=shown(value, 40), expected=expected)
    return value


def _optional_digest(fields: Fields, name: str) -> bytes | None:
    text = fields.optional_text(name, max_chars=64)
    return None if text is None else unhex(text, f"statement.{name}", size=32)
