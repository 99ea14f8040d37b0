"""The evidence that mutations start from: real quotes that both accept, and a devnet whose keys are always the same."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec

from differential.harness import Case
from recorded import cases, collateral_members, quote_bytes
from twinproof.dcap.roots import INTEL_SGX_ROOT_CA, TrustRoot
from twinproof_devnet.certificate import Change, Recipe
from twinproof_devnet.collateral import make
from twinproof_devnet.host import TdMeasurements, TdxHost
from twinproof_devnet.machine import Machine
from twinproof_devnet.pki import Pki

__all__ = ["AT", "REPORT_DATA", "TD", "Devnet", "Real", "devnet", "fixed", "key", "real_cases"]

AT = 1_790_000_000
"""2026-09-21, the time at which everything of the devnet is valid."""
REPORT_DATA = bytes(range(64))
TD = TdMeasurements(rtmr3=bytes([3]) * 48)

REAL = (
    "sgx-v3-00606A000000-2008020f@2025-08-15-eval17",
    "sgx-v3-00606A000000-b7ab1cb4@2023-05-15-eval15",
    "sgx-v3-00A067110000-f8b81014@2023-11-21-eval16",
    "tdx-v4-00806F050000-3c51eae6@2024-12-05-eval17",
    "tdx-v4-20A06F000000-34f9062b@2025-06-14-eval17",
    "tdx-v4-B0C06F000000-f1c85033@2026-10-08-eval20",
    "tdx-v5-90C06F000000-d21a11db@2025-02-26-eval18",
    "tdx-v5-B0C06F000000-fd88575b@2026-10-08-eval20",
)
"""SGX of both PCK CAs; TDX 1.0, 1.5 and 1.5ex; UpToDate, OutOfDate, hardening, relaunch."""


@dataclass(frozen=True, slots=True)
class Real:
    """A real quote with collateral of its time, accepted by both."""

    name: str
    quote: bytes
    members: dict[str, str]
    at: int

    def case(self, what: str, quote: bytes | None = None, members: dict[str, str] | None = None) -> Case:
        text = json.dumps(self.members | members) if members else _text_of(self.name)
        return Case(f"{self.name}: {what}", quote or self.quote, text, self.at, INTEL_SGX_ROOT_CA)


@cache
def real_cases() -> tuple[Real, ...]:
    known = cases()
    return tuple(
        Real(
            name,
            quote_bytes(known[name]["quote"]),
            collateral_members(known[name]["collateral"]),
            known[name]["now"],
        )
        for name in REAL
    )


@cache
def _text_of(name: str) -> str:
    return json.dumps(collateral_members(cases()[name]["collateral"]))


def key(number: int) -> ec.EllipticCurvePrivateKey:
    """Always the same key for a number: a mutation at byte 100 is then the same mutation in every run."""
    return ec.derive_private_key(0x5EED_0000 + number, ec.SECP256R1())


def fixed(number: int, change: Change | None = None) -> Change:
    """A recipe with a known key and serial number; then the change."""

    def apply(recipe: Recipe) -> Recipe:
        known = replace(recipe, key=key(number), serial=0x5E_0000_0000 + number)
        return change(known) if change else known

    return apply


@dataclass(frozen=True, slots=True)
class Devnet:
    """A certificate tree with one machine under it."""

    pki: Pki
    host: TdxHost
    members: dict[str, str]
    sgx_members: dict[str, str]
    text: str
    root: TrustRoot

    @classmethod
    def create(cls, **changes: Change) -> Devnet:
        """`changes` by certificate: root, platform_ca, processor_ca, tcb_signing, pck."""
        names = ("root", "platform_ca", "processor_ca", "tcb_signing")
        pki = Pki.create(AT, **{name: fixed(index, changes.get(name)) for index, name in enumerate(names)})
        machine = TdxHost.create(pki, AT, machine=Machine.named("prod9"), change=fixed(9, changes.get("pck")))
        members = make(pki, AT)
        return cls(
            pki,
            replace(machine, attestation_key=key(10)),
            members,
            make(pki, AT, tee="SGX"),
            json.dumps(members),
            TrustRoot.from_pem_or_der(pki.root.der),
        )

    def quote(self) -> bytes:
        return self.host.quote(TD, REPORT_DATA)

    def case(self, what: str, quote: bytes, members: dict[str, str] | None = None) -> Case:
        text = json.dumps(self.members | members) if members else self.text
        return Case(what, quote, text, AT, self.root)

    def sgx_case(self, what: str, quote: bytes, members: dict[str, str] | None = None) -> Case:
        return Case(what, quote, json.dumps(self.sgx_members | (members or {})), AT, self.root)


@cache
def devnet() -> Devnet:
    return Devnet.create()
