"""One instance of the app while it runs: the VM's guest agent, the app's process, and the gateway before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from twinproof_devnet.app_process import AppProcess
from twinproof_devnet.confidential_vm import ConfidentialVm
from twinproof_devnet.faults import Fault
from twinproof_devnet.front import Front
from twinproof_devnet.guest_agent import GuestAgent

__all__ = ["Container", "RunningInstance"]

_NOBODY = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Container:
    """What the measured compose file starts: an image from `build_image`, and what it sets."""

    image: Path | None
    """None: it cannot be pulled, so the VM is up and its app is not."""
    environment: Mapping[str, str] = field(default_factory=dict)


class RunningInstance:
    """Off until `boot`. `url` and `socket` stay, whatever boots; the other addresses change."""

    vm: ConfidentialVm
    """What booted last."""

    def __init__(self, name: str, *, socket: Path) -> None:
        self.name, self.socket = name, socket
        self.app_url = self.agent_url = _NOBODY
        self._booted = ExitStack()
        self._front = Front(_NOBODY)

    def boot(self, vm: ConfidentialVm, container: Container) -> None:
        """Stop what runs and start this VM: what the app kept in memory is gone.

        AppError as in AppProcess: nothing runs now.
        """
        self.stop()
        with ExitStack() as booted:
            agent = GuestAgent(vm, self.socket)
            booted.callback(agent.close)
            if container.image is not None:
                app = AppProcess(container.image, agent.socket, container.environment)
                booted.callback(app.close)
                self.app_url = app.url
                """The app itself."""
            self.vm, self.container = vm, container
            self.agent_url = agent.url
            """The guest agent's public routes, as on port 8090."""
            self._booted = booted.pop_all()
        self._front.upstream = self.app_url

    def stop(self) -> None:
        """The machine is off: the gateway stays, and nobody answers behind it."""
        self._booted.close()
        self.app_url = self.agent_url = self._front.upstream = _NOBODY

    @property
    def running(self) -> bool:
        """Whether the VM is up; its app need not be."""
        return self.agent_url != _NOBODY

    @property
    def url(self) -> str:
        """What a user asks: the gateway, honest or not."""
        return self._front.url

    def show(self, faults: Iterable[Fault]) -> None:
        """The gateway passes everything to the app that runs now, but for these faults."""
        self._front.switch(faults)

    def close(self) -> None:
        """End everything, within seconds."""
        self._front.close()
        self._booted.close()
