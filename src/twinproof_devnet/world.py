"""The running world: collateral service, guest agents, enclave apps, all on loopback, all ended when it is closed."""

from __future__ import annotations

import atexit
import hashlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from twinproof_devnet.app_process import AppProcess, build_image
from twinproof_devnet.collateral import utc
from twinproof_devnet.collateral_service import CollateralService
from twinproof_devnet.confidential_vm import ConfidentialVm
from twinproof_devnet.faults import FRONT_FAULTS, FaultAt, active
from twinproof_devnet.firmware import Shape
from twinproof_devnet.front import Front
from twinproof_devnet.guest_agent import GuestAgent
from twinproof_devnet.provision import Provisioned, provision

__all__ = ["REGIONS", "RunningInstance", "World"]

REGIONS = {"prod9": "US-WEST", "prod7": "US-EAST", "prod5": "EU-WEST"}
_GIT_SHA = hashlib.sha256(b"twinproof devnet build").hexdigest()[:40]


def _now() -> int:
    return int(time.time())


@dataclass(frozen=True, slots=True)
class RunningInstance:
    """One instance of the app."""

    name: str
    url: str
    """What a user asks: the app, or the man in the middle before it."""
    app_url: str
    """The app itself."""
    agent_url: str
    """The guest agent's public routes, as on port 8090."""
    socket: Path
    """The guest agent's unix socket."""
    vm: ConfidentialVm


class World:
    """Use `start`, and `with` or `close`; it also ends with the interpreter."""

    def __init__(self, provisioned: Provisioned, directory: Path, resources: ExitStack) -> None:
        self.provisioned, self.directory = provisioned, directory
        self.instances: dict[str, RunningInstance] = {}
        self._resources = resources
        hosts = provisioned.hosts.values()
        service = CollateralService(provisioned.pki, hosts, clock=_now, publication=provisioned.publication)
        resources.callback(service.close)
        self.collateral_url = service.url

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
                found = pool.map(lambda name: world._launch(name, scratch, image, active(faults, name)), machines)
                world.instances = {instance.name: instance for instance in found}
            world._write_files()
            world._resources = resources.pop_all()
        atexit.register(world.close)
        return world

    def _launch(self, name: str, scratch: Path, image: Path, faults: frozenset[str]) -> RunningInstance:
        vm = self.provisioned.vms[name]
        agent = GuestAgent(vm, scratch / f"{name}.sock")
        self._resources.callback(agent.close)
        app = AppProcess(image, agent.socket, {"ENVIRONMENT": self.provisioned.app.environment})
        self._resources.callback(app.close)
        url = app.url
        for fault in sorted(FRONT_FAULTS & faults):
            front = Front(url, fault)
            self._resources.callback(front.close)
            url = front.url
        return RunningInstance(name, url, app.url, agent.url, agent.socket, vm)

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
    if not machines or len(set(machines)) != len(machines):
        raise ValueError("machines: at least one, each once")
    for name in machines:
        if not name.isascii() or not name.replace("-", "").isalnum() or len(name) > 32:
            raise ValueError(f"machine {name!r}: letters, digits and hyphens, at most 32")
    for item in faults:
        if item.machine is not None and item.machine not in machines:
            raise ValueError(f"fault {item}: there is no machine {item.machine}")
