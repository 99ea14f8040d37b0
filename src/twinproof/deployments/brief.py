"""What is deployed, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from twinproof.deployments.facts import Release
from twinproof.policy import Machine

__all__ = ["Brief"]


@dataclass(frozen=True, slots=True)
class Brief:
    """`document` is the app-compose text as an object, `secrets` go in encrypted."""

    release: Release
    name: str
    document: Mapping[str, object]
    machines: tuple[Machine, ...]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    instance_type: str = "tdx.small"
    os_image: str | None = None
