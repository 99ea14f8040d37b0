"""How much any remote side may send, and how long it may take. One object, so that no reader invents its own."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    total_timeout: float = 30.0
    """One request, from looking up the host to the last byte, redirects included."""
    connect_timeout: float = 10.0
    """One address of a host."""
    max_redirects: int = 3
    attestation: int = 8 << 20
    guest_info: int = 16 << 20
    collateral_part: int = 1 << 20
    """A signed document, or a CRL; as hex text a CRL may be half as large."""
    rpc_answer: int = 32 << 20
    """One JSON-RPC answer: 10,000 logs, which is where providers stop, take about 8 MiB."""
    cloud_answer: int = 4 << 20
    """One answer of a cloud's API; a CVM with its compose file is below 300 KiB."""
    error_body: int = 2048
    """What is read of an answer that is an error: enough for a message."""
