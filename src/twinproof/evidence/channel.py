"""Whose key is at the other end of the TLS connection, as far as the quote says; never that a session is bound.

1. evidence.ra_tls_claims   what an RA-TLS certificate says beside its quote is what the quote measured
2. evidence.tls_key         the TLS key seen is the one that the quote names

A quote can name a TLS key in two ways: through the statement that it signs (`tls_spki_sha256`), or by its report_data
(RA-TLS). Either says that the attested code calls this key its own. That this connection ended there is known only
where the certificate that this tool saw has that very key; that later connections do, somebody has to look.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from twinproof.dstack.verify import DstackAppraisal
from twinproof.errors import Contradiction, Malformed
from twinproof.evidence.evidence import Evidence, Origin
from twinproof.evidence.statement import Statement
from twinproof.ledger import Ledger
from twinproof.tdx.report import TdReport
from twinproof.verdict import Step
from twinproof.wire import shown

if TYPE_CHECKING:
    from twinproof.dstack.ra_tls import RaTlsEvidence

__all__ = [
    "NO_RA_TLS",
    "PLAN",
    "ChannelBinding",
    "attested_tls_key",
    "channel_binding",
    "check_ra_tls_claims",
    "check_tls_key",
]

NO_RA_TLS = "no RA-TLS certificate in this evidence"
PLAN = (
    Step(
        "evidence.ra_tls_claims",
        "what the RA-TLS certificate says beside its quote is what the quote measured",
        "a certificate that names one app could carry the quote of another",
        "dstack ra-tls: extensions app id and app info",
    ),
    Step(
        "evidence.tls_key",
        "the TLS key seen on this connection is the one that the quote names",
        "someone between you and the instance can read and change what the app later answers",
        "RFC 9334 section 7.4; SHA-256 of the certificate's SubjectPublicKeyInfo",
    ),
)


class ChannelBinding(StrEnum):
    """What was proved about the connection over which the instance was asked."""

    NO_TLS = "none (no TLS)"
    NONE = "none"
    STATEMENT = "certificate hash in the statement"
    REPORT_DATA = "SPKI in report_data"
    RA_TLS = "RA-TLS"

    @property
    def meaning(self) -> str:
        """One sentence for the report."""
        return _MEANINGS[self]


_KEY_OF_THE_TEE = "the attested code calls this key its own; no session is bound, and later connections have to show it"
_MEANINGS = {
    ChannelBinding.NO_TLS: "no TLS certificate was seen: the quote says nothing about the way on which it came",
    ChannelBinding.NONE: "the certificate that this tool saw has a key that no quote names, such as a gateway's",
    ChannelBinding.STATEMENT: "the signed statement holds the hash of the public key in the certificate that this tool "
    f"saw: {_KEY_OF_THE_TEE}",
    ChannelBinding.REPORT_DATA: "the quote was made over the public key in the certificate that this tool saw: "
    f"{_KEY_OF_THE_TEE}",
    ChannelBinding.RA_TLS: "the certificate that this tool saw carries the quote over its own public key: "
    f"{_KEY_OF_THE_TEE}",
}


def channel_binding(evidence: Evidence, attested_key: bytes | None, *, tls_key_passed: bool) -> ChannelBinding:
    """From what passed: `evidence.tls_key`, and the claim of an attested key (SHA-256 of its SPKI)."""
    seen = evidence.tls_certificate
    if seen is None or evidence.source.startswith("http://"):
        return ChannelBinding.NO_TLS
    if attested_key is None or not tls_key_passed:
        return ChannelBinding.NONE
    if evidence.ra_tls_certificate is None:
        return ChannelBinding.STATEMENT
    return ChannelBinding.RA_TLS if seen == evidence.ra_tls_certificate else ChannelBinding.REPORT_DATA


def attested_tls_key(certificate: RaTlsEvidence | None, statement: Statement | None, ledger: Ledger) -> bytes | None:
    """SHA-256 of the SubjectPublicKeyInfo that the quote names, after `evidence.report_data`; None without one."""
    if not ledger.passed("evidence.report_data"):
        return None
    if certificate is not None:
        return hashlib.sha256(certificate.spki).digest()
    return statement.tls_spki_sha256 if statement is not None else None


def check_ra_tls_claims(
    certificate: RaTlsEvidence | None,
    report: TdReport,
    measured: DstackAppraisal,
    *,
    device_id: bytes,
    ledger: Ledger,
) -> bool:
    """Step 1, over a replayed event log. False when the certificate contradicts it."""
    if certificate is None:
        ledger.not_checked("evidence.ra_tls_claims", NO_RA_TLS)
        return True
    with ledger.line("evidence.ra_tls_claims") as entry:
        if certificate.usage is not None:
            entry.explain("usage", shown(certificate.usage, 64))
        image = measured.vm_config.os_image_hash if measured.vm_config else None
        from twinproof.dstack.ra_tls_claims import compare_ra_tls_claims  # noqa: PLC0415  (most evidence has none)

        compared = compare_ra_tls_claims(certificate, report, measured.boot, device_id=device_id, declared_image=image)
        entry.explain("compared", ", ".join(compared))
        if not compared:
            entry.not_checked = "the certificate names neither an app id nor app info"
        return True
    return False


def check_tls_key(
    evidence: Evidence, certificate: RaTlsEvidence | None, statement: Statement | None, ledger: Ledger
) -> None:
    """Step 2: only as far as it was shown; it never says that later connections are bound."""
    step_id = "evidence.tls_key"
    if ledger.failed("evidence."):
        return  # what the quote did not bind names no key
    named = attested_tls_key(certificate, statement, ledger)
    if named is None:
        ledger.not_checked(step_id, "the evidence names no TLS key (a gateway or plain HTTP ends the connection)")
        return
    if evidence.tls_certificate is None:
        ledger.not_checked(step_id, "no TLS certificate was seen: the answer came over plain HTTP or from a file")
        return
    with ledger.line(step_id) as entry:
        spki = spki_of(evidence.tls_certificate, "TLS certificate")
        seen = hashlib.sha256(spki).digest()
        entry.got, entry.expected = seen.hex(), named.hex()
        if seen == named:
            return
        if certificate is not None and evidence.origin is not Origin.RA_TLS:
            entry.not_checked = "the connection ended at another key than the RA-TLS certificate's, such as a gateway's"
            return
        where = "RA-TLS certificate" if certificate is not None else "statement.tls_spki_sha256"
        raise Contradiction(
            "the TLS key seen is not the one that the quote names: someone ends TLS between you and the instance",
            where=where,
            got=seen.hex(),
            expected=named.hex(),
        )


def spki_of(certificate: bytes, where: str) -> bytes:
    """DER SubjectPublicKeyInfo of a DER certificate. Raises Malformed."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415  (loads SSH)

    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm, Warning) as error:
        raise Malformed("not an X.509 certificate", where=where) from error
