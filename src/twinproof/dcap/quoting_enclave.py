"""The quoting enclave of one platform, as its report describes it, and the key that it made there."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from twinproof.dcap.signatures import load_point
from twinproof.tdx.report import EnclaveReport

__all__ = ["QuotingEnclave"]


class QuotingEnclave:
    """Read from a report whose signature holds. Nothing in it says whether Intel knows this enclave."""

    __slots__ = ("_key", "_xy", "bound", "report")

    def __init__(self, report: EnclaveReport, xy: bytes, auth_data: bytes) -> None:
        """`xy` is the attestation key (64 bytes), which the report should name together with `auth_data`."""
        self.report, self._xy = report, xy
        self.bound = hashlib.sha256(xy + auth_data).digest() + bytes(32)
        """What the report has to hold when the enclave made this key: SHA-256(key || data), and zeros."""
        self._key: EllipticCurvePublicKey | None = None

    def attestation_key(self) -> EllipticCurvePublicKey:
        """Raises Malformed for a point that is not on the curve."""
        if self._key is None:
            self._key = load_point(self._xy, "attestation key")
        return self._key
