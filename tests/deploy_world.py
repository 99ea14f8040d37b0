"""A chain, a cloud, and the toy example's repository with a bare remote: all that a deployment touches, on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from published_schemas import errors, named
from toy_repository import BRANCH, VERSION, ToyRepository, toy_repository
from twinproof_devnet.chain.abi import topic
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.devchain import DevChain
from twinproof_devnet.chain.governance import KmsContract
from twinproof_devnet.cloud.world import CloudWorld

__all__ = ["DeployWorld", "Ran", "deploy_world"]

MACHINES = ("prod9", "prod7")
DEPLOYED = topic("AppDeployedViaFactory(address,address)")
QUICK = ("--poll", "0.2", "--timeout", "10")


@dataclass(frozen=True)
class Ran:
    """One run of the command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        assert list(errors(named(document), document)) == []
        return document

    @property
    def attested(self) -> dict[str, bool]:
        return {machine["name"]: machine["attested"] for machine in self.json["machines"]}


@dataclass
class DeployWorld:
    cloud: CloudWorld
    repository: ToyRepository
    directory: Path
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def chain(self) -> DevChain:
        return self.cloud.contracts.chain

    @property
    def kms(self) -> KmsContract:
        return self.cloud.contracts.kms

    @property
    def owner(self) -> DevAccount:
        return self.cloud.owner

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.repository.environment,
            "PHALA_CLOUD_API_KEY": self.cloud.key,
            "PHALA_CLOUD_API_PREFIX": self.cloud.service.url,
            "DEPLOYER_PRIVATE_KEY": f"0x{self.owner.key.hex()}",
            "CHAIN_RPC": self.chain.url,
            "XDG_STATE_HOME": str(self.directory / "state"),
            "XDG_CACHE_HOME": str(self.directory / "cache"),
            "PYTHONIOENCODING": "utf-8",
        }

    def release(self, version: str, *, allowed_envs: str = "") -> str:
        """Commit, tag and push a version, and build its image; the image's digest."""
        repository = self.repository
        repository.write("enclave/pyproject.toml", f'[project]\nname = "toy"\nversion = "{version}"\n')
        repository.write(VERSION, f'__version__ = "{version}"\n')
        repository.write("twinproof.toml", self.configuration(allowed_envs))
        repository.commit(f"chore(release): v{version}")
        repository.git("tag", "-a", "-m", f"v{version}", f"v{version}")
        repository.git("push", "-q", "--atomic", "origin", BRANCH, f"v{version}")
        return self.build(version)

    def build(self, version: str) -> str:
        """What CI does with a version's tag: its image is in the registry, by its digest."""
        commit = self.repository.git("rev-parse", f"v{version}^{{commit}}")
        built = self.cloud.registry.push(git_sha=commit, build_time="2026-11-01T00:00:00Z", version=version)
        self.digests[version] = built
        return built

    def configuration(self, allowed_envs: str = "") -> str:
        """twinproof.toml of the repository: what is deployed, and the devnet's machines and chain."""
        head = f'release_branch = "{BRANCH}"\n\n[compose]\nfile = "enclave/docker-compose.yml"\n'
        head += 'image = "ghcr.io/example/toy-example"\nname = "toy-example"\n'
        head += f"allowed_envs = [{allowed_envs}]\n" if allowed_envs else ""
        text = self.cloud.config_path.read_text()
        return f"{head}\n" + "\n".join(line for line in text.split("\n") if not line.startswith("rpc = "))

    def command(self, *arguments: str) -> list[str]:
        trust = () if "render" in arguments else ("--trust-root", str(self.cloud.root_path))
        return [sys.executable, "-m", "twinproof", *arguments, *trust]

    def run(self, *arguments: str, **environment: str) -> Ran:
        return self.started(self.command(*arguments), **environment)

    def started(self, command: list[str], **environment: str) -> Ran:
        """Run to its end."""
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=200,
            cwd=self.repository.top,
            env={**self.environment, **environment},
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def deploy(
        self, version: str, *flags: str, machines: tuple[str, ...] = MACHINES, unset: str = "", **environment: str
    ) -> Ran:
        """`twinproof deploy --json` of a version that was released; one variable may be empty."""
        environment |= {unset: ""} if unset else {}
        arguments = ("--tag", f"v{version}", "--image-digest", self.digests[version], "--machines", ",".join(machines))
        return self.run("deploy", "--json", *arguments, *QUICK, *flags, **environment)

    def contracts(self) -> int:
        """How many apps were ever deployed at the KMS."""
        blocks = (self.chain.ledger.block(number) for number in range(self.chain.ledger.head.number + 1))
        receipts = [receipt for block in blocks if block is not None for receipt in block.receipts]
        return sum(log.topics[0] == DEPLOYED for receipt in receipts for log in receipt.logs)


@contextmanager
def deploy_world(directory: Path, machines: tuple[str, ...] = ("prod5", "prod7", "prod9")) -> Iterator[DeployWorld]:
    """Nothing is deployed and no version is released yet."""
    with CloudWorld.start(machines, directory=directory / "cloud") as cloud:
        yield DeployWorld(cloud, toy_repository(directory), directory)
