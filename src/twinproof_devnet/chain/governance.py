"""DstackKms and DstackApp on the chain, and what their owners can do."""

from __future__ import annotations

import secrets

from eth_abi.abi import encode

from twinproof_devnet.boot_info import BootInfo
from twinproof_devnet.chain.abi import APP_BOOT_INFO, answer, call_data, topic
from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.compiler import artifacts
from twinproof_devnet.chain.devchain import DevChain, Reverted, Sent
from twinproof_devnet.chain.generations import Generation

__all__ = ["AppContract", "KmsContract"]

_NOBODY = bytes(20)


def _tuple(info: BootInfo) -> tuple[object, ...]:
    """As the tuple of the ABI."""
    return (
        info.app_id,
        info.compose_hash,
        info.instance_id,
        info.device_id,
        info.mr_aggregated,
        info.mr_system,
        info.os_image_hash,
        info.tcb_status,
        list(info.advisory_ids),
    )


class _Contract:
    """A proxy and whoever may change it."""

    def __init__(self, chain: DevChain, address: bytes, owner: DevAccount) -> None:
        self.chain, self.address, self.owner = chain, address, owner

    def send(self, signature: str, *values: object, by: DevAccount | None = None) -> Sent:
        """By the owner unless someone else is named. Raises RpcError with the reason when it is reverted."""
        return self.chain.transact(by or self.owner, self.address, call_data(signature, *values))

    def read(self, signature: str, types: list[str], *values: object) -> tuple[object, ...]:
        """On the newest state. Raises RpcError."""
        return answer(types, self.chain.call(self.address, call_data(signature, *values)))

    def _is(self, signature: str, key: bytes) -> bool:
        return bool(self.read(signature, ["bool"], key)[0])

    def transfer_owner(self, to: DevAccount, *, accept: bool = True) -> Sent:
        """In one or two transactions, as the generation wants; without the second unless `accept`. The last one.

        Whoever has no money gets some first.
        """
        if self.chain.ledger.engine.account(self.chain.ledger.head.header, to.address).balance == 0:
            self.chain.fund(to.address)
        sent = self.send("transferOwnership(address)", to.address)
        if any(log.topics[0] == topic("OwnershipTransferStarted(address,address)") for log in sent.receipt.logs):
            if not accept:
                return sent
            sent = self.send("acceptOwnership()", by=to)
        self.owner = to
        return sent

    def is_app_allowed(self, info: BootInfo) -> tuple[bool, str]:
        """And the reason, if not."""
        allowed, reason = self.read(f"isAppAllowed({APP_BOOT_INFO})", ["bool", "string"], _tuple(info))
        return bool(allowed), str(reason)


class AppContract(_Contract):
    """One app: its address is the app id."""

    def allow(self, compose_hash: bytes) -> Sent:
        return self.send("addComposeHash(bytes32)", compose_hash)

    def remove(self, compose_hash: bytes) -> Sent:
        return self.send("removeComposeHash(bytes32)", compose_hash)

    def allow_dark_hash(self) -> bytes:
        """Of no compose file that anyone has published; the hash."""
        dark = secrets.token_bytes(32)
        self.allow(dark)
        return dark

    def is_allowed(self, compose_hash: bytes) -> bool:
        return self._is("allowedComposeHashes(bytes32)", compose_hash)

    def add_device(self, device_id: bytes) -> Sent:
        return self.send("addDevice(bytes32)", device_id)

    def remove_device(self, device_id: bytes) -> Sent:
        return self.send("removeDevice(bytes32)", device_id)

    def set_allow_any_device(self, *, allowed: bool) -> Sent:
        return self.send("setAllowAnyDevice(bool)", allowed)

    def set_require_tcb_up_to_date(self, *, required: bool) -> Sent:
        return self.send("setRequireTcbUpToDate(bool)", required)

    def disable_upgrades(self) -> Sent:
        return self.send("disableUpgrades()")

    def upgrade(self, generation: Generation = Generation.AUDITED) -> Sent:
        """To new code of this generation."""
        code = _created(self.chain.transact(self.owner, None, artifacts(generation)["dstack_app"].init))
        return self.send("upgradeToAndCall(address,bytes)", code, b"")


class KmsContract(_Contract):
    """The KMS and its factory of apps."""

    @classmethod
    def deploy(cls, chain: DevChain, owner: DevAccount, generation: Generation = Generation.AUDITED) -> KmsContract:
        """Implementations, proxy and factory, by the chain's deployer; funds the owner."""
        code, deployer = artifacts(generation), chain.deployer
        app, blueprint = (
            _created(chain.transact(deployer, None, data))
            for data in (code["dstack_app"].init, code["erc1967_proxy"].blueprint)
        )
        kms = _created(chain.transact(deployer, None, code["dstack_kms"].init + encode(["address"], [blueprint])))
        first_call = call_data("initialize(address,address)", owner.address, app)
        created = encode(["address", "bytes"], [kms, first_call])
        address = _created(chain.transact(deployer, None, code["erc1967_proxy"].init + created))
        if owner.address != deployer.address:
            chain.fund(owner.address, 100)
        return cls(chain, address, owner)

    def set_info(self, k256: bytes, ca: bytes, quote: bytes = b"", event_log: bytes = b"") -> Sent:
        """The root public keys: SEC1 of secp256k1, and the CA's SubjectPublicKeyInfo."""
        return self.send("setKmsInfo((bytes,bytes,bytes,bytes))", (k256, ca, quote, event_log))

    def allow_image(self, os_image_hash: bytes) -> Sent:
        return self.send("addOsImageHash(bytes32)", os_image_hash)

    def deploy_app(
        self,
        owner: DevAccount,
        *,
        device_id: bytes = bytes(32),
        compose_hash: bytes = bytes(32),
        allow_any_device: bool = False,
        disable_upgrades: bool = False,
        require_tcb: bool | None = None,
    ) -> AppContract:
        """By the app's owner through the factory: with five arguments, or with six when `require_tcb` is said."""
        flags = [disable_upgrades, *([] if require_tcb is None else [require_tcb]), allow_any_device]
        types = ",".join(["address", *(["bool"] * len(flags)), "bytes32", "bytes32"])
        sent = self.send(f"deployAndRegisterApp({types})", owner.address, *flags, device_id, compose_hash, by=owner)
        last = sent.receipt.logs[-1]
        if last.topics[0] != topic("AppDeployedViaFactory(address,address)"):
            raise Reverted("the factory's last log is another than AppDeployedViaFactory")
        return AppContract(self.chain, last.topics[1][12:], owner)


def _created(sent: Sent) -> bytes:
    if sent.receipt.contract is None:
        raise Reverted("the transaction created no contract")
    return sent.receipt.contract
