"""One confidential VM as the cloud keeps it: what was asked for, what the API says of it, and what really runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from threading import Lock

from twinproof_devnet.cloud.node import Node
from twinproof_devnet.running_instance import RunningInstance

__all__ = ["Cvm", "Proposal", "Resources", "Revision", "Status", "hash_of"]


def hash_of(text: str) -> str:
    """The compose hash of a text, 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Resources:
    """`memory` is in MB, `disk` in GB."""

    instance_type: str = "tdx.small"
    vcpu: int = 1
    memory: int = 2048
    disk: int = 20


@dataclass(frozen=True, slots=True)
class Proposal:
    """An app-compose text that waits for the chain. `expires` is in unix seconds."""

    text: str
    encrypted_env: bytes | None
    """None: as before."""
    token: str
    expires: int
    node: Node
    name: str
    resources: Resources = field(default_factory=Resources)

    @property
    def compose_hash(self) -> str:
        return hash_of(self.text)


@dataclass(frozen=True, slots=True)
class Revision:
    """One text that was deployed to one CVM."""

    number: str
    text: str
    created_at: str
    operation: str

    @property
    def compose_hash(self) -> str:
        return hash_of(self.text)


@dataclass(frozen=True, slots=True)
class Status:
    """What the API says. `doing` is the operation in progress; empty: none."""

    name: str = "running"
    doing: str = ""
    error: str = ""
    correlation_id: str = ""


@dataclass(slots=True, eq=False)
class Cvm:
    """`text` is what should run; `instance.vm` is what booted last."""

    number: int
    uuid: str
    name: str
    app_id: bytes
    node: Node
    instance: RunningInstance
    text: str
    encrypted_env: bytes
    resources: Resources
    created_at: str
    seed: bytes
    """On the VM's disk: the instance id is made of it, and it stays through updates."""
    deployer: bytes = b""
    status: Status = field(default_factory=lambda: Status("creating", "create"))
    proposals: dict[str, Proposal] = field(default_factory=dict)
    revisions: list[Revision] = field(default_factory=list)
    booting: Lock = field(default_factory=Lock)
    """Held while the machine starts or stops this VM."""

    @property
    def compose_hash(self) -> str:
        return hash_of(self.text)

    @property
    def instance_id(self) -> bytes:
        """20 bytes."""
        return hashlib.sha256(self.seed + self.app_id).digest()[:20]
