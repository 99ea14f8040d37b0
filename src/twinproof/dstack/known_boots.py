"""What was judged before, over the very same bytes, and passed: its Checks, word for word.

Steps 1 to 12 depend on bytes alone: registers of the quote, texts beside it, never a time or a policy. So their Checks
are kept with exactly those bytes, in three parts, because bytes differ in three ways:

1. the log         the runtime events and RTMR3: of one instance, between two of its boots
2. the firmware    its events and RTMR0-2: of one image in one shape of VM
3. the deployment  configuration, compose file, image: of all instances of one version

A register that is another one, or any other letter in a text, is another key, and everything is judged anew. Nothing
that failed is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol, cast

from twinproof.dstack.app_compose import AppCompose
from twinproof.dstack.boot import Boot
from twinproof.dstack.event_log import EventLog
from twinproof.dstack.key_provider import KeyProvider
from twinproof.dstack.unmeasured import Notice
from twinproof.dstack.vm_config import VmConfig
from twinproof.keccak import has_keccak
from twinproof.memo import Memo
from twinproof.tdx.report import TdReport
from twinproof.verdict import Check

__all__ = [
    "Deployment",
    "KnownDeployment",
    "KnownFirmware",
    "KnownLog",
    "deployment_key",
    "find_deployment",
    "keep_deployment",
]

_V2, _V3 = b"\x02", b"\x03"
_Checks = Mapping[str, Check]
_DEPLOYMENTS = Memo(max_entries=512, max_bytes=16 << 20)


class KnownLog:
    """Of one log: the RTMR3 that it led to, and what was found. Empty until then."""

    __slots__ = ("boot", "checks", "rtmr3")

    def __init__(self, _: EventLog) -> None:
        self.rtmr3, self.checks = b"", _NO_CHECKS
        self.boot: Boot | None = None


class KnownFirmware:
    """Of one log's events without the runtime ones: the RTMR0-2 that they led to, and what was found."""

    __slots__ = ("checks", "registers")

    def __init__(self, _: EventLog) -> None:
        self.registers: tuple[bytes, ...] = ()
        self.checks = _NO_CHECKS


_NO_CHECKS: _Checks = {}


class KnownDeployment(NamedTuple):
    """Checks and results of steps 6 to 12."""

    checks: _Checks
    app_compose: AppCompose | None
    vm_config: VmConfig
    recomputed_image: bytes | None
    notices: tuple[Notice, ...]


class Deployment(Protocol):
    """What steps 6 to 12 read of a boot, and nothing else: `deployment_key` holds all of it."""

    @property
    def app_id(self) -> bytes: ...
    @property
    def compose_hash(self) -> bytes: ...
    @property
    def instance_id(self) -> bytes: ...
    @property
    def key_provider(self) -> KeyProvider: ...
    @property
    def os_image_hash(self) -> bytes | None: ...
    @property
    def init_script_hashes(self) -> tuple[bytes, ...]: ...
    @property
    def gpu_policy_hash(self) -> bytes | None: ...
    @property
    def generations(self) -> tuple[str, ...]: ...


Key = tuple[str | bytes, ...]


def deployment_key(
    report: TdReport, log: EventLog, vm_config: str | None, app_compose: str | None, boot: Deployment
) -> Key | None:
    """Everything that steps 6 to 12 look at; None where a text is missing, or the log came in another form than text.

    Nothing of it is ever empty, so an empty value stands for one that is not there. The instance id is looked at with
    MR_CONFIG_ID of version 3 only, and whether Keccak-256 can be computed here, with version 2 only.
    """
    firmware = log.firmware.text
    if not (firmware and vm_config and app_compose):
        return None
    mr_config_id = report.mr_config_id
    version = mr_config_id[:1]
    return (
        firmware,
        report.mrtd,
        report.rtmr0,
        report.rtmr1,
        report.rtmr2,
        mr_config_id,
        vm_config,
        app_compose,
        boot.app_id,
        boot.compose_hash,
        boot.instance_id if version == _V3 else b"",
        boot.key_provider.raw,
        boot.os_image_hash or b"",
        b"".join(boot.init_script_hashes),
        boot.gpu_policy_hash or b"",
        "\n".join(boot.generations),
        "Keccak-256" if version == _V2 and has_keccak() else "",
    )


def find_deployment(key: Key | None) -> KnownDeployment | None:
    """What was found for exactly this key, if it was asked recently."""
    return None if key is None else cast("KnownDeployment | None", _DEPLOYMENTS.find(key))


def keep_deployment(key: Key | None, known: KnownDeployment) -> None:
    if key is not None:
        _DEPLOYMENTS.keep(key, known)
