"""One confidential VM: a boot on a host, with the keys that were released to it. What guest agents are built on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from threading import Lock

from twinproof_devnet.boot import Boot
from twinproof_devnet.certificate import new_key
from twinproof_devnet.envelope import encode_v0, stripped
from twinproof_devnet.host import TdxHost
from twinproof_devnet.instance import TlsKeyAnswer
from twinproof_devnet.kms import AppKeys
from twinproof_devnet.ra_tls import LeafRequest, issue_leaf, report_data

__all__ = ["ConfidentialVm"]

UNKNOWN_DEVICE_ID = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""SHA-256 of nothing: a guest cannot know its PPID."""
REPORT_DATA_SIZE = 64
_DAY = 86_400
_TEN_YEARS = 3650 * _DAY


class ConfidentialVm:
    """An `Attester`. Only the app's own events can change after the boot; quotes and logs change together."""

    def __init__(
        self,
        host: TdxHost,
        boot: Boot,
        keys: AppKeys,
        *,
        clock: Callable[[], int],
        version: int = 4,
        body: str = "TD1.0",
    ) -> None:
        """`clock` gives unix seconds; `version` and `body` are those of the quotes."""
        self.host, self.boot, self.keys = host, boot, keys
        self._clock, self._version, self._body = clock, version, body
        self._lock = Lock()

    @property
    def app_name(self) -> str:
        return str(json.loads(self.boot.app_compose)["name"])

    @property
    def app_id(self) -> bytes:
        return self.boot.effective_app_id

    @property
    def instance_id(self) -> bytes:
        return self.boot.instance_id

    @property
    def compose_hash(self) -> bytes:
        return self.boot.compose_hash

    @property
    def app_compose(self) -> str:
        return self.boot.app_compose

    @property
    def os_image_hash(self) -> bytes:
        return self.boot.image.os_image_hash

    @property
    def vm_config(self) -> str:
        return self.boot.vm_config

    @property
    def key_provider_info(self) -> str:
        return self.boot.key_provider.payload.decode()

    @property
    def mr_aggregated(self) -> bytes:
        return self.boot.mr_aggregated

    @property
    def public_tcbinfo(self) -> bool:
        return bool(json.loads(self.boot.app_compose).get("public_tcbinfo", True))

    @property
    def guest_version(self) -> str:
        return self.boot.image.version

    def quote(self, report_data: bytes) -> bytes:
        if len(report_data) > REPORT_DATA_SIZE:
            raise ValueError("Report data is too long")
        padded = report_data.ljust(REPORT_DATA_SIZE, b"\x00")
        return self.host.quote(self.boot.measurements, padded, self._version, body=self._body)

    def event_log(self) -> str:
        return self.boot.event_log()

    def tcb_info(self) -> str:
        td = self.boot.measurements
        document = {
            "mrtd": td.mrtd.hex(),
            "rtmr0": td.rtmr0.hex(),
            "rtmr1": td.rtmr1.hex(),
            "rtmr2": td.rtmr2.hex(),
            "rtmr3": td.rtmr3.hex(),
            "mr_aggregated": self.boot.mr_aggregated.hex(),
            "os_image_hash": self.os_image_hash.hex(),
            "compose_hash": self.compose_hash.hex(),
            "device_id": UNKNOWN_DEVICE_ID,
            "event_log": [event.json() for event in self.boot.events()],
            "app_compose": self.app_compose,
        }
        return json.dumps(document, indent=2)

    def attestation(self, report_data: bytes) -> bytes:
        quote = self.quote(report_data)
        padded = report_data.ljust(REPORT_DATA_SIZE, b"\x00")
        return encode_v0(quote, self.boot.shown_events(), padded, self.vm_config)

    def app_cert(self) -> str:
        answer = self.tls_key(subject="demo-cert", alt_names=(), ra_tls=True, server_auth=True, client_auth=True)
        return "".join(answer.certificate_chain)

    def tls_key(
        self,
        *,
        subject: str,
        alt_names: tuple[str, ...],
        ra_tls: bool,
        server_auth: bool,
        client_auth: bool,
        not_before: int | None = None,
        not_after: int | None = None,
        with_app_info: bool = False,
    ) -> TlsKeyAnswer:
        start = self._clock() - _DAY if not_before is None else not_before
        end = start + _TEN_YEARS if not_after is None else not_after
        if start >= end:
            raise ValueError("not_before must be earlier than not_after")
        key = new_key()
        attached = self._evidence(report_data(key)) if ra_tls else ()
        if self.keys.issuers:  # the KMS names the app whose key it certifies
            attached = (*attached, ("3", self.app_id))
        if with_app_info:
            attached = (*attached, ("9", self.boot.app_info()))
        request = LeafRequest(key, subject, start, end, alt_names, server_auth, client_auth, attached)
        leaf = issue_leaf(request, self.keys.ca)
        return TlsKeyAnswer(leaf.key_pem, tuple(issued.pem for issued in (leaf, self.keys.ca, *self.keys.issuers)))

    def _evidence(self, data: bytes) -> tuple[tuple[str, bytes], ...]:
        """Older guests attach quote and log, newer ones the versioned attestation without most boot events."""
        if self.boot.generation < (0, 5, 6):
            return ("1", self.quote(data)), ("2", self.event_log().encode())
        envelope = encode_v0(self.quote(data), stripped(self.boot.shown_events()), data, self.vm_config)
        return (("8", envelope),)

    def emit_event(self, event: str, payload: bytes) -> None:
        if self.boot.generation >= (0, 6):
            raise ValueError("Service not found: EmitEvent")
        with self._lock:
            self.boot = replace(self.boot, app_events=(*self.boot.app_events, (event, payload)))
