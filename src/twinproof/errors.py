"""Every error twinproof raises, split by what the reader does next.

TwinproofError
├── UsageError            exit 2   fix the command, the configuration or the installation
├── EvidenceError         exit 3   do not trust this evidence
│   ├── Malformed                  the bytes are not what they claim to be
│   └── NotGenuine                 the bytes are well formed, and a proof in them does not hold
│       ├── Forged                 a signature, a hash or a replay does not come out
│       ├── Untrusted              a certificate does not descend from the trust root, or may not do what it did
│       ├── Revoked                Intel has revoked a certificate or the platform's TCB
│       ├── Stale                  outside its validity window, or not an answer to this run's nonce
│       ├── TcbUnknown             Intel's documents hold no level for this platform
│       ├── CollateralMismatch     the collateral is about another platform or another TEE
│       ├── Contradiction          two parts of one evidence disagree
│       └── Disputed               another verifier was asked, and disagrees
├── Refused               exit 4   genuine, but not what was asked for
└── Unavailable           exit 5   could not be obtained; try again or ask elsewhere

An exception that is none of these is a bug (exit 1).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

__all__ = [
    "CollateralMismatch",
    "Contradiction",
    "Disputed",
    "EvidenceError",
    "Forged",
    "Malformed",
    "NotGenuine",
    "Refused",
    "Revoked",
    "Stale",
    "TcbUnknown",
    "TwinproofError",
    "Unavailable",
    "Untrusted",
    "UsageError",
    "worst_exit_code",
]


class TwinproofError(Exception):
    """What, where, got, expected, hint: the text is made of the fields, so a reader and a program see the same.

    `where` names the place inside the thing that was read (`quote byte 48`, `tcbInfo.tcbLevels[3].tcbDate`, a URL);
    `got` and `expected` are short printable values, never whole documents.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", got: str = "", expected: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.got, self.expected, self.hint = what, where, got, expected, hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.got or self.expected:
            found = [f"got {self.got}"] if self.got else []
            wanted = [f"expected {self.expected}"] if self.expected else []
            text += ": " + ", ".join(found + wanted)
        return text


class UsageError(TwinproofError):
    """The command, the configuration or the installation has to change."""

    exit_code = 2


class EvidenceError(TwinproofError):
    """The evidence does not hold."""

    exit_code = 3


class Malformed(EvidenceError):
    """The bytes are not of the format they should have."""


class NotGenuine(EvidenceError):
    """Well-formed bytes whose proof fails."""


class Forged(NotGenuine):
    """A signature, hash or replay does not come out: someone changed something."""


class Untrusted(NotGenuine):
    """A certificate does not descend from the trust root in the required shape."""


class Revoked(NotGenuine):
    """Revoked by Intel: a certificate on a CRL, or a TCB level whose status is Revoked."""


class Stale(NotGenuine):
    """Outside a validity window at the time of verification, or not an answer to the nonce of this run."""


class TcbUnknown(NotGenuine):
    """No TCB level of the collateral covers this platform."""


class CollateralMismatch(NotGenuine):
    """The collateral is for another FMSPC, PCE or TEE."""


class Contradiction(NotGenuine):
    """Two parts of the same evidence cannot both be true."""


class Disputed(NotGenuine):
    """Another verifier was asked too, and its answer is not ours."""


class Refused(TwinproofError):
    """Genuine, but the policy or the comparison wanted something else."""

    exit_code = 4


class Unavailable(TwinproofError):
    """The evidence or the collateral could not be obtained."""

    exit_code = 5


def worst_exit_code(codes: Iterable[int]) -> int:
    """One for many: 3 before 5 before 4, for forged evidence matters more than missing, and missing than different."""
    found = set(codes)
    return next((code for code in (1, 2, 3, 5, 4) if code in found), 0)
