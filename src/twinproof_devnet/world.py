"""The running world: collateral service, guest agents, enclave apps, all on loopback, all ended when it is closed."""

from __future__ import annotations

import atexit
import hashlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from twinproof_devnet.app_process import build_image
from twinproof_devnet.collateral import utc
from twinproof_devnet.collateral_service import CollateralService
from twinproof_devnet.faults import CLOUD_FAULTS, FRONT_FAULTS, Fault, FaultAt, active
from twinproof_devnet.firmware import Shape
from twinproof_devnet.provision import Provisioned, provision
from twinproof_devnet.running_instance import Container, RunningInstance

__all__ = ["REGIONS", "World", "check_machines"]

REGIONS = {"prod9": "US-WEST", "prod7": "US-EAST", "prod5": "EU-CENTRAL"}
_GIT_SHA = hashlib.sha256(b"twinproof devnet build").hexdigest()[:40]


def _now() -> int:
    return int(time.time())


class World:
    """Use `start`, and `with` or `close`; it also ends with the interpreter."""

    def __init__(self, provisioned: Provisioned, directory: Path, resources: ExitStack) -> None:
        self.provisioned, self.directory = provisioned, directory
        self.instances: dict[str, RunningInstance] = {}
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
    ) -> World:
        """Up and answering when this returns. Files are kept in a `directory` that was named, and only there.

        Raises ValueError for machines that cannot be, AppError when an app does not come up.
        """
        _check(machines, faults)
        with ExitStack() as resources:
            scratch = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="twinproof-")))
            world = cls(provision(machines, faults, clock=_now, shapes=shapes), directory or scratch, resources)
            world.directory.mkdir(parents=True, exist_ok=True)
            image = build_image(scratch / "image", git_sha=_GIT_SHA, build_time=utc(_now()))
            with ThreadPoolExecutor(len(machines)) as pool:
                found = pool.map(lambda name: world._launch(name, scratch, image), machines)
                world.instances = {instance.name: instance for instance in found}
            world._write_files()
            world._resources = resources.pop_all()
        atexit.register(world.close)
        return world

    def _launch(self, name: str, scratch: Path, image: Path) -> RunningInstance:
        instance = RunningInstance(name, socket=scratch / f"{name}.sock")
        self._resources.callback(instance.close)
        instance.boot(self.provisioned.vms[name], Container(image, {"ENVIRONMENT": self.provisioned.app.environment}))
        instance.show(active(self.faults, name) & FRONT_FAULTS)
        return instance

    @property
    def faults(self) -> tuple[FaultAt, ...]:
        """Those that are on."""
        return self.provisioned.faults

    def switch(self, fault: Fault, machine: str | None = None, *, on: bool = True) -> None:
        """Switch a fault on or off, at one machine or everywhere. URLs and files stay as they are.

        A fault of a machine or a VM boots the instances that it concerns: their counters start at 0 and their
        `agent_url` is another. What was switched on everywhere is switched off everywhere.

        Raises ValueError for a machine that there is not, AppError when an app does not come up again.
        """
        item = FaultAt(fault, machine)
        _check(list(self.instances), [item])
        others = [other for other in self.faults if other != item]
        self.provisioned = self.provisioned.switched([*others, item] if on else others)
        self._service.publish(self.provisioned.hosts.values(), self.provisioned.publication)
        for name, instance in self.instances.items():
            vm = self.provisioned.vms[name]
            if instance.vm is not vm:
                instance.boot(vm, instance.container)
            instance.show(active(self.faults, name) & FRONT_FAULTS)

    def _write_files(self) -> None:
        """What `twinproof` needs to know: the root to trust, machines by name, where collateral is."""
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

    def compare_command(self) -> list[str]:
        """What to type to compare all instances."""
        urls = [instance.url for instance in self.instances.values()]
        return ["twinproof", "compare", *urls, "--trust-root", str(self.root_path), "--config", str(self.config_path)]

    def close(self) -> None:
        """End everything, within seconds."""
        self._resources.close()
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check(machines: Sequence[str], faults: Sequence[FaultAt]) -> None:
    check_machines(machines, faults)
    for item in faults:
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
