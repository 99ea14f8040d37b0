"""What a deployment is going to do, complete and judged before anything is signed or changed.

The service composes the app-compose text by itself and answers with its hash. What is signed is our own hash of our own
text: where the two differ, on any machine, there is no deployment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from twinproof.deployments.cloud_answers import Cvm, KmsInfo, Node
from twinproof.deployments.facts import Release
from twinproof.errors import Refused, Unavailable, UsageError
from twinproof.policy import Machine
from twinproof.wire import shown

__all__ = [
    "Action",
    "Plan",
    "Proposal",
    "Target",
    "check_kms",
    "check_proposal",
    "existing_cvm",
    "node_of",
    "plan_lines",
    "require_machines_apart",
]


class Action(StrEnum):
    """What happens to one machine's CVM. Nothing is ever deleted."""

    CREATE = "create the first instance"
    REPLICATE = "add an instance"
    UPDATE = "update in place"
    START = "has it, and is off: start it"
    KEEP = "runs it already, as the service says"


_OFF = frozenset({"error", "failed", "stopped", "exited", "shutdown"})
"""Statuses in which a CVM with the right text will not come up by itself."""


@dataclass(frozen=True, slots=True)
class Target:
    """One machine: the label, the node that has its device id, and its CVM of this app if there is one."""

    machine: Machine
    device_id: bytes
    node: Node
    cvm: Cvm | None

    @property
    def name(self) -> str:
        return self.machine.name

    def action(self, compose_hash: bytes, *, first: bool) -> Action:
        """What it takes to have this hash here; `first` when the app has no instance at all."""
        if self.cvm is None:
            return Action.CREATE if first else Action.REPLICATE
        if self.cvm.compose_hash != compose_hash:
            return Action.UPDATE
        return Action.START if self.cvm.status.lower() in _OFF else Action.KEEP


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the service answered for a target: the hash it would run, and the machine it would run it on."""

    compose_hash: bytes
    device_id: bytes | None
    kms: KmsInfo | None
    app_id: bytes | None = None
    """Where the answer names the app: 20 bytes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`app_id` is None while there is no contract. Addresses have 20 bytes."""

    release: Release
    chain_id: int
    kms_contract: bytes
    signer: bytes
    app_id: bytes | None
    hash_allowed: bool
    devices_missing: tuple[str, ...]
    """Names of the machines whose device the app's contract does not allow yet."""
    targets: tuple[tuple[Target, Action], ...]
    secrets: tuple[str, ...] = ()

    @property
    def actions(self) -> dict[str, Action]:
        return {target.name: action for target, action in self.targets}

    def to_json(self) -> dict[str, object]:
        return {
            "version": str(self.release.version),
            "git_sha": self.release.git_sha,
            "compose_hash": self.release.compose_hash.hex(),
            "chain_id": self.chain_id,
            "kms_contract": f"0x{self.kms_contract.hex()}",
            "signer": f"0x{self.signer.hex()}",
            "app_id": self.app_id.hex() if self.app_id else None,
            "compose_hash_allowed": self.hash_allowed,
            "devices_to_allow": list(self.devices_missing),
            "secrets": list(self.secrets),
            "machines": [
                {
                    "name": target.name,
                    "device_id": target.device_id.hex(),
                    "node": target.node.name,
                    "action": action.name.lower(),
                    "cvm": target.cvm.uuid if target.cvm else None,
                    "old_compose_hash": target.cvm.compose_hash.hex()
                    if target.cvm and target.cvm.compose_hash
                    else None,
                }
                for target, action in self.targets
            ],
        }


def node_of(machine: Machine, nodes: Sequence[Node]) -> tuple[bytes, Node]:
    """The device id and the node that has it. Raises UsageError, Unavailable when it is not there, Refused."""
    if machine.device_id is None:
        raise UsageError(
            "a machine is told by its device id, and this one has none",
            where=f"[machines.{machine.name}]",
            hint="add device_id = ... to twinproof.toml: a label never decides where something runs",
        )
    found = [node for node in nodes if machine.device_id in node.device_ids]
    if len(found) == 1:
        return machine.device_id, found[0]
    same_name = next((node for node in nodes if node.name == machine.name), None)
    if not found and same_name is None:
        raise Unavailable(
            "the cloud lists no node with this device id",
            where=machine.name,
            got=", ".join(node.name for node in nodes) or "no node",
            expected=machine.device_id.hex(),
            hint="it may be down, or full; --machines names the others",
        )
    raise Refused(
        "several nodes of the cloud have this device id" if found else "no node of the cloud has this device id",
        where=machine.name,
        got=", ".join(device.hex() for device in same_name.device_ids) if same_name else "",
        expected=machine.device_id.hex(),
        hint="" if found else f"the cloud's {machine.name} is another machine",
    )


def existing_cvm(machine: Machine, device_id: bytes, node: Node, cvms: Sequence[Cvm]) -> Cvm | None:
    """The app's CVM on this machine. Raises Refused when there are several: which one is meant is not guessed."""
    found = [
        cvm
        for cvm in cvms
        if (cvm.device_id == device_id if cvm.device_id is not None else cvm.node_number == node.number)
    ]
    if len(found) > 1:
        raise Refused(
            "several instances of the app on one machine",
            where=machine.name,
            got=", ".join(cvm.uuid for cvm in found),
            expected="one",
            hint="two instances on one machine are not two machines",
        )
    return found[0] if found else None


def check_kms(kms: KmsInfo | None, *, name: str, chain_id: int, contract: bytes) -> KmsInfo:
    """Keys come from the KMS of this contract on this chain. Raises Refused: without a chain there is no record."""
    if kms is None or kms.chain_id is None or kms.contract is None:
        raise Refused(
            "the service offers no on-chain KMS",
            where=name,
            got="nothing" if kms is None else kms.slug or "a KMS without a contract",
            expected=f"0x{contract.hex()} on chain {chain_id}",
            hint="an off-chain KMS leaves no public record of what was allowed",
        )
    if (kms.chain_id, kms.contract) != (chain_id, contract):
        raise Refused(
            "the service offers another KMS",
            where=name,
            got=f"0x{kms.contract.hex()} on chain {kms.chain_id}",
            expected=f"0x{contract.hex()} on chain {chain_id}",
        )
    return kms


def require_machines_apart(places: Sequence[tuple[Machine, Node]]) -> None:
    """Two names of one node would be one machine counted twice. Raises Refused."""
    first: dict[int, Machine] = {}
    for machine, node in places:
        other = first.setdefault(node.number, machine)
        if other is not machine:
            raise Refused(
                "two machines of twinproof.toml are one node of the cloud",
                where=f"{other.name}, {machine.name}",
                got=shown(f"node {node.name}"),
                hint="a node may have several device ids: two of them are not two machines",
            )


def check_proposal(target: Target, proposal: Proposal, compose_hash: bytes, app_id: bytes | None = None) -> None:
    """Our hash, on this machine, as this app or as a new one. Raises Refused, and nothing was signed."""
    if proposal.app_id not in (None, app_id):
        raise Refused(
            "the service would run it as another app",
            where=target.name,
            got=proposal.app_id.hex() if proposal.app_id else "none",
            expected=app_id.hex() if app_id else "a new app",
            hint="nothing was signed",
        )
    if proposal.compose_hash != compose_hash:
        raise Refused(
            "the service would run another app-compose text than this version's",
            where=target.name,
            got=proposal.compose_hash.hex(),
            expected=compose_hash.hex(),
            hint="nothing was signed; `twinproof compose hash` prints the text that is meant",
        )
    if proposal.device_id != target.device_id:
        raise Refused(
            "the service would run it on another machine",
            where=target.name,
            got=proposal.device_id.hex() if proposal.device_id else "no device id",
            expected=target.device_id.hex(),
            hint="nothing was signed",
        )


def plan_lines(plan: Plan) -> tuple[str, ...]:
    """For people: what will be sent, to whom, and which hash becomes which."""
    lines = [
        f"version       {plan.release.version}  (commit {plan.release.git_sha[:12]})",
        f"compose hash  {plan.release.compose_hash.hex()}",
        f"chain         {plan.chain_id}, KMS 0x{plan.kms_contract.hex()}",
        f"signed by     0x{plan.signer.hex()}",
        f"app id        {plan.app_id.hex() if plan.app_id else 'none yet: its contract is deployed first'}",
        f"secrets       {', '.join(plan.secrets) or 'none'}",
        "",
        "transactions",
    ]
    if plan.app_id is None:
        first, *others = (target.name for target, _ in plan.targets)
        lines.append(f"  deployAndRegisterApp  owner is the signer, device {first}, this compose hash")
        lines += [f"  addDevice             {name}" for name in others]
    else:
        lines += [f"  addDevice             {name}" for name in plan.devices_missing]
        lines += [] if plan.hash_allowed else ["  addComposeHash        this compose hash"]
        lines += ["  none"] if plan.hash_allowed and not plan.devices_missing else []
    lines += ["", "machines"]
    for target, action in plan.targets:
        old = target.cvm.compose_hash.hex() if target.cvm and target.cvm.compose_hash else "nothing"
        lines += [
            f"  {target.name}: {action.value}",
            f"    device  {target.device_id.hex()}",
            f"    old     {old}",
            f"    new     {plan.release.compose_hash.hex()}",
        ]
    return tuple(lines)
