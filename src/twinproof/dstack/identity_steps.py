"""The steps about identity: whose app, whose keys."""

from __future__ import annotations

from twinproof.dstack.app_compose import AppCompose
from twinproof.dstack.known_boots import Deployment
from twinproof.errors import Contradiction
from twinproof.ledger import Ledger
from twinproof.wire import shown

__all__ = ["check_app_id", "check_key_provider"]

_KIND_OF_EVENT_NAME = {"none": "none", "local-sgx": "local", "kms": "kms", "tpm": "tpm"}
_DERIVED_APP_ID = 20


def check_app_id(boot: Deployment, compose: AppCompose | None, ledger: Ledger) -> None:
    """Step 8. Guests before 0.6 measure the start of the compose hash, unless a KMS or a feature flag is in use."""
    derived = boot.compose_hash[:_DERIVED_APP_ID]
    with ledger.line("dstack.app_id") as entry:
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


def check_key_provider(boot: Deployment, compose: AppCompose | None, ledger: Ledger) -> None:
    """Step 11."""
    step_id = "dstack.key_provider"
    if compose is None:
        ledger.not_checked(
            step_id, f"the log says {boot.key_provider.name}; no measured app-compose text to hold it against"
        )
        return
    with ledger.line(step_id) as entry:
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
