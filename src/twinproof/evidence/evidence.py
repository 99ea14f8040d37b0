"""Evidence: everything one instance showed, as the exact bytes that were signed or hashed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from twinproof.dcap.collateral import Collateral

if TYPE_CHECKING:  # loaded with the first evidence from a chain: most have none
    from twinproof.chain.evidence import ChainEvidence

__all__ = ["Challenge", "Evidence", "Origin"]


class Origin(StrEnum):
    """Where the bytes come from; it decides what `report_data` should say."""

    TOY_EXAMPLE = "toy-example/attestation/v1"
    """The app's own endpoint: a statement signed for our nonce."""
    GUEST_INFO = "dstack/info"
    """What dstack itself serves on port 8090: no nonce, the quote comes from the RA-TLS certificate in it."""
    RA_TLS = "dstack/ra-tls"
    """The certificate of the TLS connection, or one kept as a file, carries the quote."""
    GET_QUOTE = "dstack/get-quote"
    """A GetQuote answer kept as a file: report_data is whatever its maker asked for."""
    ATTESTATION = "dstack/attestation"
    """A versioned attestation (V0 SCALE, V1 MessagePack), kept as a file."""
    QUOTE = "quote"
    """A bare quote."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """The nonce this instance had to answer, and how it was derived, so that anyone can derive it again.

    nonce = SHA-256(session || u32 big-endian index || url), 32 bytes; `session` is 32 random bytes, one per run.
    """

    nonce: bytes
    session: bytes
    index: int
    url: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one instance showed. Texts are kept exactly as received: their UTF-8 bytes are what was hashed.

    Exactly one of `quote`, `attestation` and `ra_tls_certificate` holds the quote.
    `fetched_at` is the collector's clock (unix seconds, UTC): the time at which this evidence is judged by default.
    """

    source: str
    origin: Origin
    quote: bytes | None = None
    attestation: bytes | None = None
    ra_tls_certificate: bytes | None = None
    event_log: str | None = None
    vm_config: str | None = None
    app_compose: str | None = None
    statement: str | None = None
    guest_info: str | None = None
    tls_certificate: bytes | None = None
    challenge: Challenge | None = None
    fetched_at: int | None = None
    collateral: Collateral | None = None
    chain: ChainEvidence | None = None
    """What a chain said about it; None when none was asked, or none answered."""
    chain_failure: str = ""
    """Why a chain that was asked gave no answer, for the report of this run: it is not kept in the bundle."""
    stored: bool = False
    """Read from a file: source, time and challenge are then the word of whoever made it."""

    def with_collateral(self, collateral: Collateral) -> Evidence:
        return replace(self, collateral=collateral)

    def with_chain(self, chain: ChainEvidence) -> Evidence:
        return replace(self, chain=chain)

    def with_app_compose(self, app_compose: str) -> Evidence:
        return replace(self, app_compose=app_compose)
