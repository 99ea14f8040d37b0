"""What the contracts say now about any app of one KMS: what a cloud and its KMS ask before they act."""

from __future__ import annotations

from twinproof_devnet.boot_info import BootInfo
from twinproof_devnet.chain.abi import answer, call_data
from twinproof_devnet.chain.errors import RpcError
from twinproof_devnet.chain.governance import KmsContract

__all__ = ["ContractsNow"]


class ContractsNow:
    """On the newest state. An app without contract allows nothing."""

    def __init__(self, kms: KmsContract) -> None:
        self._kms, self._chain = kms, kms.chain

    @property
    def chain_id(self) -> int:
        return self._chain.chain_id

    @property
    def kms_contract(self) -> bytes:
        return self._kms.address

    @property
    def rpc_url(self) -> str:
        return self._chain.url

    def is_app_allowed(self, info: BootInfo) -> tuple[bool, str]:
        """DstackKms.isAppAllowed: whether keys may be released, and the reason why not."""
        try:
            return self._kms.is_app_allowed(info)
        except RpcError as error:
            return False, f"the contract cannot be asked: {error.message}"

    def is_registered(self, app_id: bytes) -> bool:
        return self._says(self._kms.address, "registeredApps(address)", app_id)

    def is_hash_allowed(self, app_id: bytes, compose_hash: bytes) -> bool:
        return self._says(app_id, "allowedComposeHashes(bytes32)", compose_hash)

    def is_device_allowed(self, app_id: bytes, device_id: bytes) -> bool:
        return self._says(app_id, "allowedDeviceIds(bytes32)", device_id)

    def allows_any_device(self, app_id: bytes) -> bool:
        return self._says(app_id, "allowAnyDevice()")

    def is_about(self, transaction: bytes, app_id: bytes) -> bool:
        """Whether this transaction (32 bytes) was included, succeeded, and the app's contract logged in it."""
        found = self._chain.ledger.transaction(transaction)
        if found is None or found[1] is None:
            return False
        receipt = found[1].receipts[found[2]]
        return receipt.status == 1 and any(log.address == app_id for log in receipt.logs)

    def _says(self, contract: bytes, signature: str, *values: object) -> bool:
        try:
            said = self._chain.call(contract, call_data(signature, *values))
        except RpcError:
            return False
        return len(said) >= 32 and bool(answer(["bool"], said)[0])
