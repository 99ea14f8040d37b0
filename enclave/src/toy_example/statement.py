"""The statement: what this instance says about itself, bound to a quote that answers the caller's nonce.

report_data = SHA-512("toy-example/attestation/v1:" || statement bytes), 64 bytes, so the hardware signs every value.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from toy_example.build_info import BuildInfo
from toy_example.guest_agent import Identity

__all__ = ["ATTESTATION_SCHEMA", "Facts", "report_data", "statement_text"]

ATTESTATION_SCHEMA = "toy-example/attestation/v1"
STATEMENT_SCHEMA = "toy-example/statement/v1"


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that changes from answer to answer. `nonce` is 64 lower-case hex digits, `issued_at` unix seconds."""

    nonce: str
    environment: str
    signup_count: int
    issued_at: int


def canonical(members: dict[str, object]) -> str:
    """One text for one value: sorted members, no white space, ASCII."""
    return json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def statement_text(build: BuildInfo, identity: Identity, facts: Facts) -> str:
    return canonical(
        {
            "schema": STATEMENT_SCHEMA,
            "version": build.version,
            "git_sha": build.git_sha,
            "build_time": build.build_time,
            "app_id": identity.app_id,
            "instance_id": identity.instance_id,
            "compose_hash": identity.compose_hash,
            "environment": facts.environment,
            "eat_nonce": facts.nonce,
            "signup_count": facts.signup_count,
            "issued_at": facts.issued_at,
            "health": "ok",
        }
    )


def report_data(statement: str) -> bytes:
    return hashlib.sha512(f"{ATTESTATION_SCHEMA}:".encode() + statement.encode()).digest()
