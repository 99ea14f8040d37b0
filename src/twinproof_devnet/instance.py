"""What a guest agent knows about the VM it runs in. The world provides it, the guest agent serves it.

Quotes, logs and registers belong together: `quote` is signed over the registers that the event log leads to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Attester", "KeyAnswer", "Keys", "SignAnswer", "TlsKeyAnswer"]


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """GetKey: 32 bytes, and two recoverable signatures of 65 bytes (the second is empty without a KMS)."""

    key: bytes
    signature_chain: tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class SignAnswer:
    """Sign: 64 bytes, the chain [signature, key signature, app key signature], and the public key (33 or 32 bytes)."""

    signature: bytes
    signature_chain: tuple[bytes, bytes, bytes]
    public_key: bytes


@dataclass(frozen=True, slots=True)
class TlsKeyAnswer:
    """GetTlsKey: a fresh P-256 key (PEM, PKCS#8) and its certificates (PEM): leaf, app CA, KMS root CA."""

    key: str
    certificate_chain: tuple[str, ...]


class Keys(Protocol):
    """The app's keys, as a KMS released them to this VM. `ValueError` carries the guest agent's error text."""

    def get_key(self, path: str, purpose: str, algorithm: str) -> KeyAnswer:
        """`algorithm` is "", secp256k1, k256 or ed25519."""
        ...

    def sign(self, algorithm: str, data: bytes) -> SignAnswer:
        """`algorithm` is secp256k1, k256, secp256k1_prehashed or ed25519."""
        ...

    def public_key(self, algorithm: str) -> bytes:
        """Of the key that `sign` uses: 33 bytes SEC1 compressed, or 32 bytes for ed25519."""
        ...


class Attester(Protocol):
    """One confidential VM from the inside. Texts are served as they are."""

    @property
    def app_name(self) -> str: ...
    @property
    def app_id(self) -> bytes:
        """20 bytes."""
        ...

    @property
    def instance_id(self) -> bytes:
        """20 bytes, or empty."""
        ...

    @property
    def compose_hash(self) -> bytes:
        """32 bytes: SHA-256 of `app_compose`."""
        ...

    @property
    def app_compose(self) -> str: ...
    @property
    def os_image_hash(self) -> bytes: ...
    @property
    def vm_config(self) -> str:
        """JSON text."""
        ...

    @property
    def key_provider_info(self) -> str:
        """JSON text with `name` and `id`."""
        ...

    @property
    def mr_aggregated(self) -> bytes: ...
    @property
    def public_tcbinfo(self) -> bool:
        """Whether port 8090 shows `tcb_info` and `vm_config`."""
        ...

    @property
    def guest_version(self) -> str:
        """Of dstack, such as 0.5.8."""
        ...

    @property
    def keys(self) -> Keys: ...
    def quote(self, report_data: bytes) -> bytes:
        """A signed quote over up to 64 bytes, padded on the right with zeros. ValueError when longer."""
        ...

    def event_log(self) -> str:
        """JSON text in the form of GetQuote: digests of runtime events and payloads of boot events are blank."""
        ...

    def tcb_info(self) -> str:
        """JSON text in the form of Info: registers, the unstripped event log, app_compose."""
        ...

    def attestation(self, report_data: bytes) -> bytes:
        """Attest: a versioned attestation (V0)."""
        ...

    def app_cert(self) -> str:
        """PEM: a demonstration certificate whose key the quote in it is about (RA-TLS), and its issuers."""
        ...

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
        """GetTlsKey. ValueError when `not_before` is not earlier than `not_after` (unix seconds)."""
        ...

    def emit_event(self, event: str, payload: bytes) -> None:
        """Extend RTMR3, as any process of the app could on guests up to 0.5.11."""
        ...
