"""What has to be asked about one instance: the slots for `eth_getProof`, and the calls where no proof is wanted."""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.chain import contracts
from twinproof.chain import storage_layout as layout

__all__ = ["Attested", "app_slots", "cross_check", "kms_slots", "plain_calls"]


@dataclass(frozen=True, slots=True)
class Attested:
    """What the hardware signed about one instance, and what the chain is asked about. Raw bytes.

    `kms_root` is the DER SubjectPublicKeyInfo in the key-provider event, None when the keys are from no KMS.
    `os_image_hash` is None where the event log names none.
    """

    app_id: bytes
    compose_hash: bytes
    device_id: bytes
    os_image_hash: bytes | None
    kms_root: bytes | None
    key_provider: str = "kms"


def app_slots(attested: Attested) -> tuple[bytes, ...]:
    """The slots of the app's proxy, 32 bytes each."""
    return (
        layout.IMPLEMENTATION,
        layout.APP_FLAGS,
        layout.compose_hash_slot(attested.compose_hash),
        layout.device_slot(attested.device_id),
    )


def kms_slots(attested: Attested) -> tuple[bytes, ...]:
    """The slots of the KMS's proxy; of its public key as many as the attested one needs."""
    slots = [
        layout.IMPLEMENTATION,
        layout.KMS_APP_IMPLEMENTATION,
        layout.registered_app_slot(attested.app_id),
        *layout.bytes_slots(layout.KMS_CA_PUBKEY, len(attested.kms_root or b"")),
    ]
    if attested.os_image_hash is not None:
        slots.append(layout.os_image_slot(attested.os_image_hash))
    return tuple(slots)


def cross_check(attested: Attested) -> tuple[tuple[bytes, bytes], ...]:
    """The `eth_call` beside proofs: what the contract itself answers about a slot that is proved."""
    return ((attested.app_id, contracts.ALLOWED_COMPOSE_HASHES.call(attested.compose_hash)),)


def plain_calls(attested: Attested, kms: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """(contract, input) of every `eth_call`; beside them `eth_getStorageAt` is asked for the implementations' slots."""
    app = attested.app_id
    calls = [
        (app, contracts.ALLOWED_COMPOSE_HASHES.call(attested.compose_hash)),
        (app, contracts.ALLOWED_DEVICE_IDS.call(attested.device_id)),
        (app, contracts.ALLOW_ANY_DEVICE.call()),
        (kms, contracts.REGISTERED_APPS.call(app)),
        (kms, contracts.APP_IMPLEMENTATION.call()),
        (kms, contracts.KMS_INFO.call()),
    ]
    if attested.os_image_hash is not None:
        calls.append((kms, contracts.ALLOWED_OS_IMAGES.call(attested.os_image_hash)))
    return tuple(calls)
