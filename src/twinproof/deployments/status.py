"""One machine from three sides: what it attests, what the chain allows, what was recorded. Do they agree?"""

from __future__ import annotations

from collections.abc import Iterator
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
    def attested_device(self) -> bytes | None:
        if isinstance(self.verdict, TwinproofError) or self.verdict.claims.platform is None:
            return None
        return self.verdict.claims.platform.device_id

    @property
    def recorded_hash(self) -> bytes | None:
        return self.record.attested.compose_hash if self.record and self.record.attested else None

    @property
    def problems(self) -> tuple[tuple[str, int], ...]:
        """What does not agree or is not known, with its exit code; nothing when all three sides say the same."""
        return (*self._attested_wrong(), *self._not_allowed(), *self._recorded_wrong())

    def _attested_wrong(self) -> Iterator[tuple[str, int]]:
        if isinstance(self.verdict, TwinproofError):
            yield f"nothing attested: {self.verdict}", self.verdict.exit_code
        elif not self.verdict.accepted or self.attested_hash is None:
            failures = ", ".join(check.id for check in self.verdict.failures) or "not everything was shown"
            yield f"not accepted: {failures}", self.verdict.exit_code or 4
        elif not self.verdict.fresh:
            yield "not an answer to a fresh nonce", 4
        device = self.attested_device
        if device is not None and device != self.machine.device_id:
            yield f"another machine answers at its address: {device.hex()}", 4

    def _not_allowed(self) -> Iterator[tuple[str, int]]:
        for what, allowed in (("compose hash", self.hash_allowed), ("device", self.device_allowed)):
            if isinstance(allowed, TwinproofError):
                yield f"whether the chain allows the {what} is not known: {allowed}", allowed.exit_code
            elif allowed is None:
                yield f"whether the chain allows the {what} was not asked", 5
            elif not allowed:
                yield f"the chain does not allow the {what}", 4

    def _recorded_wrong(self) -> Iterator[tuple[str, int]]:
        if self.record is None or self.record.attested is None:
            yield "no deployment is recorded", 4
            return
        recorded = self.record.attested
        if self.attested_hash not in (None, recorded.compose_hash):
            yield f"another compose hash is recorded: {recorded.compose_hash.hex()}", 4
        if recorded.device_id != self.machine.device_id:
            yield f"its record is of another machine's device id: {recorded.device_id.hex()}", 4

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
