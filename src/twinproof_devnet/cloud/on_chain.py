"""What the contracts say, as the API tells it: 465 before they allow something, 467 and 468 when they do not."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twinproof_devnet.cloud.contracts import Contracts
from twinproof_devnet.cloud.cvm import Proposal
from twinproof_devnet.cloud.node import Node
from twinproof_devnet.cloud.problems import Json, Problem
from twinproof_devnet.faults import Fault
from twinproof_devnet.kms import Kms

__all__ = ["ALREADY_REGISTERED", "OnChain"]

ALREADY_REGISTERED = "already-registered"
"""Instead of a transaction hash: only the contracts' state counts."""


class OnChain:
    """`prefix` is the API's URL, for the links in a 465."""

    def __init__(self, contracts: Contracts, kms: Kms) -> None:
        self.contracts, self._kms = contracts, kms
        self.prefix = ""

    def kms_info(self, node: Node) -> dict[str, Json]:
        return {
            "id": node.kms_slug,
            "slug": node.kms_slug,
            "url": f"https://kms.{node.name}.devnet.invalid",
            "version": "v0.5.8",
            "chain_id": self.contracts.chain_id,
            "kms_contract_address": f"0x{self.contracts.kms_contract.hex()}",
            "gateway_app_id": None,
        }

    def chain(self) -> dict[str, Json]:
        """A chain as viem describes one."""
        return {
            "id": self.contracts.chain_id,
            "name": "twinproof devnet",
            "nativeCurrency": {"name": "Ether", "symbol": "ETH", "decimals": 18},
            "rpcUrls": {"default": {"http": [self.contracts.rpc_url]}},
            "contracts": {"multicall3": {"address": "0xcA11bde05977b3631167028862bE2a173976CA11"}},
        }

    def env_public_key(self, app_id: bytes, faults: frozenset[Fault]) -> tuple[bytes, bytes]:
        """32 bytes and the KMS's signature, 65 bytes; the signature is not one over it while the server lies."""
        if Fault.KMS_DOWN in faults:
            raise Problem(503, "the KMS does not answer")
        public, signature = self._kms.env_public_key(app_id)
        if Fault.FOREIGN_ENV_KEY in faults:
            own = X25519PrivateKey.generate().public_key()
            public = own.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return public, signature

    def allows(self, app_id: bytes, compose_hash: str, node: Node) -> bool:
        return all(self._status(app_id, compose_hash, node))

    def _status(self, app_id: bytes, compose_hash: str, node: Node) -> tuple[bool, bool]:
        device = self.contracts.allows_any_device(app_id) or self.contracts.is_device_allowed(
            app_id, node.claimed_device_id
        )
        return self.contracts.is_hash_allowed(app_id, bytes.fromhex(compose_hash)), device

    def required(self, app_id: bytes, proposal: Proposal, path: str) -> Problem:
        """465: the chain has to allow this first."""
        compose, device = self._status(app_id, proposal.compose_hash, proposal.node)
        url = f"{self.prefix}{path}"
        return Problem(
            465,
            "on-chain registration of the compose hash is required",
            code="ERR-01-005",
            details={
                "compose_hash": proposal.compose_hash,
                "app_id": app_id.hex(),
                "device_id": proposal.node.claimed_device_id.hex(),
                "kms_info": {**self.kms_info(proposal.node), "chain": self.chain()},
                "commit_token": proposal.token,
                "commit_url": url,
                "api_commit_url": url,
                "onchain_status": {
                    "compose_hash_allowed": compose,
                    "device_id_allowed": device,
                    "is_allowed": compose and device,
                },
            },
        )

    def check_transaction(self, app_id: bytes, transaction: str) -> None:
        """Raises Problem 467 unless it succeeded and the app's contract logged in it."""
        if transaction in {"", ALREADY_REGISTERED}:
            return
        try:
            known = self.contracts.is_about(bytes.fromhex(transaction.removeprefix("0x")), app_id)
        except ValueError:
            known = False
        if not known:
            raise Problem(
                467,
                "the transaction was not included, failed, or is about another contract",
                code="ERR-01-007",
                details={"transaction_hash": transaction},
            )

    def require(self, app_id: bytes, compose_hash: str) -> None:
        """Raises Problem 468 unless the app's contract allows the hash now."""
        if not self.contracts.is_registered(app_id):
            raise Problem(468, f"app {app_id.hex()} is not registered at the KMS contract", code="ERR-01-008")
        if not self.contracts.is_hash_allowed(app_id, bytes.fromhex(compose_hash)):
            details: dict[str, Json] = {"compose_hash": compose_hash, "app_id": app_id.hex()}
            raise Problem(
                468, "the app's contract does not allow this compose hash", code="ERR-01-008", details=details
            )

    def is_allowed(self, app_id: bytes, compose_hash: str, node: Node) -> dict[str, Json]:
        """As /is-allowed answers."""
        compose, device = self._status(app_id, compose_hash, node)
        return {
            "app_contract_address": f"0x{app_id.hex()}",
            "compose_hash": compose_hash,
            "device_id": node.claimed_device_id.hex(),
            "compose_hash_allowed": compose,
            "allow_any_device": self.contracts.allows_any_device(app_id),
            "device_id_allowed": device,
            "is_allowed": compose and device,
        }
