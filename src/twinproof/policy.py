"""What the reader wanted: the statuses, attributes and identities that genuine evidence must also have.

Nothing here says whether evidence is genuine. A pin that is not set leaves its check `not_checked`; naming it in
`required` turns that into a failure. Every weakening of the defaults is listed by `weakenings` and shown in the report.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields

from twinproof.dcap.attributes import AttributeRules
from twinproof.dcap.tcb import TcbStatus
from twinproof.errors import UsageError
from twinproof.verdict import Question, Step

__all__ = ["PLAN", "REQUIRABLE", "Machine", "Pins", "Policy", "required_ids"]


def _step(name: str, title: str, why: str, source: str = "policy") -> Step:
    return Step(f"policy.{name}", title, why, source, Question.WANTED)


PLAN = (
    _step(
        "tcb_status",
        "Intel's status for this platform's firmware and microcode is accepted",
        "a platform with known holes can be made to sign quotes for anything",
        "Intel DCAP: TCB status",
    ),
    _step(
        "tcb_evaluation",
        "the collateral is from a recent enough TCB recovery",
        "whoever supplies collateral could choose an older set that is still unexpired and knows fewer holes",
        "Intel PCS v4: tcbEvaluationDataNumber",
    ),
    _step(
        "report_attributes",
        "the TD runs without debug, migration and unknown attributes",
        "the host can read and change the memory of a debug TD",
        "Intel TDX Module ABI: TDATTRIBUTES, XFAM",
    ),
    _step(
        "clock",
        "the statement's time agrees with the collector's clock",
        "an old answer, kept with old collateral, could pass for a recent one",
    ),
    _step(
        "machine",
        "the machine is the one its label names",
        "a label such as prod9 is a name in a file; only the device id in the quote tells which machine answered",
        "SHA-256 of the PPID in the PCK certificate",
    ),
    _step("fresh", "the quote answers a nonce chosen in this run", "a recorded quote can be replayed for ever"),
    _step("image", "the OS image is the expected one", "a malicious base image can report any event log it likes"),
    _step("compose_hash", "the compose hash is the expected one", "other code may be running"),
    _step("version", "the version is the expected one", "an old version, or one never released, may be running"),
    _step("git_sha", "the git commit is the expected one", "the version's name may hide another commit"),
    _step("app_id", "the app id is the expected one", "another app's instances may be answering"),
    _step("kms_root", "the key provider is the expected KMS", "a KMS of the host's choice could hand out known keys"),
    _step(
        "chain",
        "the compose hash is allowed on chain",
        "code that was never published in the transparency log may be running",
    ),
)

REQUIRABLE = {step.id.removeprefix("policy."): step.id for step in PLAN}


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
    """A label for a machine: where it is asked (`url`), where it stands (`region`), which machine it is (`device_id`)."""

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
            f"attribute rule {item.name} is on"
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


def required_ids(names: frozenset[str], known: frozenset[str]) -> frozenset[str]:
    """Check ids for the names of `--require`: a policy name (`image`) or a full check id. Raises UsageError."""
    ids = set()
    for name in names:
        step_id = REQUIRABLE.get(name.replace("-", "_"), name)
        if step_id not in known:
            raise UsageError(
                "nothing of this name can be required",
                got=name,
                expected=", ".join(sorted(REQUIRABLE)),
                hint="a full check id, as `--json` prints them, works too",
            )
        ids.add(step_id)
    return frozenset(ids)
