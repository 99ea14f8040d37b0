"""A guest agent on a unix socket, for tests of what its clients see."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from twinproof_devnet.boot import Boot
from twinproof_devnet.confidential_vm import ConfidentialVm
from twinproof_devnet.guest_agent import GuestAgent
from twinproof_devnet.host import TdxHost
from twinproof_devnet.kms import Kms
from twinproof_devnet.pki import Pki

__all__ = ["running_agent"]


def _now() -> int:
    return int(time.time())


@contextmanager
def running_agent(directory: Path, boot: Boot | None = None) -> Iterator[tuple[GuestAgent, Kms]]:
    """The agent serves an honest VM; its KMS is given so that signature chains can be checked."""
    at = _now()
    kms = Kms.create(at)
    boot = replace(boot or Boot(), key_provider=kms.key_provider)
    vm = ConfidentialVm(TdxHost.create(Pki.create(at), at), boot, kms.release(boot.effective_app_id), clock=_now)
    with closing(GuestAgent(vm, directory / "dstack.sock")) as agent:
        yield agent, kms
