"""Prove that Intel TDX confidential VMs run the same, published code.

    from twinproof import Collateral, Verifier, compare

    verifier = Verifier()                                        # Intel's root, strict policy
    verdict = verifier.verify_quote(quote, Collateral.from_json(text), at=1776252513)
    verdict.genuine, verdict.accepted, verdict.tcb_status, verdict.advisory_ids, verdict.checks, verdict.claims

Names are imported when they are first used, so that `import twinproof` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinproof.comparison import Outcome, Proof, compare
    from twinproof.dcap.collateral import Collateral
    from twinproof.dcap.roots import INTEL_SGX_ROOT_CA, TrustRoot
    from twinproof.errors import TwinproofError
    from twinproof.evidence.bundle import parse_bundle
    from twinproof.evidence.evidence import Evidence
    from twinproof.policy import Machine, Pins, Policy
    from twinproof.verdict import Check, Status
    from twinproof.verifier import Verdict, Verifier

__version__ = "0.1.0"

__all__ = [
    "INTEL_SGX_ROOT_CA",
    "Check",
    "Collateral",
    "Evidence",
    "Machine",
    "Outcome",
    "Pins",
    "Policy",
    "Proof",
    "Status",
    "TrustRoot",
    "TwinproofError",
    "Verdict",
    "Verifier",
    "compare",
    "parse_bundle",
]

_HOME = {
    "INTEL_SGX_ROOT_CA": "dcap.roots",
    "Check": "verdict",
    "Collateral": "dcap.collateral",
    "Evidence": "evidence.evidence",
    "Machine": "policy",
    "Outcome": "comparison",
    "Pins": "policy",
    "Policy": "policy",
    "Proof": "comparison",
    "Status": "verdict",
    "TrustRoot": "dcap.roots",
    "TwinproofError": "errors",
    "Verdict": "verifier",
    "Verifier": "verifier",
    "compare": "comparison",
    "parse_bundle": "evidence.bundle",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"twinproof.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
