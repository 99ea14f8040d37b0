"""Which chain and which KMS contract are believed: never what the evidence itself names."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BASE_CHAIN_ID", "BASE_KMS", "TrustedChain"]

BASE_CHAIN_ID = 8453
BASE_KMS = bytes.fromhex("2f83172a49584c017f2b256f0fb2dca14126ba9c")
"""DstackKms of Phala Cloud's nodes on Base, 20 bytes. Source: Phala-Network/phala-cloud, issue 516."""


class TrustedChain(NamedTuple):
    """The chain id, the address of DstackKms (20 bytes), and what it takes to believe an answer."""

    chain_id: int = BASE_CHAIN_ID
    kms: bytes = BASE_KMS
    app_implementations: tuple[bytes, ...] = ()
    """Code of DstackApp (addresses) that is known beside the one that the KMS gives to new apps."""
    app_proxies: tuple[bytes, ...] = ()
    """Keccak-256 of the code of app contracts that are known proxies, though the KMS's factory did not make them."""
    kms_implementations: tuple[bytes, ...] = ()
    """Code of DstackKms (addresses) that is known; with any of them, other code is refused."""
    endpoints: int = 2
    """How many endpoints have to agree on a block."""
    max_age: int = 7200
    """Seconds between the block and the judgement. On Base a block is final after some 30 minutes."""

    def to_json(self) -> dict[str, object]:
        return {
            "chain_id": self.chain_id,
            "kms_contract": self.kms.hex(),
            "app_implementations": [address.hex() for address in self.app_implementations],
            "app_proxies": [code_hash.hex() for code_hash in self.app_proxies],
            "kms_implementations": [address.hex() for address in self.kms_implementations],
            "endpoints": self.endpoints,
            "max_age": self.max_age,
        }
