"""The guest agent's answers as JSON files: GetQuote, Attest, and the older TdxQuote.

    GetQuote   {"quote": hex, "event_log": JSON text, "report_data": hex, "vm_config": JSON text, "attestation"?: hex}
    TdxQuote   {"quote": hex, "event_log": JSON text, "hash_algorithm": text, "prefix": text}
    Attest     {"attestation": hex}

An answer that holds both a quote and an attestation (the simulator's does) must hold the same quote twice.
"""

from __future__ import annotations

from typing import NamedTuple

from twinproof.dstack.attestation import MAX_ATTESTATION_BYTES, MAX_QUOTE_BYTES, parse_versioned_attestation
from twinproof.errors import Contradiction, Malformed
from twinproof.wire import Fields, parse_object, shown

__all__ = ["QuoteAnswer", "parse_quote_answer"]

MAX_ANSWER_BYTES = 32 << 20
WHERE = "GetQuote answer"
_MEMBERS = frozenset({"quote", "event_log", "report_data", "vm_config", "attestation", "hash_algorithm", "prefix"})


class QuoteAnswer(NamedTuple):
    """Exactly one of `quote` and `attestation` is set. Texts are as received; None where the answer has none."""

    quote: bytes | None
    attestation: bytes | None
    event_log: str | None
    vm_config: str | None
    report_data: bytes | None
    """What the answer says was signed, 0 to 64 bytes; only the quote's own are."""


def parse_quote_answer(text: str | bytes) -> QuoteAnswer:
    """Read one answer strictly. Raises Malformed, Contradiction."""
    fields = parse_object(text, WHERE, max_bytes=MAX_ANSWER_BYTES)
    unknown = set(fields.raw) - _MEMBERS
    if unknown:
        raise Malformed("unknown member", where=WHERE, got=shown(min(unknown), 40))
    quote = _bytes(fields, "quote", MAX_QUOTE_BYTES)
    attestation = _bytes(fields, "attestation", MAX_ATTESTATION_BYTES)
    if quote is None and attestation is None:
        raise Malformed("no quote", where=WHERE, expected="a member quote or attestation that is not empty")
    if quote is not None and attestation is not None:
        if parse_versioned_attestation(attestation).quote != quote:
            raise Contradiction("two different quotes in one answer", where=WHERE)
        attestation = None
    return QuoteAnswer(
        quote=quote,
        attestation=attestation,
        event_log=_text(fields, "event_log"),
        vm_config=_text(fields, "vm_config"),
        report_data=_bytes(fields, "report_data", 64),
    )


def _bytes(fields: Fields, name: str, most: int) -> bytes | None:
    """The agent leaves members it has nothing for empty."""
    return (fields.hex(name, max_size=most) or None) if name in fields else None


def _text(fields: Fields, name: str) -> str | None:
    return (fields.text(name, max_chars=MAX_ANSWER_BYTES) or None) if name in fields else None
