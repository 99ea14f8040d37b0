"""One instance of the app while it runs: the VM's guest agent, the app's process, and the gateway before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from twinproof_devnet.app_process import AppProcess
from twinproof_devnet.confidential_vm import ConfidentialVm
from twinproof_devnet.faults import Fault
from twinproof_devnet.front import Front
from twinproof_devnet.guest_agent import GuestAgent

__all__ = ["RunningInstance"]

_NOBODY = "http://127.0.0.1:9"


class RunningInstance:
    """Up and answering after it was made. `url` and `socket` stay, whatever boots; the other addresses change."""

    def __init__(
        self, name: str, vm: ConfidentialVm, *, socket: Path, image: Path, environment: Mapping[str, str]
    ) -> None:
        """`image` is from `build_image`, `environment` from the measured compose file. AppError as in AppProcess."""
        self.name, self.socket = name, socket
        self._image, self._environment = image, environment
        self._booted = ExitStack()
        self._front = Front(_NOBODY)
        try:
            self.boot(vm)
        except BaseException:
            self._front.close()
            raise
        self.show(())

    def boot(self, vm: ConfidentialVm) -> None:
        """Stop what runs and start this VM: what the app kept in memory is gone. AppError: nothing runs now."""
        self._booted.close()
        with ExitStack() as booted:
            agent = GuestAgent(vm, self.socket)
            booted.callback(agent.close)
            app = AppProcess(self._image, agent.socket, self._environment)
            booted.callback(app.close)
            self.vm = vm
            self.app_url = app.url
            """The app itself."""
            self.agent_url = agent.url
            """The guest agent's public routes, as on port 8090."""
            self._booted = booted.pop_all()

    @property
    def url(self) -> str:
        """What a user asks: the gateway, honest or not."""
        return self._front.url

    def show(self, faults: Iterable[Fault]) -> None:
        """The gateway passes everything to the app that runs now, but for these faults."""
        self._front.upstream = self.app_url
        self._front.switch(faults)

    def close(self) -> None:
        """End everything, within seconds."""
        self._front.close()
        self._booted.close()
