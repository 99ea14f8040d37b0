"""The chain of a world: its KMS and its app are on it, and no instance gets keys that the contracts do not allow."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twinproof_devnet.boot_info import BootInfo, boot_info
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.devchain import DevChain, Sent
from twinproof_devnet.chain.endpoint import Endpoint
from twinproof_devnet.chain.errors import RpcError
from twinproof_devnet.chain.generations import Generation
from twinproof_devnet.chain.governance import AppContract, KmsContract
from twinproof_devnet.confidential_vm import ConfidentialVm
from twinproof_devnet.faults import Fault
from twinproof_devnet.kms import Kms
from twinproof_devnet.provision import BootRefused

__all__ = ["WorldChain"]


class WorldChain:
    """One KMS, one app, one owner of both. Closing it closes its endpoints."""

    def __init__(self, chain: DevChain, kms: KmsContract, app: AppContract) -> None:
        self.chain, self.kms, self.app = chain, kms, app

    @classmethod
    def start(
        cls,
        chain: DevChain,
        kms: Kms,
        *,
        device_ids: Sequence[bytes],
        compose_hash: bytes,
        os_image_hash: bytes,
        generation: Generation = Generation.AUDITED,
    ) -> WorldChain:
        """Everything is deployed, allowed and final when this returns."""
        owner = DevAccount.create()
        contract = KmsContract.deploy(chain, owner, generation)
        ca = kms.ca.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        contract.set_info(kms.root_public_key, ca)
        contract.send("addKmsAggregatedMr(bytes32)", kms.key_provider.mr_kms)
        contract.allow_image(os_image_hash)
        app = contract.deploy_app(owner, device_id=device_ids[0], compose_hash=compose_hash)
        for device_id in device_ids[1:]:
            app.add_device(device_id)
        chain.settle()
        return cls(chain, contract, app)

    @property
    def url(self) -> str:
        """Of the first endpoint."""
        return self.chain.url

    def endpoints(self, count: int) -> list[Endpoint]:
        """At least so many; each can be switched to lie."""
        return self.chain.endpoints(count)

    @property
    def rpc(self) -> list[Endpoint]:
        """All endpoints that there are: rpc1, rpc2, ..."""
        return self.chain.endpoints(0)

    def switch(self, fault: Fault, endpoint: str | None = None, *, on: bool = True) -> None:
        """Switch a fault on or off, at one endpoint or at all."""
        for number, one in enumerate(self.rpc, start=1):
            if endpoint in {None, f"rpc{number}"}:
                one.switch(fault, on=on)

    @property
    def chain_id(self) -> int:
        return self.chain.chain_id

    @property
    def app_id(self) -> bytes:
        return self.app.address

    @property
    def owner(self) -> DevAccount:
        """Of the app."""
        return self.app.owner

    def gate(self, vm: ConfidentialVm, faults: frozenset[Fault]) -> None:
        """Raises BootRefused with the contract's reason, as the KMS then gives no keys."""
        try:
            allowed, reason = self.is_app_allowed(boot_info(vm, faults))
        except RpcError as error:
            raise BootRefused(f"the contract cannot be asked: {error.message}") from None
        if not allowed:
            raise BootRefused(f"the KMS gave no keys to {vm.host.name}: {reason}")

    def is_app_allowed(self, info: BootInfo) -> tuple[bool, str]:
        """Whether the KMS may give keys, and why not."""
        return self.kms.is_app_allowed(info)

    def allow(self, compose_hash: bytes) -> Sent:
        return self.app.allow(compose_hash)

    def remove(self, compose_hash: bytes) -> Sent:
        return self.app.remove(compose_hash)

    def allow_dark_hash(self) -> bytes:
        """Of no compose file that anyone has published; the hash."""
        return self.app.allow_dark_hash()

    def add_device(self, device_id: bytes) -> Sent:
        return self.app.add_device(device_id)

    def remove_device(self, device_id: bytes) -> Sent:
        return self.app.remove_device(device_id)

    def transfer_owner(self, to: DevAccount, *, accept: bool = True) -> Sent:
        return self.app.transfer_owner(to, accept=accept)

    def upgrade(self, generation: Generation = Generation.AUDITED) -> Sent:
        """The app's contract, to new code."""
        return self.app.upgrade(generation)

    def mine(self, count: int = 1) -> None:
        self.chain.mine(count)

    def finalize(self) -> None:
        """Make everything up to now final."""
        self.chain.mine(self.chain.ledger.depths.finalized)

    def reorg(self, depth: int, *, keep: bool = True) -> None:
        self.chain.reorg(depth, keep=keep)

    def write_key(self, path: Path) -> None:
        """The owner's, for its owner only."""
        with suppress(FileNotFoundError):
            path.unlink()
        self.owner.write(path)

    def close(self) -> None:
        """Stop serving."""
        self.chain.close()
