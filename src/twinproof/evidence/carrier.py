"""Take the quote, and what comes with it, out of whatever it arrived in. Nothing is trusted yet.

Evidence carries its quote in one of three ways: as it is, inside a versioned attestation, or inside an RA-TLS
certificate. The last two bring their own event log. Only one log is used, by every check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from twinproof.dstack.event_log import EventLog, parse_event_log
from twinproof.errors import EvidenceError, Malformed
from twinproof.evidence.evidence import Evidence
from twinproof.ledger import Ledger
from twinproof.verdict import Step

if TYPE_CHECKING:  # loaded with the first evidence of their kind: most brings its quote as it is
    from twinproof.dstack.attestation import VersionedAttestation
    from twinproof.dstack.guest_info import GuestInfo
    from twinproof.dstack.ra_tls import RaTlsEvidence

__all__ = ["PLAN", "Carried", "open_carrier", "quote_of", "unpack"]

PLAN = (
    Step(
        "evidence.carrier",
        "the evidence holds one quote, in a known form",
        "two readers could be shown two different stories in one file",
        "dstack: GetQuote, versioned attestation, RA-TLS certificate",
    ),
)


class Carried(NamedTuple):
    """What was found inside. `attestation` is kept because its envelope repeats the report data."""

    quote: bytes
    event_log: EventLog | None
    vm_config: str | None
    app_compose: str | None
    guest_info: GuestInfo | None
    attestation: VersionedAttestation | None
    ra_tls: RaTlsEvidence | None = None


def quote_of(evidence: Evidence) -> bytes:
    """The quote's bytes, for finding out which collateral it needs. Raises Malformed, Contradiction."""
    return unpack(evidence).quote


def open_carrier(evidence: Evidence, ledger: Ledger) -> Carried | None:
    """Parse the container; None when it is malformed, which is then in the ledger."""
    try:
        carried = unpack(evidence)
    except EvidenceError:
        with ledger.line("evidence.carrier"):
            raise
    else:
        ledger.holds("evidence.carrier")
        return carried
    return None


def unpack(evidence: Evidence) -> Carried:
    """Parse the container. Raises Malformed, Contradiction."""
    info, log_text, app_compose = None, evidence.event_log, evidence.app_compose
    if evidence.guest_info is not None:
        from twinproof.dstack.guest_info import parse_guest_info  # noqa: PLC0415  (as above)

        info = parse_guest_info(evidence.guest_info)
        log_text, app_compose = log_text or info.event_log, app_compose or info.app_compose
    outer = parse_event_log(log_text) if log_text is not None else None
    quote, inner, vm_config, attestation, certificate = evidence.quote, None, evidence.vm_config, None, None
    if evidence.attestation is not None:
        from twinproof.dstack.attestation import parse_versioned_attestation  # noqa: PLC0415

        attestation = parse_versioned_attestation(evidence.attestation)
        quote, inner, vm_config = attestation.quote, attestation.event_log, vm_config or attestation.config or None
    elif evidence.ra_tls_certificate is not None:
        from twinproof.dstack.ra_tls import read_ra_tls_certificate  # noqa: PLC0415

        certificate = read_ra_tls_certificate(evidence.ra_tls_certificate)
        attestation = certificate.attestation
        quote, inner, vm_config = certificate.quote, certificate.event_log, vm_config or certificate.vm_config
    if quote is None:
        raise Malformed("no quote in this evidence", where=evidence.source)
    return Carried(quote, _one_log(outer, inner), vm_config, app_compose, info, attestation, certificate)


def _one_log(outer: EventLog | None, inner: EventLog | None) -> EventLog | None:
    """The log that came with the quote; the one beside it only where it repeats the same runtime events in full.

    The one beside it may be younger than the quote (the app can add events), and the inner one may be stripped of the
    firmware's events, so the choice is for completeness: whichever is chosen has to replay to the quote's registers.
    """
    if outer is None or inner is None:
        return outer or inner
    same = [(e.event, e.payload) for e in outer.runtime] == [(e.event, e.payload) for e in inner.runtime]
    return outer if same else inner
