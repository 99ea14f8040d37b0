"""The chain that the cloud's KMS asks: DstackKms is there and allows the guest image; apps come when deployed."""

from __future__ import annotations

from typing import Self

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.contracts_now import ContractsNow
from twinproof_devnet.chain.devchain import CHAIN_ID, DevChain
from twinproof_devnet.chain.governance import KmsContract
from twinproof_devnet.image import Image
from twinproof_devnet.kms import Kms

__all__ = ["Contracts"]


class Contracts(ContractsNow):
    """Close it to stop the chain."""

    def __init__(self, kms: KmsContract) -> None:
        super().__init__(kms)
        self.kms, self.chain = kms, kms.chain

    @classmethod
    def start(cls, kms: Kms, *, chain_id: int = CHAIN_ID) -> Self:
        """A new chain. The KMS contract is deployed and final when this returns, and names the KMS's root keys."""
        chain = DevChain.start(chain_id=chain_id)
        contract = KmsContract.deploy(chain, DevAccount.create())
        ca = kms.ca.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        contract.set_info(kms.root_public_key, ca)
        contract.send("addKmsAggregatedMr(bytes32)", kms.key_provider.mr_kms)
        contract.allow_image(Image().os_image_hash)
        chain.settle()
        return cls(contract)

    def close(self) -> None:
        self.chain.close()
