"""The chain that the cloud's KMS asks: DstackKms is there and allows the guest image; apps come when deployed."""

from __future__ import annotations

from threading import Event, Thread
from typing import Self

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twinproof_devnet.chain.accounts import DevAccount
from twinproof_devnet.chain.contracts_now import ContractsNow
from twinproof_devnet.chain.devchain import CHAIN_ID, DevChain
from twinproof_devnet.chain.engine_name import EngineName
from twinproof_devnet.chain.governance import KmsContract
from twinproof_devnet.chain.ledger import Depths
from twinproof_devnet.faults import Fault
from twinproof_devnet.image import Image
from twinproof_devnet.kms import Kms

__all__ = ["Contracts"]


_ENDPOINTS = 3
_DEPTHS = Depths()


class Contracts(ContractsNow):
    """Close it to stop the chain."""

    def __init__(self, kms: KmsContract) -> None:
        super().__init__(kms)
        self.kms, self.chain = kms, kms.chain
        self._closing = Event()
        self._miner: Thread | None = None

    @classmethod
    def start(
        cls,
        kms: Kms,
        *,
        chain_id: int = CHAIN_ID,
        depths: Depths = _DEPTHS,
        engine: EngineName = EngineName.PY_EVM,
    ) -> Self:
        """A new chain. The KMS contract is deployed and final when this returns, and names the KMS's root keys."""
        chain = DevChain.start(chain_id=chain_id, depths=depths, engine=engine)
        contract = KmsContract.deploy(chain, DevAccount.create())
        ca = kms.ca.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        contract.set_info(kms.root_public_key, ca)
        contract.send("addKmsAggregatedMr(bytes32)", kms.key_provider.mr_kms)
        contract.allow_image(Image().os_image_hash)
        chain.settle()
        return cls(contract)

    def switch(self, fault: Fault, endpoint: str | None, *, on: bool) -> None:
        """Switch a fault on or off, at rpc1, rpc2 or rpc3, or at all of them. Raises ValueError for another name."""
        endpoints = {f"rpc{number}": one for number, one in enumerate(self.chain.endpoints(_ENDPOINTS), start=1)}
        if endpoint is not None and endpoint not in endpoints:
            raise ValueError(f"fault {fault}: there is no endpoint {endpoint}; there are: {', '.join(endpoints)}")
        for name, one in endpoints.items():
            if endpoint in {None, name}:
                one.switch(fault, on=on)

    @property
    def rpc_urls(self) -> list[str]:
        """Of the endpoints: one alone is only its own word."""
        return [endpoint.url for endpoint in self.chain.endpoints(_ENDPOINTS)]

    def keep_mining(self, seconds: float) -> None:
        """A block every so often, until this is closed. Below one second the chain's clock runs ahead of ours."""
        self._miner = Thread(target=self._mine, args=(seconds,), daemon=True)
        self._miner.start()

    def _mine(self, seconds: float) -> None:
        while not self._closing.wait(seconds):
            self.chain.mine()

    def close(self) -> None:
        self._closing.set()
        if self._miner is not None:
            self._miner.join()
        self.chain.close()
