"""The policy: the statuses, attributes and identities that genuine evidence must also have.

Every weakening of the defaults is listed by `weakenings` and shown in the report.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields

from twinproof.dcap.attributes import AttributeRules
from twinproof.dcap.tcb import TcbStatus

__all__ = ["Machine", "Pins", "Policy"]


@dataclass(frozen=True, slots=True)
class Pins:
    """Expected identities; None leaves the check `not_checked`. Ids and hashes are raw bytes."""

    image: bytes | None = None
    compose_hash: bytes | None = None
    version: str | None = None
    git_sha: str | None = None
    app_id: bytes | None = None
    kms_root: bytes | None = None

    def to_json(self) -> dict[str, str]:
        values = ((item.name, getattr(self, item.name)) for item in fields(self))
        return {name: value.hex() if isinstance(value, bytes) else value for name, value in values if value is not None}


@dataclass(frozen=True, slots=True)
class Machine:
    """A label: where the machine is asked (`url`), where it stands (`region`), which machine it is (`device_id`)."""

    name: str
    region: str = ""
    url: str = ""
    device_id: bytes | None = None

    @property
    def title(self) -> str:
        return f"{self.name} ({self.region})" if self.region else self.name

    def to_json(self) -> dict[str, str]:
        device_id = self.device_id.hex() if self.device_id else ""
        return {"name": self.name, "region": self.region, "url": self.url, "device_id": device_id}


@dataclass(frozen=True, slots=True)
class Policy:
    """The strict default: UpToDate only, no debug, no migration, clocks within five minutes, nothing pinned."""

    accepted_tcb_statuses: frozenset[TcbStatus] = frozenset({TcbStatus.UP_TO_DATE})
    attributes: AttributeRules = field(default_factory=AttributeRules)
    minimum_tcb_evaluation_data_number: int = 0
    max_clock_skew: int = 300
    pins: Pins = field(default_factory=Pins)
    required: frozenset[str] = frozenset()
    machines: tuple[Machine, ...] = ()

    @property
    def weakenings(self) -> tuple[str, ...]:
        """Every way in which this policy accepts more than the default, in words for the report."""
        default = Policy()
        said = [
            f"TCB status {status.value} is accepted"
            for status in sorted(self.accepted_tcb_statuses - default.accepted_tcb_statuses)
        ]
        said += [
            f"attribute rule {item.name.removeprefix('allow_')} is not applied (--allow)"
            for item in fields(self.attributes)
            if getattr(self.attributes, item.name) != getattr(default.attributes, item.name)
        ]
        if self.max_clock_skew > default.max_clock_skew:
            said.append(f"clocks may differ by {self.max_clock_skew} s instead of {default.max_clock_skew} s")
        return tuple(said)

    def to_json(self) -> dict[str, object]:
        return {
            "accepted_tcb_statuses": sorted(status.value for status in self.accepted_tcb_statuses),
            "attributes": {item.name: getattr(self.attributes, item.name) for item in fields(self.attributes)},
            "minimum_tcb_evaluation_data_number": self.minimum_tcb_evaluation_data_number,
            "max_clock_skew": self.max_clock_skew,
            "pins": self.pins.to_json(),
            "required": sorted(self.required),
            "machines": [machine.to_json() for machine in self.machines],
        }

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the policy's canonical JSON: two verdicts with the same digest asked the same questions."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
