"""Why do RTMR0, RTMR1 or RTMR2 differ between two instances? The first event that drifted, and both declared shapes.

RTMR0 may differ: it holds the VM's memory and devices. RTMR1 and RTMR2 may not; then this says what to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinproof.dstack.drift import Drift, first_drift
from twinproof.dstack.event_log import EventLog
from twinproof.dstack.vm_config import VmConfig, parse_vm_config
from twinproof.errors import EvidenceError
from twinproof.evidence import carrier
from twinproof.verifier import Verdict
from twinproof.wire import shown

__all__ = ["RegisterDrift", "register_drifts"]

REGISTERS = ("rtmr0", "rtmr1", "rtmr2")
_REPLAYED = "dstack.rtmr0_2_replay"


@dataclass(frozen=True, slots=True)
class RegisterDrift:
    """Two instances by name, the register in which they differ, and what their logs and hosts say about it."""

    register: str
    first: str
    other: str
    drift: Drift | None
    """None where a log is missing, stripped, or does not lead to its registers."""
    shapes: tuple[str, str]

    @property
    def where(self) -> str:
        """The event in a few words."""
        return str(self.drift) if self.drift else "no complete event log says which event differs"

    @property
    def declared(self) -> str:
        """The shapes that the hosts declare in vm_config, in words."""
        one, two = self.shapes
        if one == two:
            return f"both declare {one}"
        return f"{self.first} declares {one}; {self.other} declares {two}"

    def to_json(self) -> dict[str, object]:
        event = {"index": self.drift.index, "name": self.drift.event} if self.drift else None
        return {
            "register": self.register,
            "instances": [self.first, self.other],
            "event": event,
            "varies_with": self.drift.varies_with if self.drift else None,
            "declared_shapes": list(self.shapes),
        }


def register_drifts(verdicts: Sequence[Verdict]) -> dict[str, RegisterDrift]:
    """By register, between the first instance and the first that differs from it; equal registers are left out."""
    found: dict[str, RegisterDrift] = {}
    for register in REGISTERS:
        for other in verdicts[1:]:
            ours, theirs = verdicts[0].claims.registers, other.claims.registers
            if ours and theirs and getattr(ours, register) != getattr(theirs, register):
                found[register] = _between(register, verdicts[0], other)
                break
    return found


def _between(register: str, first: Verdict, other: Verdict) -> RegisterDrift:
    (log, vm), (other_log, other_vm) = _read(first), _read(other)
    return RegisterDrift(
        register=register.upper(),
        first=first.name,
        other=other.name,
        drift=first_drift(REGISTERS.index(register), log, other_log) if log and other_log else None,
        shapes=(_shape(vm), _shape(other_vm)),
    )


def _read(verdict: Verdict) -> tuple[EventLog | None, VmConfig | None]:
    """The log, if it led to the registers, and the declared shape. Claims keep neither, so the evidence is opened."""
    try:
        carried = carrier.unpack(verdict.evidence)
        vm = parse_vm_config(carried.vm_config) if carried.vm_config else None
    except EvidenceError:
        return None, None
    return carried.event_log if verdict.check(_REPLAYED).passed else None, vm


def _shape(vm: VmConfig | None) -> str:
    return shown(vm.shape, 120) if vm else "no shape"
