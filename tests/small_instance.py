"""Whole instances for tests: hosts of the devnet that sign the quotes of small boots, with statement and collateral.

Everything is honest unless a test replaces a part; `at` is fixed, so that nothing depends on the clock.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cache

from small_boot import APP_ID, COMPOSE, COMPOSE_HASH, INSTANCE_ID, VM_CONFIG, Boot
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import TrustRoot
from twinproof.evidence.evidence import Evidence, Origin
from twinproof.evidence.nonce import challenge_for
from twinproof.policy import Policy
from twinproof.verifier import Verdict, Verifier
from twinproof_devnet import collateral
from twinproof_devnet.host import TdMeasurements, TdxHost
from twinproof_devnet.pki import Pki
from twinproof_devnet.quote import SEPT_VE_DISABLE

__all__ = [
    "AT",
    "SESSION",
    "Instance",
    "devnet_collateral",
    "edited",
    "host",
    "judge",
    "pki",
    "root",
    "statement",
    "twins",
    "verifier",
]

AT = 1_790_000_000
SESSION = bytes(range(32))


@cache
def pki() -> Pki:
    return Pki.create(AT)


@cache
def root() -> TrustRoot:
    return TrustRoot.from_pem_or_der(pki().root.pem.encode())


@cache
def host(name: str) -> TdxHost:
    return TdxHost.create(pki(), AT, name=name)


@cache
def devnet_collateral() -> Collateral:
    return Collateral.from_json(json.dumps(collateral.make(pki(), AT)))


def statement(nonce: bytes, **changes: object) -> str:
    members: dict[str, object] = {
        "app_id": APP_ID.hex(),
        "build_time": "2026-11-23T12:00:00Z",
        "compose_hash": COMPOSE_HASH.hex(),
        "eat_nonce": nonce.hex(),
        "environment": "production",
        "git_sha": "4" * 40,
        "health": "ok",
        "instance_id": INSTANCE_ID.hex(),
        "issued_at": AT,
        "schema": "toy-example/statement/v1",
        "signup_count": 3,
        "version": "1.2.0",
        **changes,
    }
    return json.dumps(members, sort_keys=True, separators=(",", ":"))


@dataclass
class Instance:
    """One instance at `url`, on the machine `machine`; `instance_id` goes into its boot and its statement."""

    machine: str = "prod9"
    index: int = 0
    instance_id: bytes = INSTANCE_ID
    boot: Boot = field(default_factory=Boot)
    said: dict[str, object] = field(default_factory=dict)
    measured: dict[str, bytes] = field(default_factory=dict)
    td_attributes: int = SEPT_VE_DISABLE

    @property
    def url(self) -> str:
        return f"https://{self.machine}-{self.index}.example"

    def evidence(self, *, session: bytes = SESSION, at: int = AT) -> Evidence:
        challenge = challenge_for(session, self.index, self.url)
        boot = self.boot.with_payload("instance-id", self.instance_id)
        text = statement(challenge.nonce, **{"instance_id": self.instance_id.hex(), "issued_at": at, **self.said})
        return Evidence(
            source=self.url,
            origin=Origin.TOY_EXAMPLE,
            quote=self.quote(boot, hashlib.sha512(b"toy-example/attestation/v1:" + text.encode()).digest()),
            event_log=boot.log(digests=False),
            vm_config=VM_CONFIG,
            app_compose=COMPOSE,
            statement=text,
            challenge=challenge,
            fetched_at=at,
            collateral=devnet_collateral(),
        )

    def quote(self, boot: Boot, report_data: bytes) -> bytes:
        report = boot.report
        registers = {
            name: getattr(report, name) for name in ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3", "mr_config_id")
        }
        return host(self.machine).quote(
            TdMeasurements(**{**registers, **self.measured}, td_attributes=self.td_attributes), report_data
        )


def twins() -> tuple[Instance, Instance]:
    """Two machines that run the same: the case in which a proof is complete."""
    return Instance("prod9", 0), Instance("prod7", 1, instance_id=bytes(range(40, 60)))


def verifier(policy: Policy | None = None) -> Verifier:
    return Verifier(roots=(root(),), policy=policy)


def judge(evidence: Evidence, policy: Policy | None = None) -> Verdict:
    return verifier(policy).verify(evidence)


def edited(evidence: Evidence, **changes: object) -> Evidence:
    """The same evidence with some parts replaced, as an attacker on the way would."""
    return replace(evidence, **changes)  # type: ignore[arg-type]
