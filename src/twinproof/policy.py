"""The policy: the statuses, attributes and identities that genuine evidence must also have.

Every weakening of the default is listed by `weakenings` and shown in the report; the digest stands in every verdict.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import NamedTuple

from twinproof.chain.trusted import TrustedChain
from twinproof.dcap.attributes import AttributeRules
from twinproof.dcap.tcb import TcbStatus
from twinproof.dstack.os_image import OsImage

__all__ = ["DAY", "PROFILES", "Machine", "Pins", "Policy"]

DAY = 86400


class Pins(NamedTuple):
    """Expected identities; None leaves the check `not_checked`. Ids and hashes are raw bytes."""

    image: bytes | None = None
    compose_hash: bytes | None = None
    version: str | None = None
    git_sha: str | None = None
    app_id: bytes | None = None
    kms_root: bytes | None = None
    kms_contract: bytes | None = None
    chain_id: int | None = None

    def to_json(self) -> dict[str, str]:
        return {
            name: value.hex() if isinstance(value, bytes) else str(value)
            for name, value in self._asdict().items()
            if value is not None
        }


class Machine(NamedTuple):
    """A label: where the machine is asked (`url`), where it stands (`region`), which machine it is (`device_id`)."""

    name: str
    region: str = ""
    url: str = ""
    device_id: bytes | None = None

    @property
    def title(self) -> str:
        return f"{self.name} ({self.region})" if self.region else self.name

    @property
    def labels(self) -> tuple[str, str]:
        """What this machine is called in reports."""
        return self.name, self.title

    def to_json(self) -> dict[str, str]:
        device_id = self.device_id.hex() if self.device_id else ""
        return {"name": self.name, "region": self.region, "url": self.url, "device_id": device_id}


@dataclass(frozen=True, slots=True)
class Policy:
    """The default is the profile `strict`: UpToDate only, no debug, no migration, clocks within five minutes.

    Times are seconds. A limit of None is not applied, and its check says so. Advisory names are upper case.
    """

    profile: str = "strict"
    accepted_tcb_statuses: frozenset[TcbStatus] = frozenset({TcbStatus.UP_TO_DATE})
    platform_grace: int = 0
    """How long after its TCB date an out-of-date platform or TDX module is still accepted."""
    qe_grace: int = 0
    """The same for the quoting enclave."""
    refused_advisories: frozenset[str] = frozenset()
    tolerated_advisories: frozenset[str] | None = None
    """When set, an advisory outside it is refused."""
    minimum_tcb_evaluation_data_number: int = 0
    max_collateral_age: int | None = None
    attributes: AttributeRules = field(default_factory=AttributeRules)
    images: tuple[OsImage, ...] = ()
    allow_dev_images: bool = False
    kms_roots: tuple[bytes, ...] = ()
    max_clock_skew: int = 300
    max_statement_age: int | None = None
    chain: TrustedChain = field(default_factory=TrustedChain)
    pins: Pins = field(default_factory=Pins)
    required: frozenset[str] = frozenset()
    machines: tuple[Machine, ...] = ()

    @property
    def allowed_images(self) -> tuple[OsImage, ...]:
        """The images that may run: the list, or of it only the one that is pinned."""
        if self.pins.image is None:
            return self.images
        listed = tuple(image for image in self.images if image.hash == self.pins.image)
        return listed or (OsImage(self.pins.image, "pinned", dev=False),)

    @property
    def allowed_kms_roots(self) -> tuple[bytes, ...]:
        return self.kms_roots if self.pins.kms_root is None else (self.pins.kms_root,)

    @property
    def trusted_chain(self) -> TrustedChain:
        """The chain and the KMS contract that are believed: the pinned ones where they are pinned."""
        pins = self.pins
        return self.chain._replace(
            chain_id=self.chain.chain_id if pins.chain_id is None else pins.chain_id,
            kms=self.chain.kms if pins.kms_contract is None else pins.kms_contract,
        )

    @property
    def weakenings(self) -> tuple[str, ...]:
        """Every way in which this policy accepts more than the default, in words for the report."""
        default = Policy()
        said = (
            [] if self.profile == default.profile else [f"the profile is {self.profile} instead of {default.profile}"]
        )
        said += [
            f"TCB status {status.value} is accepted"
            for status in sorted(self.accepted_tcb_statuses - default.accepted_tcb_statuses)
        ]
        for name, seconds in (("platform", self.platform_grace), ("quoting enclave", self.qe_grace)):
            if seconds:
                said.append(f"an out-of-date {name} is accepted for {seconds // DAY} days after its TCB date")
        if self.attributes.allow_any:
            said.append("report attributes are not judged: debug TDs pass")
        else:
            said += [
                f"attribute rule {name.removeprefix('allow_')} is not applied"
                for name, rule in self.attributes._asdict().items()
                if rule != getattr(default.attributes, name)
            ]
        if self.allow_dev_images:
            said.append("development images are accepted")
        if self.max_clock_skew > default.max_clock_skew:
            said.append(f"clocks may differ by {self.max_clock_skew} s instead of {default.max_clock_skew} s")
        if self.chain.endpoints < default.chain.endpoints:
            said.append("the word of one endpoint is enough for a block of the chain")
        if self.chain.max_age > default.chain.max_age:
            said.append(f"a block of the chain may be {self.chain.max_age} s old instead of {default.chain.max_age} s")
        return tuple(said)

    def to_json(self) -> dict[str, object]:
        tolerated = self.tolerated_advisories
        return {
            "profile": self.profile,
            "accepted_tcb_statuses": sorted(status.value for status in self.accepted_tcb_statuses),
            "platform_grace": self.platform_grace,
            "qe_grace": self.qe_grace,
            "refused_advisories": sorted(self.refused_advisories),
            "tolerated_advisories": None if tolerated is None else sorted(tolerated),
            "minimum_tcb_evaluation_data_number": self.minimum_tcb_evaluation_data_number,
            "max_collateral_age": self.max_collateral_age,
            "attributes": self.attributes._asdict(),
            "images": [image.to_json() for image in self.images],
            "allow_dev_images": self.allow_dev_images,
            "kms_roots": [root.hex() for root in self.kms_roots],
            "max_clock_skew": self.max_clock_skew,
            "max_statement_age": self.max_statement_age,
            "chain": self.trusted_chain.to_json(),
            "pins": self.pins.to_json(),
            "required": sorted(self.required),
            "machines": [machine.to_json() for machine in self.machines],
        }

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the policy's canonical JSON: two verdicts with the same digest asked the same questions."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


PROFILES = {
    "strict": Policy(),
    "intel": Policy(
        profile="intel",
        accepted_tcb_statuses=frozenset(TcbStatus) - {TcbStatus.REVOKED},
        attributes=AttributeRules(allow_any=True),
    ),
}
"""`intel` wants no more than Intel's library does: any status but Revoked, any attributes. What makes a quote genuine
(signatures, revocation, windows) is the same under every profile."""
