"""A node starts a VM: guest image, app-compose text, disk, and keys only if the contracts allow this very boot."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from twinproof_devnet.boot import Boot
from twinproof_devnet.boot_info import boot_info
from twinproof_devnet.cloud.app_text import container_environment, container_image
from twinproof_devnet.cloud.contracts import Contracts
from twinproof_devnet.cloud.cvm import Cvm
from twinproof_devnet.confidential_vm import ConfidentialVm
from twinproof_devnet.faults import FRONT_FAULTS, Fault
from twinproof_devnet.firmware import Shape
from twinproof_devnet.image import Image
from twinproof_devnet.kms import Kms
from twinproof_devnet.provision import OTHER_VERSION, made_boot, made_vm
from twinproof_devnet.registry import Registry
from twinproof_devnet.running_instance import Container

__all__ = ["Bootloader", "NoKeys"]

_KEY_BYTES, _NONCE_BYTES = 32, 12


class NoKeys(Exception):
    """The KMS refuses, with its reason: the guest does not come up."""


class Bootloader:
    """`faults` gives those of a node, by its name; `clock` unix seconds."""

    def __init__(
        self,
        kms: Kms,
        contracts: Contracts,
        registry: Registry,
        *,
        clock: Callable[[], int],
        faults: Callable[[str], frozenset[Fault]],
    ) -> None:
        self.kms, self.contracts, self.registry = kms, contracts, registry
        self._clock, self._faults = clock, faults

    def boot(self, cvm: Cvm) -> None:
        """Stop what runs and start what the CVM says. Raises NoKeys, and AppError when its app does not come up."""
        cvm.instance.stop()
        faults = self._faults(cvm.node.name)
        if Fault.KMS_DOWN in faults:
            raise NoKeys("the KMS does not answer")
        vm = self._vm(cvm, faults)
        allowed, reason = self.contracts.is_app_allowed(boot_info(vm, faults))
        if not allowed:
            raise NoKeys(reason)
        secrets = decrypted(cvm.encrypted_env, self.kms.env_key(cvm.app_id))
        names = set(json.loads(vm.app_compose)["allowed_envs"])
        environment = container_environment(vm.app_compose, {key: secrets[key] for key in secrets.keys() & names})
        cvm.instance.boot(vm, Container(self.registry.pull(container_image(vm.app_compose)), environment))
        cvm.instance.show(faults & FRONT_FAULTS)

    def _vm(self, cvm: Cvm, faults: frozenset[Fault]) -> ConfidentialVm:
        shape = Shape(cpu_count=cvm.resources.vcpu, memory_size=cvm.resources.memory << 20)
        image = Image(OTHER_VERSION) if Fault.WRONG_IMAGE in faults else Image()
        boot = Boot(
            app_compose=cvm.text,
            app_id=cvm.app_id,
            instance_id_seed=cvm.seed,
            key_provider=self.kms.key_provider,
            image=image,
            shape=shape,
        )
        return made_vm(cvm.node.host, made_boot(boot, faults), self.kms.release(cvm.app_id), faults, self._clock)


def decrypted(blob: bytes, key: X25519PrivateKey) -> Mapping[str, str]:
    """The variables in an encrypted environment: ephemeral key, nonce, ciphertext. NoKeys: it is not for this app."""
    if not blob:
        return {}
    public, nonce, ciphertext = blob[:_KEY_BYTES], blob[_KEY_BYTES:][:_NONCE_BYTES], blob[_KEY_BYTES + _NONCE_BYTES :]
    try:
        shared = key.exchange(X25519PublicKey.from_public_bytes(public))
        plain = json.loads(AESGCM(shared).decrypt(nonce, ciphertext, None))
        return {str(item["key"]): str(item["value"]) for item in plain["env"]}
    except (ValueError, KeyError, TypeError, InvalidTag) as error:
        raise NoKeys("the encrypted environment cannot be decrypted") from error
