"""What instances answer, read as evidence: the same for a live answer and for one that was kept as a file.

An answer that is none of ours (another JSON document, a web page) is Unavailable: there may be evidence elsewhere.
One that says it is ours and has a defect is Malformed.
"""

from __future__ import annotations

from dataclasses import replace

from twinproof.dstack.guest_info import parse_guest_info
from twinproof.errors import Malformed, Unavailable
from twinproof.evidence.evidence import Evidence, Origin
from twinproof.wire import Fields, parse_object, shown

__all__ = ["SCHEMA", "is_guest_info", "read_attestation", "read_guest_info"]

SCHEMA = "toy-example/attestation/v1"
MAX_QUOTE_BYTES = 64 * 1024
_MEMBERS = {"schema", "quote", "statement", "event_log", "vm_config", "app_compose"}
_INFO_MEMBERS = ("tcb_info", "app_cert", "app_id")


def read_attestation(body: bytes, where: str, source: str) -> Evidence:
    """The answer to GET /attestation?nonce=. Raises Unavailable, Malformed."""
    fields = _json_object(body, where)
    if "quote" not in fields and "schema" not in fields:
        raise Unavailable("JSON without a quote", where=where, got=", ".join(shown(name, 20) for name in fields.raw))
    schema = fields.optional_text("schema", max_chars=100)
    if schema != SCHEMA:
        raise Malformed(
            "an attestation of an unknown form",
            where=f"{where}.schema",
            got="none" if schema is None else shown(schema),
            expected=SCHEMA,
        )
    unknown = set(fields.raw) - _MEMBERS
    if unknown:
        raise Malformed("unknown member", where=where, got=shown(min(unknown), 40))
    most = len(body)
    return Evidence(
        source=source,
        origin=Origin.TOY_EXAMPLE,
        quote=fields.hex("quote", max_size=MAX_QUOTE_BYTES),
        statement=fields.text("statement", max_chars=most),
        event_log=fields.text("event_log", max_chars=most),
        vm_config=fields.text("vm_config", max_chars=most),
        app_compose=fields.text("app_compose", max_chars=most),
    )


def read_guest_info(body: bytes, where: str, source: str) -> Evidence:
    """The answer to Info of a guest agent; its quote is in the certificate in it. Raises Unavailable, Malformed."""
    if not is_guest_info(_json_object(body, where)):
        raise Unavailable("JSON that is not a guest agent's Info", where=where)
    text = body.decode("utf-8")  # it was read as JSON
    try:
        info = parse_guest_info(text)
    except Malformed as error:
        raise Malformed(
            error.what, where=f"{where}: {error.where}", got=error.got, expected=error.expected, hint=error.hint
        ) from error
    if info.app_cert is None:
        raise Unavailable(
            "the guest agent shows no certificate with a quote",
            where=where,
            hint="it answers without one when it cannot reach its KMS, or has none",
        )
    evidence = Evidence(source=source, origin=Origin.GUEST_INFO, ra_tls_certificate=info.app_cert, guest_info=text)
    return evidence if info.vm_config is None else replace(evidence, vm_config=info.vm_config)


def is_guest_info(fields: Fields) -> bool:
    """Whether this is meant to be a guest agent's Info, by members that every version has."""
    return all(name in fields for name in _INFO_MEMBERS) or ("tcb_info" in fields and "quote" not in fields)


def _json_object(body: bytes, where: str) -> Fields:
    start = body.lstrip()[:1]
    if start != b"{":
        what = "an HTML page" if start == b"<" else "nothing" if not start else "no JSON object"
        raise Unavailable(f"{what} instead of an attestation", where=where, got=shown(body[:40].decode("latin-1"), 40))
    return parse_object(body, where, max_bytes=len(body))
