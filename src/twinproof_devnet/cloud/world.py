"""The running cloud: machines, collateral service, KMS, registry and API on loopback, all ended when it is closed."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.devchain import CHAIN_ID
from twinproof_devnet.chain.engine_name import EngineName
from twinproof_devnet.chain.ledger import Depths
from twinproof_devnet.cloud.bootloader import Bootloader
from twinproof_devnet.cloud.contracts import Contracts
from twinproof_devnet.cloud.fleet import Fleet
from twinproof_devnet.cloud.node import Node, node_number
from twinproof_devnet.cloud.on_chain import OnChain
from twinproof_devnet.cloud.service import CloudService
from twinproof_devnet.collateral_service import CollateralService
from twinproof_devnet.faults import CHAIN_FAULTS, FRONT_FAULTS, Fault, FaultAt, Place, active
from twinproof_devnet.kms import Kms
from twinproof_devnet.lifetime import Lifetime
from twinproof_devnet.machine import Machine
from twinproof_devnet.pki import Pki
from twinproof_devnet.provision import made_host
from twinproof_devnet.publishing import publication
from twinproof_devnet.registry import Registry
from twinproof_devnet.world import REGIONS, check_machines

__all__ = ["MACHINES", "CloudWorld"]

MACHINES = ("prod5", "prod7", "prod9")
_ETHER = 10
_NOT_THAT_MACHINE = "elsewhere"
_BOOTING = frozenset({Fault.MACHINE_DOWN, Fault.WRONG_IMAGE, Fault.STALE_STATUS})
"""Faults of the cloud that are about what runs."""


def _now() -> int:
    return int(time.time())


class CloudWorld(Lifetime):
    """Use `start`, and `with` or `close`; it also ends with the interpreter. At first nothing is deployed."""

    def __init__(self, machines: Sequence[str], kms: Kms, contracts: Contracts, directory: Path) -> None:
        self.directory, self.kms, self.contracts = directory, kms, contracts
        self.owner = DevAccount.create()
        """Has money on the chain, for those who try the cloud; the key is also in `owner_key_path`."""
        self.faults: tuple[FaultAt, ...] = ()
        self.key = f"phak_{secrets.token_urlsafe(32)}"
        """What X-API-Key has to be; also in `key_path`."""
        self.pki = Pki.create(_now())
        self.nodes: dict[str, Node] = {}
        for position, name in enumerate(machines):
            host = made_host(name, frozenset(), self.pki, _now())
            number = node_number(name, position)
            self.nodes[name] = Node(number, name, REGIONS.get(name, "DEVNET"), host, host.device_id)
        self.registry = Registry(directory / "registry")

    @classmethod
    def start(
        cls,
        machines: Sequence[str] = MACHINES,
        *,
        chain_id: int = CHAIN_ID,
        block_seconds: float | None = None,
        depths: Depths | None = None,
        faults: Sequence[FaultAt] = (),
        directory: Path | None = None,
        chain_engine: EngineName = EngineName.PY_EVM,
    ) -> CloudWorld:
        """Up and answering when this returns. Files are kept in a `directory` that was named, and only there.

        Without `block_seconds` only a transaction makes a block; `depths` say when one is final.
        Raises ValueError for machines that cannot be.
        """
        check_machines(machines, [item for item in faults if item.fault not in CHAIN_FAULTS])
        with ExitStack() as resources:
            scratch = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="twinproof-")))
            kms = Kms.create(_now())
            contracts = Contracts.start(kms, chain_id=chain_id, depths=depths or Depths(), engine=chain_engine)
            resources.callback(contracts.close)
            world = cls(machines, kms, contracts, directory or scratch)
            world.directory.mkdir(parents=True, exist_ok=True)
            world._serve(scratch, resources)
            world._write_files()
            for item in faults:
                world.switch(item.fault, item.machine)
            if block_seconds is not None:
                contracts.keep_mining(block_seconds)
            world._keep(resources)
        return world

    def _serve(self, sockets: Path, resources: ExitStack) -> None:
        hosts = [node.host for node in self.nodes.values()]
        self._collateral = CollateralService(self.pki, hosts, clock=_now)
        resources.callback(self._collateral.close)
        self.collateral_url = self._collateral.url
        loader = Bootloader(self.kms, self.contracts, self.registry, clock=_now, faults=self._active)
        self.fleet = Fleet(self.nodes, loader, sockets=sockets, clock=_now, faults=self._active)
        resources.callback(self.fleet.close)
        self.service = CloudService(self.fleet, OnChain(self.contracts, self.kms), key=self.key)
        resources.callback(self.service.close)

    def _active(self, machine: str) -> frozenset[Fault]:
        return active(self.faults, machine)

    def switch(self, fault: Fault, machine: str | None = None, *, on: bool = True) -> None:
        """Switch a fault on or off, at one machine or everywhere. What boots because of it does so in the background.

        What was switched on everywhere is switched off everywhere. Faults of the chain's endpoints are at rpc1, rpc2 or
        rpc3. Raises ValueError for a machine or an endpoint that there is not.
        """
        item = FaultAt(fault, machine)
        if fault in CHAIN_FAULTS:
            self.contracts.switch(fault, machine, on=on)
            return
        check_machines(list(self.nodes), [item])
        others = tuple(other for other in self.faults if other != item)
        before, self.faults = self.faults, (*others, item) if on else others
        for name, node in self.nodes.items():
            changed = active(before, name) ^ active(self.faults, name)
            self._change_node(node, changed)
        hosts = {name: node.host for name, node in self.nodes.items()}
        self._collateral.publish(hosts.values(), publication(self.faults, hosts, self.pki, _now()))

    def _change_node(self, node: Node, changed: frozenset[Fault]) -> None:
        faults = self._active(node.name)
        if any(fault.place is Place.MACHINE for fault in changed):
            first = next(iter(self.nodes.values()))
            same = Fault.SAME_MACHINE_TWICE in faults
            node.host = first.host if same else made_host(node.name, faults, self.pki, _now())
        node.up = Fault.MACHINE_DOWN not in faults
        own = Machine.named(node.name)
        named = Machine.named(_NOT_THAT_MACHINE) if Fault.WRONG_DEVICE_ID in faults else own
        node.claimed_device_id = named.device_id
        for cvm in self.fleet.cvms:
            if cvm.node is node:
                cvm.instance.show(faults & FRONT_FAULTS)
        if changed & _BOOTING or any(fault.place in {Place.MACHINE, Place.VM} for fault in changed):
            self.fleet.refresh(node.name)

    def _write_files(self) -> None:
        """What `twinproof` needs to know: the root to trust, machines by name, where collateral is; and the key."""
        self.root_path.write_bytes(self.pki.root.pem.encode("ascii"))
        self.key_path.touch(mode=0o600)
        self.key_path.write_text(self.key + "\n")
        self.contracts.chain.fund(self.owner.address, _ETHER)
        self.owner.write(self.owner_key_path)
        lines = ["# Simulated machines, NOT INTEL. They are gone when the devnet stops.", ""]
        lines += ["[collateral]", f'url = "{self.collateral_url}"']
        for name, node in self.nodes.items():
            device_id = node.host.device_id.hex()
            lines += ["", f"[machines.{name}]", f'region = "{node.region}"', f'device_id = "{device_id}"']
        kms = self.contracts.kms_contract.hex()
        urls = ", ".join(f'"{url}"' for url in self.contracts.rpc_urls)
        lines += ["", "[chain]", f"rpc = [{urls}]", f'kms = "0x{kms}"']
        lines += [f"chain_id = {self.contracts.chain_id}"]
        self.config_path.write_text("\n".join(lines) + "\n")

    @property
    def root_path(self) -> Path:
        return self.directory / "root.pem"

    @property
    def config_path(self) -> Path:
        return self.directory / "twinproof.toml"

    @property
    def owner_key_path(self) -> Path:
        return self.directory / "chain-owner.key"

    @property
    def key_path(self) -> Path:
        return self.directory / "api-key"
