"""What a verification may be quoted on: values read from quote, log and statement after they were checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, NamedTuple, final

from twinproof.evidence.statement import Statement

if TYPE_CHECKING:  # most evidence says nothing of a chain
    from twinproof.chain.on_chain import OnChain

__all__ = ["Claims", "Platform", "Registers", "Software"]


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _members(values: Mapping[str, object]) -> dict[str, object]:
    """Members named as the attributes; bytes as lower-case hex, tuples as arrays."""
    return {name: _plain(value) for name, value in values.items()}


@final
class Platform(NamedTuple):
    """The machine: from the PCK certificate and Intel's documents. Times are unix seconds, UTC."""

    tee: str
    quote_version: int
    fmspc: bytes
    pck_ca: str
    device_id: bytes
    """SHA-256 of the PPID: which machine this is."""
    tcb_status: str
    current_tcb_status: str | None
    advisory_ids: tuple[str, ...]
    tcb_date: int
    tcb_evaluation_data_number: int
    collateral_issued: int
    collateral_expires: int

    def to_json(self) -> dict[str, object]:
        return _members(self._asdict())


@final
class Registers(NamedTuple):
    """The TD report's measurements, 48 bytes each unless said otherwise."""

    mrtd: bytes
    rtmr0: bytes
    rtmr1: bytes
    rtmr2: bytes
    rtmr3: bytes
    mr_config_id: bytes
    mrseam: bytes
    mrsignerseam: bytes
    tee_tcb_svn: bytes
    td_attributes: bytes
    xfam: bytes
    report_data: bytes

    @property
    def image_digest(self) -> bytes:
        """SHA-256(MRTD || RTMR1 || RTMR2): the image, independent of the VM's shape.

        TDX has no MRENCLAVE; this is what stands in the row that readers know under that name.
        """
        return hashlib.sha256(self.mrtd + self.rtmr1 + self.rtmr2).digest()

    def to_json(self) -> dict[str, object]:
        return _members(self._asdict())


@final
class Software(NamedTuple):
    """What the replayed event log says. `instance_id` is empty for apps that ask for none.

    `os_image_hash` is the image's name in the log; `recomputed_image` is the image that the registers prove, if any.
    """

    app_id: bytes
    compose_hash: bytes
    instance_id: bytes
    os_image_hash: bytes | None
    recomputed_image: bytes | None
    key_provider_name: str
    key_provider_id: str
    mr_aggregated: bytes
    app_events: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        return _members(self._asdict())


@final
class Claims(NamedTuple):
    """Each part is None until every check behind it has passed."""

    platform: Platform | None = None
    registers: Registers | None = None
    software: Software | None = None
    statement: Statement | None = None
    tls_key: bytes | None = None
    """SHA-256 of the SubjectPublicKeyInfo of the TLS key that the quote names."""
    chain: OnChain | None = None
    """What the app's contract allows, when it was asked and allows what was attested."""

    def to_json(self) -> dict[str, object]:
        return {
            "platform": self.platform.to_json() if self.platform else None,
            "registers": self.registers.to_json() if self.registers else None,
            "software": self.software.to_json() if self.software else None,
            "statement": _members(self.statement._asdict()) if self.statement else None,
            "tls_key": _plain(self.tls_key),
            "chain": _members({item.name: getattr(self.chain, item.name) for item in fields(self.chain)})
            if self.chain
            else None,
        }
