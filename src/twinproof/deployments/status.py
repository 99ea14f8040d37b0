"""One machine from three sides: what it attests, what the chain allows, what was recorded. Do they agree?"""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.deployments.record import Record
from twinproof.errors import TwinproofError, worst_exit_code
from twinproof.policy import Machine
from twinproof.verifier import Verdict

__all__ = ["MachineStatus"]


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """`allowed` is whether the chain lets the attested hash boot now, and why that could not be asked otherwise."""

    machine: Machine
    verdict: Verdict | TwinproofError
    hash_allowed: bool | TwinproofError | None
    device_allowed: bool | TwinproofError | None
    record: Record | None
    """The Active one of this machine."""

    @property
    def attested_hash(self) -> bytes | None:
        if isinstance(self.verdict, TwinproofError) or self.verdict.claims.software is None:
            return None
        return self.verdict.claims.software.compose_hash

    @property
    def recorded_hash(self) -> bytes | None:
        return self.record.attested.compose_hash if self.record and self.record.attested else None

    @property
    def problems(self) -> tuple[tuple[str, int], ...]:
        """What does not agree or is not known, with its exit code; nothing when all three sides say the same."""
        found: list[tuple[str, int]] = []
        if isinstance(self.verdict, TwinproofError):
            found.append((f"nothing attested: {self.verdict}", self.verdict.exit_code))
        elif not self.verdict.accepted or self.attested_hash is None:
            failures = ", ".join(check.id for check in self.verdict.failures) or "not everything was shown"
            found.append((f"not accepted: {failures}", self.verdict.exit_code or 4))
        elif not self.verdict.fresh:
            found.append(("not an answer to a fresh nonce", 4))
        for what, allowed in (("compose hash", self.hash_allowed), ("device", self.device_allowed)):
            if isinstance(allowed, TwinproofError):
                found.append((f"whether the chain allows the {what} is not known: {allowed}", allowed.exit_code))
            elif allowed is None:
                found.append((f"whether the chain allows the {what} was not asked", 5))
            elif not allowed:
                found.append((f"the chain does not allow the {what}", 4))
        if self.recorded_hash is None:
            found.append(("no deployment is recorded", 4))
        elif self.attested_hash is not None and self.attested_hash != self.recorded_hash:
            found.append((f"another compose hash is recorded: {self.recorded_hash.hex()}", 4))
        return tuple(found)

    @property
    def exit_code(self) -> int:
        return worst_exit_code(code for _, code in self.problems)

    def to_json(self) -> dict[str, object]:
        def flag(value: bool | TwinproofError | None) -> bool | None:
            return value if isinstance(value, bool) else None

        return {
            "machine": self.machine.name,
            "attested_compose_hash": self.attested_hash.hex() if self.attested_hash else None,
            "compose_hash_allowed": flag(self.hash_allowed),
            "device_allowed": flag(self.device_allowed),
            "recorded_compose_hash": self.recorded_hash.hex() if self.recorded_hash else None,
            "recorded_version": str(self.record.version) if self.record else None,
            "problems": [text for text, _ in self.problems],
        }
