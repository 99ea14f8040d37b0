"""What ties the evidence together: whose question the quote answers, and whether its parts say the same.

1. evidence.report_data   the quote signs this statement (or this TLS key)
2. evidence.statement     the statement is of the known form
3. evidence.nonce         it answers the nonce chosen for this instance in this run
4. evidence.agreement     what the app states is what the event log measured
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinproof.errors import Contradiction, Forged, Stale
from twinproof.evidence.evidence import Evidence
from twinproof.evidence.nonce import nonce_for
from twinproof.evidence.statement import DOMAIN, Statement, expected_report_data, parse_statement
from twinproof.ledger import Ledger, Line
from twinproof.verdict import Step

if TYPE_CHECKING:
    from twinproof.dstack.attestation import VersionedAttestation
    from twinproof.dstack.ra_tls import RaTlsEvidence

__all__ = ["PLAN", "check_agreement", "check_binding"]

PLAN = (
    Step(
        "evidence.report_data",
        "the quote signs exactly this statement",
        "a real quote of someone else could be shown beside an invented statement",
        "twinproof evidence binding: report_data = SHA-512(domain || statement)",
    ),
    Step(
        "evidence.statement",
        "the statement is of the known form",
        "a statement that two readers read differently proves two things",
        "toy-example/statement/v1",
    ),
    Step(
        "evidence.nonce",
        "the statement answers the nonce chosen for this instance in this run",
        "a recorded answer can be replayed by a machine that no longer runs this code, or by none at all",
        "RFC 9334 section 10 (freshness by nonce), EAT eat_nonce",
    ),
    Step(
        "evidence.agreement",
        "what the app states about itself is what the event log measured",
        "the table would show values that the hardware never measured",
        "dstack: app-id, compose-hash and instance-id events",
    ),
)

_DOMAIN = DOMAIN.decode()
NO_STATEMENT = "this instance serves no statement of the toy example's form"
NO_CHALLENGE = "no nonce was sent: there is no nonce endpoint, or this is a file without a challenge"


def check_binding(
    evidence: Evidence,
    report_data: bytes,
    ledger: Ledger,
    *,
    attestation: VersionedAttestation | None = None,
    ra_tls: RaTlsEvidence | None = None,
) -> Statement | None:
    """Steps 1-3 over a quote that was already found genuine; None when there is no statement or it does not hold.

    `report_data` is the 64 bytes that the hardware signed; an `attestation` around it may not claim others. Of an
    RA-TLS certificate they have to name the key.
    """
    if ra_tls is not None:
        _check_ra_tls(ra_tls, report_data, ledger)
        return None
    if evidence.statement is None:
        with ledger.line("evidence.report_data") as entry:
            entry.got = report_data.hex()
            entry.not_checked = NO_STATEMENT
            if attestation is not None:
                attestation.check_report_data(report_data)
        ledger.not_checked("evidence.statement", NO_STATEMENT)
        ledger.not_checked("evidence.nonce", NO_CHALLENGE)
        return None
    expected = expected_report_data(evidence.statement)
    text, parts = expected.hex(), (("hashed", ("SHA-512 over ", _DOMAIN, evidence.statement)),)
    if report_data != expected:  # 1
        with ledger.line("evidence.report_data") as entry:
            entry.parts = parts
            raise Forged(
                "the quote does not sign this statement",
                where="report_data",
                got=report_data.hex(),
                expected=text,
                hint="an old quote replayed beside a new statement looks like this",
            )
        return None
    ledger.holds("evidence.report_data", text, text, parts)
    with ledger.line("evidence.statement") as line:  # 2
        parsed = parse_statement(evidence.statement)
        line.step("evidence.nonce")  # 3
        _check_nonce(evidence, parsed, line)
        return parsed
    return None


def _check_nonce(evidence: Evidence, statement: Statement, entry: Line) -> None:
    challenge = evidence.challenge
    if challenge is None:
        entry.not_checked = NO_CHALLENGE
        return
    derived = nonce_for(challenge.session, challenge.index, challenge.url)
    entry.explain(
        "derived", "SHA-256(", challenge.session, f" || {challenge.index:08x} || {challenge.url}) = ", derived
    )
    if challenge.nonce != derived:
        raise Contradiction(
            "the challenge's nonce does not derive from its session",
            where="challenge.nonce",
            got=challenge.nonce.hex(),
            expected=derived.hex(),
        )
    if challenge.url != evidence.source:
        raise Contradiction(
            "the challenge was for another address than this evidence claims to come from",
            where="challenge.url",
            got=challenge.url,
            expected=evidence.source,
        )
    entry.got = entry.expected = derived.hex()
    if statement.eat_nonce != derived:
        raise Stale(
            "the statement answers another nonce: a replay",
            where="statement.eat_nonce",
            got=statement.eat_nonce.hex(),
            expected=derived.hex(),
            hint="the quote is real, but it was made for another question, at another time",
        )


def _check_ra_tls(certificate: RaTlsEvidence, report_data: bytes, ledger: Ledger) -> None:
    ledger.not_checked("evidence.statement", NO_STATEMENT)
    ledger.not_checked("evidence.nonce", NO_CHALLENGE)
    with ledger.line("evidence.report_data") as entry:
        expected = certificate.report_data
        entry.explain("hashed", f"SHA-512 over ratls-cert: and the key {certificate.spki.hex()}")
        entry.got, entry.expected = report_data.hex(), expected.hex()
        if certificate.attestation is not None:
            certificate.attestation.check_report_data(report_data)
        if report_data != expected:
            raise Forged(
                "the quote does not sign this certificate's key",
                where="report_data",
                got=report_data.hex(),
                expected=expected.hex(),
            )


def check_agreement(
    statement: Statement | None,
    *,
    app_id: bytes,
    compose_hash: bytes,
    instance_id: bytes,
    ledger: Ledger,
) -> bool:
    """Step 4, over a replayed event log. False when the statement contradicts it."""
    if statement is None:
        ledger.not_checked("evidence.agreement", NO_STATEMENT)
        return True
    if (statement.compose_hash, statement.app_id, statement.instance_id) == (compose_hash, app_id, instance_id):
        ledger.holds("evidence.agreement")
        return True
    with ledger.line("evidence.agreement"):
        for name, stated, measured in (
            ("compose_hash", statement.compose_hash, compose_hash),
            ("app_id", statement.app_id, app_id),
            ("instance_id", statement.instance_id, instance_id),
        ):
            if stated != measured:
                raise Contradiction(
                    f"the app states another {name} than was measured",
                    where=f"statement.{name}",
                    got=stated.hex() or "empty",
                    expected=measured.hex() or "empty",
                )
    return False
