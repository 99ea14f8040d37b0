"""The inputs: platforms of the devnet, made when they are needed, and quotes that nobody has seen before.

A fresh quote has report data of its own and a new signature; the platform's attestation key, its certificates and the
quoting enclave's report stay as they are, as on real machines.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count

from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import TrustRoot
from twinproof.evidence.evidence import Challenge, Evidence, Origin
from twinproof.evidence.nonce import challenge_for
from twinproof_devnet import collateral
from twinproof_devnet.boot import Boot, KeyProvider
from twinproof_devnet.host import TdMeasurements, TdxHost
from twinproof_devnet.pki import Pki

__all__ = ["AT", "Platform"]

AT = 1_790_000_000
"""2026-09-21, the time at which everything simulated is valid."""
SESSION = bytes(32)
_KMS = KeyProvider("kms", "3059" + "0a" * 89, bytes(32))
_SERIAL = count()


@dataclass(frozen=True, slots=True)
class Platform:
    """One machine under one simulated root, with its collateral."""

    root_der: bytes
    pki: Pki
    host: TdxHost
    collateral_text: str
    boot: Boot

    @classmethod
    def create(cls, name: str = "prod9") -> Platform:
        pki = Pki.create(AT)
        text = json.dumps(collateral.make(pki, AT))
        boot = Boot(key_provider=_KMS)
        return cls(pki.root.der, pki, TdxHost.create(pki, AT, name=name), text, boot)

    @property
    def root(self) -> TrustRoot:
        return TrustRoot.from_pem_or_der(self.root_der)

    def collateral(self) -> Collateral:
        """A new object of the same bytes."""
        return Collateral.from_json(self.collateral_text)

    def quotes(self, number: int) -> list[bytes]:
        """Never the same twice."""
        td = _booted(self.boot).measurements
        return [self.host.quote(td, hashlib.sha512(b"%d" % next(_SERIAL)).digest()) for _ in range(number)]

    def instances(self, number: int, collateral: Collateral, *, other_boots: bool = False) -> list[Evidence]:
        """Fresh answers of one instance; with `other_boots`, each of another instance, with its own event log."""
        boots = [self.boot] * number
        if other_boots:
            seeds = [hashlib.sha256(b"seed %d" % next(_SERIAL)).digest()[:20] for _ in range(number)]
            boots = [replace(self.boot, instance_id_seed=seed) for seed in seeds]
        return [self.answer(boot, collateral) for boot in boots]

    def answer(
        self,
        boot: Boot,
        collateral: Collateral,
        *,
        version: str = "1.2.0",
        at: int = AT,
        challenge: Challenge | None = None,
    ) -> Evidence:
        """Of the toy example in this boot; without a challenge, to one of its own."""
        if challenge is None:
            session = hashlib.sha256(b"session %d" % next(_SERIAL)).digest()
            challenge = challenge_for(session, 0, "https://prod9.example")
        booted = _booted(boot)
        members = {
            "app_id": booted.app_id.hex(),
            "build_time": "2026-09-20T12:00:00Z",
            "compose_hash": booted.compose_hash.hex(),
            "eat_nonce": challenge.nonce.hex(),
            "environment": "production",
            "git_sha": "4" * 40,
            "health": "ok",
            "instance_id": booted.instance_id.hex(),
            "issued_at": at,
            "schema": "toy-example/statement/v1",
            "signup_count": 3,
            "version": version,
        }
        statement = json.dumps(members, sort_keys=True, separators=(",", ":"))
        report_data = hashlib.sha512(b"toy-example/attestation/v1:" + statement.encode()).digest()
        return Evidence(
            source=challenge.url,
            origin=Origin.TOY_EXAMPLE,
            quote=self.host.quote(booted.measurements, report_data),
            event_log=booted.event_log,
            vm_config=booted.vm_config,
            app_compose=boot.app_compose,
            statement=statement,
            challenge=challenge,
            fetched_at=at,
            collateral=collateral,
        )


@dataclass(frozen=True, slots=True)
class _Booted:
    """What follows from a boot: to work it out takes longer than to sign a quote."""

    measurements: TdMeasurements
    event_log: str
    vm_config: str
    app_id: bytes
    compose_hash: bytes
    instance_id: bytes


@lru_cache(maxsize=256)
def _booted(boot: Boot) -> _Booted:
    return _Booted(
        boot.measurements, boot.event_log(), boot.vm_config, boot.effective_app_id, boot.compose_hash, boot.instance_id
    )
