"""The steps about identity: whose app, which image, whose keys."""

from __future__ import annotations

from twinproof.dstack.app_compose import AppCompose
from twinproof.dstack.boot import Boot
from twinproof.dstack.vm_config import VmConfig, parse_vm_config
from twinproof.errors import Contradiction
from twinproof.ledger import Ledger
from twinproof.wire import shown

__all__ = ["check_app_id", "check_key_provider", "check_os_image_hash"]

_KIND_OF_EVENT_NAME = {"none": "none", "local-sgx": "local", "kms": "kms", "tpm": "tpm"}
_DERIVED_APP_ID = 20


def check_app_id(boot: Boot, compose: AppCompose | None, ledger: Ledger) -> None:
    """Step 8. Guests before 0.6 measure the start of the compose hash, unless a KMS or a feature flag is in use."""
    derived = boot.compose_hash[:_DERIVED_APP_ID]
    with ledger.group(), ledger.step("dstack.app_id") as entry:
        entry.got = boot.app_id.hex()
        entry.explain("app id", "the start of the compose hash" if boot.app_id == derived else "chosen when deploying")
        if boot.app_id == derived or boot.key_provider.name == "kms" or "0.6" in boot.generations:
            return
        if compose is None or "kms" in compose.features:
            entry.warning = "an app id chosen when deploying, on an old guest and without a KMS, is unusual"
            return
        raise Contradiction(
            "a guest of this version without a KMS cannot have this app id",
            where="event app-id",
            got=boot.app_id.hex(),
            expected=derived.hex(),
        )


def check_os_image_hash(vm_config: str | None, boot: Boot | None, ledger: Ledger) -> VmConfig | None:
    """Step 9; the VM configuration, read. The guest agent sends an empty text when the app keeps it private."""
    step_id = "dstack.os_image_hash"
    measured = boot.os_image_hash if boot else None
    if not vm_config:
        ledger.not_checked(step_id, "no vm_config in this evidence: nothing but the host could name the image")
        return None
    vm = None
    with ledger.group(), ledger.step(step_id) as entry:
        vm = parse_vm_config(vm_config)
        entry.explain("declared shape", vm.shape)
        entry.expected = measured.hex() if measured else ""
        entry.got = vm.os_image_hash.hex() if vm.os_image_hash else ""
        if measured is None:
            entry.not_checked = "no os-image-hash event (only a KMS answers one): the image is the host's word"
        elif vm.os_image_hash is None:
            entry.not_checked = "the vm_config names no image"
        elif vm.os_image_hash != measured:
            entry.warning = (
                f"the host names image {vm.os_image_hash.hex()}, the KMS allowed {measured.hex()}: only a pinned image"
                " or recomputed registers tell which one booted"
            )
    return vm


def check_key_provider(boot: Boot, compose: AppCompose | None, ledger: Ledger) -> None:
    """Step 10."""
    step_id = "dstack.key_provider"
    if compose is None:
        ledger.not_checked(
            step_id, f"the log says {boot.key_provider.name}; no measured app-compose text to hold it against"
        )
        return
    with ledger.group(), ledger.step(step_id) as entry:
        kind = _KIND_OF_EVENT_NAME[boot.key_provider.name]
        entry.got, entry.expected = kind, compose.key_provider
        entry.explain("key provider", boot.key_provider.raw.decode())
        if kind != compose.key_provider:
            raise Contradiction(
                "the keys came from another kind of provider than the compose file asks for",
                where="event key-provider",
                got=kind,
                expected=compose.key_provider,
            )
        if compose.key_provider_id and compose.key_provider_id != boot.key_provider.id_bytes:
            raise Contradiction(
                "the keys came from another provider than the compose file pins",
                where="event key-provider",
                got=shown(boot.key_provider.id),
                expected=shown(compose.key_provider_id.hex()),
            )
