"""What a file says, as structure: every value unverified, and no word that could be taken for a verdict."""

from __future__ import annotations

import hashlib

from twinproof.dcap.certificates import load_certificate
from twinproof.dcap.certification import PCK_CHAIN_PEM
from twinproof.dcap.pem import pem_certificates
from twinproof.dcap.timestamps import iso
from twinproof.dstack.ra_tls import RaTlsEvidence
from twinproof.errors import EvidenceError
from twinproof.evidence.carrier import Carried
from twinproof.evidence.evidence import Evidence
from twinproof.report.layout import paragraph
from twinproof.report.style import PLAIN, Style
from twinproof.tdx.quote import Quote, parse_quote
from twinproof.tdx.report import EnclaveReport, TdExtension, TdReport
from twinproof.wire import shown

__all__ = ["inspect_json", "inspect_text"]

SCHEMA = "twinproof/inspect/v1"
NOTHING_VERIFIED = "unverified: this is what the file says, not what is true"


def inspect_json(evidence: Evidence, carried: Carried) -> dict[str, object]:
    """The structure as JSON-ready values. Raises Malformed for a quote that does not parse."""
    quote = parse_quote(carried.quote)
    structure: dict[str, object] = {
        "schema": SCHEMA,
        "note": NOTHING_VERIFIED,
        "source": evidence.source,
        "origin": evidence.origin.value,
        "quote": {
            "bytes": len(quote.raw),
            "trailing_bytes": len(quote.trailing),
            "version": quote.header.version,
            "tee": quote.tee,
            "certification_type": quote.certification_type,
            "certificates": _certificates(quote),
            "report": _members(quote.report),
            "qe_report": _members(quote.qe_report),
        },
    }
    if carried.event_log is not None:
        structure["events"] = [
            {"imr": event.imr, "event": event.event, "payload": event.payload.hex()}
            for event in carried.event_log.events
        ]
    if carried.ra_tls is not None:
        structure["ra_tls"] = _certificate_claims(carried.ra_tls)
    for name in ("vm_config", "app_compose"):
        if getattr(carried, name) is not None:
            structure[name] = getattr(carried, name)
    if evidence.statement is not None:
        structure["statement"] = evidence.statement
    return structure


def _members(report: TdReport | EnclaveReport | TdExtension) -> dict[str, object]:
    return {name: _plain(value) for name, value in report._asdict().items() if value is not None}


def _plain(value: object) -> object:
    if isinstance(value, TdExtension):
        return _members(value)
    return value.hex() if isinstance(value, bytes) else value


def _certificates(quote: Quote) -> list[str]:
    if quote.certification_type != PCK_CHAIN_PEM:
        return []
    try:
        ders = pem_certificates(quote.certification_data, "PCK chain")
        chain = [load_certificate(der, "certificate") for der in ders]
    except EvidenceError as error:
        return [f"unreadable: {error}"]
    return [f"{shown(c.name)}, {iso(c.not_before)} to {iso(c.not_after)}" for c in chain]


def _certificate_claims(certificate: RaTlsEvidence) -> dict[str, object]:
    claims: dict[str, object] = {"key_sha256": hashlib.sha256(certificate.spki).hexdigest()}
    if certificate.app_id is not None:
        claims["app_id"] = certificate.app_id.hex()
    if certificate.usage is not None:
        claims["usage"] = certificate.usage
    if certificate.app_info is not None:
        claims["app_info"] = certificate.app_info.to_json()
    return claims


def inspect_text(evidence: Evidence, carried: Carried, style: Style = PLAIN) -> str:
    """The same for people."""
    lines = [f"{shown(evidence.source, 200)}: {evidence.origin.value}", f"  {NOTHING_VERIFIED}"]
    structure = inspect_json(evidence, carried)
    _section("", structure, lines, style, skip=frozenset({"schema", "note", "source", "origin", "events"}))
    events = structure.get("events")
    if isinstance(events, list):
        lines.append("  events")
        for event in events:
            name = event["event"] or "(firmware)"
            lines += paragraph(f"RTMR{event['imr']} {name} {event['payload'][:64]}", style, indent="    ")
    return "\n".join(lines) + "\n"


def _section(
    name: str, members: dict[str, object], lines: list[str], style: Style, *, skip: frozenset[str] = frozenset()
) -> None:
    if name:
        lines.append(f"  {name}")
    for key, value in members.items():
        if key in skip:
            continue
        if isinstance(value, dict):
            _section(f"{name}.{key}".lstrip("."), value, lines, style)
        elif isinstance(value, list):
            lines.append(f"    {key}")
            for item in value:
                lines += paragraph(str(item), style, indent="      ")
        else:
            lines += paragraph(f"{key.ljust(18)} {shown(str(value), 2000)}", style, indent="    ")
