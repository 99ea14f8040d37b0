"""Every CVM of the cloud: found by any of its names, started and stopped in the background, one at a time each."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from threading import RLock

from twinproof_devnet.app_process import AppError
from twinproof_devnet.cloud.bootloader import Bootloader, NoKeys
from twinproof_devnet.cloud.cvm import Cvm, Proposal, Revision, Status, hash_of
from twinproof_devnet.cloud.node import SLOTS, Node
from twinproof_devnet.cloud.problems import Problem, not_found
from twinproof_devnet.collateral import utc
from twinproof_devnet.faults import Fault
from twinproof_devnet.running_instance import RunningInstance

__all__ = ["Fleet"]

_FIRST_NUMBER = 1001
_WORKERS = 4


class Fleet:
    """`lock` is held while the fleet is read or changed, never while a machine boots."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        bootloader: Bootloader,
        *,
        sockets: Path,
        clock: Callable[[], int],
        faults: Callable[[str], frozenset[Fault]],
    ) -> None:
        self.nodes, self.bootloader, self.clock, self.faults = nodes, bootloader, clock, faults
        self.lock = RLock()
        self.cvms: list[Cvm] = []
        self._sockets, self._made = sockets, 0
        self._workers = ThreadPoolExecutor(_WORKERS)
        self._boots: list[Future[None]] = []

    def now(self) -> str:
        return utc(self.clock())

    def node(self, number: int | None) -> Node:
        for node in self.nodes.values():
            if node.number == number:
                if not node.up:
                    raise Problem(503, f"node {node.name} is not reachable", code="ERR-02-012")
                return node
        raise Problem(404, f"node {number} not found", code="ERR-01-001")

    def free_node(self, avoid: Iterator[Node] | None = None) -> Node:
        """One that is up, and not one of these."""
        taken = {node.number for node in avoid or ()}
        for node in self.nodes.values():
            if node.up and node.number not in taken and self.used_slots(node) < SLOTS:
                return node
        raise Problem(409, "no node has a free slot", code="ERR-02-002")

    def used_slots(self, node: Node) -> int:
        return sum(cvm.node is node for cvm in self.cvms)

    def of_app(self, app_id: bytes) -> list[Cvm]:
        """In the order in which they were created."""
        return [cvm for cvm in self.cvms if cvm.app_id == app_id]

    def find(self, identifier: str) -> Cvm:
        """By uuid, app id (the first instance), instance id, number or name. Raises a Problem (404, 409)."""
        bare = identifier.lower().replace("-", "")
        address = bare.removeprefix("app_").removeprefix("0x")
        with self.lock:
            for cvm in self.cvms:
                names = {cvm.uuid, f"instance_{cvm.instance_id.hex()}", str(cvm.number)}
                if bare in names or address == cvm.app_id.hex():
                    return cvm
            named = [cvm for cvm in self.cvms if cvm.name == identifier]
        if len(named) > 1 and len({cvm.app_id for cvm in named}) > 1:
            raise Problem(409, f"several CVMs are named {identifier}", code="ERR-03-002")
        if not named:
            raise not_found(f"CVM {identifier}")
        return named[0]

    def create(self, proposal: Proposal, app_id: bytes, *, deployer: bytes = b"", kept: bool = True) -> Cvm:
        """A CVM with an empty disk, booting in the background. Not `kept`: only its description is made."""
        with self.lock:
            if self.used_slots(proposal.node) >= SLOTS:
                raise Problem(409, f"node {proposal.node.name} has no free slot", code="ERR-02-005")
            self._made += 1
            uuid = secrets.token_hex(16)
            cvm = Cvm(
                number=_FIRST_NUMBER + self._made,
                uuid=uuid,
                name=proposal.name,
                app_id=app_id,
                node=proposal.node,
                instance=RunningInstance(proposal.node.name, socket=self._sockets / f"{uuid}.sock"),
                text=proposal.text,
                encrypted_env=proposal.encrypted_env or b"",
                resources=proposal.resources,
                created_at=self.now(),
                seed=secrets.token_bytes(20),
                deployer=deployer,
            )
            self.remember(cvm, "create")
            if not kept:
                cvm.instance.close()
                return cvm
            self.cvms.append(cvm)
        self.boot(cvm, "create")
        return cvm

    def remember(self, cvm: Cvm, operation: str) -> None:
        """The CVM's text is a revision from now on."""
        cvm.revisions.append(Revision(secrets.token_hex(12), cvm.text, self.now(), operation))

    def texts(self, app_id: bytes) -> dict[str, str]:
        """Every text that instances of this app have had, by compose hash."""
        return {hash_of(item.text): item.text for cvm in self.of_app(app_id) for item in cvm.revisions}

    def boot(self, cvm: Cvm, operation: str) -> str:
        """Start again in the background. The correlation id of the operation."""
        correlation = secrets.token_hex(8)
        with self.lock:
            name = "creating" if operation == "create" else "updating" if operation == "update" else "starting"
            cvm.status = Status(name, operation, correlation_id=correlation)
            self._boots = [*(boot for boot in self._boots if not boot.done())]
            self._boots.append(self._workers.submit(self._boot, cvm, correlation))
        return correlation

    def _boot(self, cvm: Cvm, correlation: str) -> None:
        with cvm.booting:
            if cvm not in self.cvms:  # deleted meanwhile
                return
            if not cvm.node.up:
                result = Status("stopped", correlation_id=correlation)
                cvm.instance.stop()
            else:
                result = self._booted(cvm, correlation)
            with self.lock:
                if cvm.status.correlation_id == correlation:  # else a later operation is under way
                    cvm.status = result

    def _booted(self, cvm: Cvm, correlation: str) -> Status:
        try:
            self.bootloader.boot(cvm)
        except (NoKeys, AppError, OSError) as error:
            return Status("error", error=str(error), correlation_id=correlation)
        return Status("running", correlation_id=correlation)

    def stop(self, cvm: Cvm) -> None:
        with self.lock:
            cvm.status = Status("stopped", correlation_id=secrets.token_hex(8))
        with cvm.booting:
            cvm.instance.stop()

    def delete(self, cvm: Cvm) -> None:
        with self.lock:
            self.cvms.remove(cvm)
        with cvm.booting:
            cvm.instance.close()

    def settle(self) -> None:
        """Wait until nothing boots any more."""
        with self.lock:
            boots = list(self._boots)
        wait(boots)

    def refresh(self, name: str) -> None:
        """A fault of this node was switched: what it concerns boots again."""
        for cvm in [cvm for cvm in self.cvms if cvm.node.name == name]:
            self.boot(cvm, "restart")

    def changed(self, cvm: Cvm, proposal: Proposal) -> str:
        """The CVM runs this from now on, in place: its disk and its keys stay. The correlation id."""
        with self.lock:
            cvm.text, cvm.resources = proposal.text, proposal.resources
            if proposal.encrypted_env is not None:
                cvm.encrypted_env = proposal.encrypted_env
            cvm.proposals.pop(proposal.compose_hash, None)
            self.remember(cvm, "update")
            faults = self.faults(cvm.node.name)
            if Fault.STALE_STATUS in faults:
                cvm.status = replace(cvm.status, correlation_id=secrets.token_hex(8))
                return cvm.status.correlation_id
        return self.boot(cvm, "update")

    def close(self) -> None:
        """End everything, within seconds."""
        self._workers.shutdown(wait=True, cancel_futures=True)
        for cvm in self.cvms:
            cvm.instance.close()
