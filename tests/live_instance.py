"""One instance of the simulated world, asked just now, and what a record is made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from deployment_records import AT, mined
from twinproof.cli.collect import collect
from twinproof.cli.main import build_parser
from twinproof.cli.settings import read_settings
from twinproof.deployments.anchor import Mined
from twinproof.deployments.check import assess
from twinproof.deployments.facts import Chain, Release, deployed
from twinproof.deployments.proof import bundle_digest, proof_digest
from twinproof.deployments.record import Record
from twinproof.evidence.bundle import bundle_to_json, parse_bundle
from twinproof.evidence.evidence import Evidence
from twinproof.release.versions import Version
from twinproof.verifier import Verdict, Verifier
from twinproof_devnet.world import World

__all__ = ["CHAIN_ID", "Live", "live_instance"]

CHAIN_ID = 31337


@dataclass(frozen=True)
class Live:
    """One instance of the simulated world, asked just now; `stored` judges its bundle again."""

    verdict: Verdict
    bundle: bytes
    verifier: Verifier

    @property
    def release(self) -> Release:
        statement = self.verdict.claims.statement
        assert statement is not None
        version = Version.parse(statement.version, "statement")
        return Release(version, statement.git_sha, statement.compose_hash, "100-1")

    @property
    def app_id(self) -> bytes:
        assert self.verdict.claims.software is not None
        return self.verdict.claims.software.app_id

    @property
    def mined(self) -> Mined:
        return mined(self.app_id, bytes(32), self.release.compose_hash)

    @property
    def proof(self) -> bytes:
        return proof_digest([bundle_digest(self.bundle)])

    def record(self, **changed: Any) -> Record:
        arguments: dict[str, Any] = {
            "verdict": self.verdict,
            "mined": self.mined,
            "release": self.release,
            "chain": Chain(CHAIN_ID, self.app_id),
        } | changed
        return deployed(**arguments, bundle=bundle_digest(self.bundle), proof=self.proof, at=AT)

    def findings(self, record: Record) -> list[str]:
        stored = self.verifier.verify(parse_bundle(self.bundle))
        assessment = assess(
            record, mined=self.mined, verdict=stored, bundle=bundle_digest(self.bundle), proof=self.proof
        )
        assert not assessment.unchecked
        return [finding.fact for finding in assessment.findings]


@contextmanager
def live_instance() -> Iterator[Live]:
    """prod9 answered; the world ends with the block."""
    with World.start(("prod9",)) as world:
        flags = ["--trust-root", str(world.root_path), "--config", str(world.config_path), "--no-cache"]
        arguments = build_parser().parse_args(["verify", "prod9", *flags])
        settings = read_settings(arguments)
        evidence = collect(["prod9"], settings, arguments)[0].result
        assert isinstance(evidence, Evidence)
        verifier = Verifier(roots=settings.roots, policy=settings.policy)
        yield Live(verifier.verify(evidence), bundle_to_json(evidence).encode(), verifier)
