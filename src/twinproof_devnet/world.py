"""The running world: collateral service, guest agents, enclave apps, all on loopback, all ended when it is closed."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from twinproof_devnet.app_process import build_image
from twinproof_devnet.chain.engine_name import EngineName
from twinproof_devnet.collateral import utc
from twinproof_devnet.collateral_service import CollateralService
from twinproof_devnet.compose import ToyApp, app_compose, compose_hash
from twinproof_devnet.faults import CHAIN_FAULTS, CLOUD_FAULTS, FRONT_FAULTS, Fault, FaultAt, active
from twinproof_devnet.firmware import Shape
from twinproof_devnet.image import Image
from twinproof_devnet.kms import Kms
from twinproof_devnet.lifetime import Lifetime
from twinproof_devnet.machine import Machine
from twinproof_devnet.provision import Provisioned, provision
from twinproof_devnet.running_instance import Container, RunningInstance

if TYPE_CHECKING:
    from twinproof_devnet.chain.world_chain import WorldChain

__all__ = ["REGIONS", "World", "check_machines"]

REGIONS = {"prod9": "US-WEST", "prod7": "US-EAST", "prod5": "EU-CENTRAL"}
_GIT_SHA = hashlib.sha256(b"twinproof devnet build").hexdigest()[:40]


def _now() -> int:
    return int(time.time())


class World(Lifetime):
    """Use `start`, and `with` or `close`; it also ends with the interpreter."""

    def __init__(self, provisioned: Provisioned, directory: Path, resources: ExitStack) -> None:
        self.provisioned, self.directory = provisioned, directory
        self.instances: dict[str, RunningInstance] = {}
        self._chain: WorldChain | None = None
        self._resources = resources
        hosts = provisioned.hosts.values()
        self._service = CollateralService(provisioned.pki, hosts, clock=_now, publication=provisioned.publication)
        resources.callback(self._service.close)
        self.collateral_url = self._service.url

    @classmethod
    def start(
        cls,
        machines: Sequence[str] = ("prod9", "prod7"),
        *,
        faults: Sequence[FaultAt] = (),
        directory: Path | None = None,
        shapes: Mapping[str, Shape] | None = None,
        chain: bool = False,
        chain_id: int | None = None,
        endpoints: int = 1,
        chain_engine: EngineName = EngineName.PY_EVM,
    ) -> World:
        """Up and answering when this returns. Files are kept in a `directory` that was named, and only there.

        With a `chain`, the app's id is its contract there, and the KMS gives keys to what the contracts allow; it is
        asked at `endpoints` URLs, rpc1, rpc2 and so on, each of which can have faults of its own.

        Raises ValueError for machines that cannot be, AppError when an app does not come up, EngineError when the
        chain's engine does not, BootRefused when a fault boots what the contracts do not allow.
        """
        names = _endpoint_names(endpoints) if chain else []
        _check(machines, faults, names)
        faults, about_chain = _split(faults)
        with ExitStack() as resources:
            scratch = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="twinproof-")))
            kms = Kms.create(_now())
            if chain:
                on_chain = _start_chain(kms, machines, chain_id, chain_engine, resources)
                app_id, gate = on_chain.app_id, on_chain.gate
                made = provision(machines, faults, clock=_now, shapes=shapes, kms=kms, app_id=app_id, gate=gate)
                world = cls(made, directory or scratch, resources)
                world._chain = on_chain
                on_chain.endpoints(endpoints)
            else:
                made = provision(machines, faults, clock=_now, shapes=shapes, kms=kms)
                world = cls(made, directory or scratch, resources)
            world.directory.mkdir(parents=True, exist_ok=True)
            image = build_image(scratch / "image", git_sha=_GIT_SHA, build_time=utc(_now()))
            with ThreadPoolExecutor(len(machines)) as pool:
                found = pool.map(lambda name: world._launch(name, scratch, image), machines)
                world.instances = {instance.name: instance for instance in found}
            world._write_files()
            for item in about_chain:
                world.switch(item.fault, item.machine)
            world._keep(resources)
        return world

    def _launch(self, name: str, scratch: Path, image: Path) -> RunningInstance:
        instance = RunningInstance(name, socket=scratch / f"{name}.sock")
        self._resources.callback(instance.close)
        instance.boot(self.provisioned.vms[name], Container(image, {"ENVIRONMENT": self.provisioned.app.environment}))
        instance.show(active(self.faults, name) & FRONT_FAULTS)
        return instance

    @property
    def faults(self) -> tuple[FaultAt, ...]:
        """Those that are on, but for those of the chain's endpoints."""
        return self.provisioned.faults

    def switch(self, fault: Fault, machine: str | None = None, *, on: bool = True) -> None:
        """Switch a fault on or off, at one machine or everywhere. URLs and files stay as they are.

        A fault of a machine or a VM boots the instances that it concerns: their counters start at 0 and their
        `agent_url` is another. What was switched on everywhere is switched off everywhere.

        Raises ValueError for a machine that there is not, AppError when an app does not come up again.
        """
        item = FaultAt(fault, machine)
        _check(list(self.instances), [item], _endpoint_names(len(self.chain.rpc)) if self.has_chain else [])
        if fault in CHAIN_FAULTS:
            self.chain.switch(fault, machine, on=on)
            return
        others = [other for other in self.faults if other != item]
        self.provisioned = self.provisioned.switched([*others, item] if on else others)
        self._service.publish(self.provisioned.hosts.values(), self.provisioned.publication)
        for name, instance in self.instances.items():
            vm = self.provisioned.vms[name]
            if instance.vm is not vm:
                instance.boot(vm, instance.container)
            instance.show(active(self.faults, name) & FRONT_FAULTS)

    @property
    def chain(self) -> WorldChain:
        """Raises ValueError for a world that was started without one."""
        if self._chain is None:
            raise ValueError("this world has no chain")
        return self._chain

    @property
    def has_chain(self) -> bool:
        return self._chain is not None

    def upgrade(self, app: ToyApp, machine: str | None = None) -> None:
        """Boot another version of the app, on one machine or, one after the other, on all.

        Raises BootRefused when the KMS gives it no keys: then this machine is down until another upgrade, and those
        after it go on with what they had. AppError as in `start`.
        """
        for name, instance in self.instances.items():
            if machine in {None, name}:
                instance.stop()
                self.provisioned = self.provisioned.upgraded(app, name)
                instance.boot(self.provisioned.vms[name], instance.container)
                instance.show(active(self.faults, name) & FRONT_FAULTS)

    def _write_files(self) -> None:
        """What `twinproof` needs to know: the root to trust, machines by name, where collateral and the chain are."""
        self.root_path.write_bytes(self.root_pem)
        lines = ["# Simulated machines, NOT INTEL. They are gone when the devnet stops.", ""]
        lines += ["[collateral]", f'url = "{self.collateral_url}"']
        for name, instance in self.instances.items():
            lines += [
                "",
                f"[machines.{name}]",
                f'region = "{REGIONS.get(name, "DEVNET")}"',
                f'url = "{instance.url}"',
                f'device_id = "{self.provisioned.device_ids[name].hex()}"',
            ]
        if self._chain is not None:
            kms = self._chain.kms.address.hex()
            lines += ["", "[chain]", f"rpc = {json.dumps([one.url for one in self._chain.rpc])}", f'kms = "0x{kms}"']
            lines += [f"chain_id = {self._chain.chain_id}"]
            self._chain.write_key(self.chain_key_path)
        self.config_path.write_text("\n".join(lines) + "\n")

    @property
    def root_pem(self) -> bytes:
        return self.provisioned.pki.root.pem.encode("ascii")

    @property
    def root_path(self) -> Path:
        return self.directory / "root.pem"

    @property
    def config_path(self) -> Path:
        return self.directory / "twinproof.toml"

    @property
    def chain_key_path(self) -> Path:
        """The key of the app's owner, when there is a chain."""
        return self.directory / "chain-owner.key"

    def compare_command(self) -> list[str]:
        """What to type to compare all instances."""
        urls = [instance.url for instance in self.instances.values()]
        return ["twinproof", "compare", *urls, "--trust-root", str(self.root_path), "--config", str(self.config_path)]


def _start_chain(
    kms: Kms, machines: Sequence[str], chain_id: int | None, engine: EngineName, resources: ExitStack
) -> WorldChain:
    from twinproof_devnet.chain.devchain import CHAIN_ID, DevChain  # noqa: PLC0415  (slow, and only when asked for)
    from twinproof_devnet.chain.world_chain import WorldChain  # noqa: PLC0415  (as above)

    chain = DevChain.start(chain_id=CHAIN_ID if chain_id is None else chain_id, clock=_now, engine=engine)
    resources.callback(chain.close)
    return WorldChain.start(
        chain,
        kms,
        device_ids=[Machine.named(name).device_id for name in machines],
        compose_hash=compose_hash(app_compose(ToyApp())),
        os_image_hash=Image().os_image_hash,
    )


def _endpoint_names(count: int) -> list[str]:
    if count < 1:
        raise ValueError("endpoints: at least one")
    return [f"rpc{number}" for number in range(1, count + 1)]


def _split(faults: Sequence[FaultAt]) -> tuple[list[FaultAt], list[FaultAt]]:
    """The others, and those of the chain's endpoints."""
    about_chain = [item for item in faults if item.fault in CHAIN_FAULTS]
    return [item for item in faults if item.fault not in CHAIN_FAULTS], about_chain


def _check(machines: Sequence[str], faults: Sequence[FaultAt], endpoints: Sequence[str]) -> None:
    others, about_chain = _split(faults)
    for item in about_chain:
        if not endpoints:
            raise ValueError(f"fault {item}: there is no chain here")
        if item.machine is not None and item.machine not in endpoints:
            raise ValueError(f"fault {item}: there is no endpoint {item.machine}; there are: {', '.join(endpoints)}")
    check_machines(machines, others)
    for item in others:
        if item.fault in CLOUD_FAULTS:
            raise ValueError(f"fault {item}: there is no cloud here (--cloud)")


def check_machines(machines: Sequence[str], faults: Sequence[FaultAt]) -> None:
    """Raises ValueError for machines that cannot be, and faults at others."""
    if not machines or len(set(machines)) != len(machines):
        raise ValueError("machines: at least one, each once")
    for name in machines:
        if not name.isascii() or not name.replace("-", "").isalnum() or len(name) > 32:
            raise ValueError(f"machine {name!r}: letters, digits and hyphens, at most 32")
    for item in faults:
        if item.machine is not None and item.machine not in machines:
            raise ValueError(f"fault {item}: there is no machine {item.machine}")
