"""What can be changed on a chain about an app, and what is known of a change that was made."""

from __future__ import annotations

from dataclasses import dataclass

from twinproof.chain.abi import Function
from twinproof.chain.contracts import ADD_COMPOSE_HASH, ADD_DEVICE, ALLOWED_COMPOSE_HASHES, ALLOWED_DEVICE_IDS
from twinproof.chain.events import Kind, topics
from twinproof.chain.log import Log
from twinproof.chain.receipt import Receipt
from twinproof.chain.values import hex_data

__all__ = ["Change", "NewApp", "Written", "allow_compose_hash", "allow_device"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of an app's contract: function and argument, the view that tells it is done, the log it leaves.

    `subject` is what is allowed: a compose hash, a device.
    """

    contract: bytes
    subject: str
    value: bytes
    function: Function
    view: Function
    topic: bytes

    @property
    def title(self) -> str:
        return f"allow {self.subject}"


@dataclass(frozen=True, slots=True)
class NewApp:
    """An app to deploy through the KMS's factory. Device and compose hash have 32 bytes and are not zero."""

    kms: bytes
    owner: bytes
    device_id: bytes
    compose_hash: bytes
    disable_upgrades: bool = False
    require_tcb_up_to_date: bool = False
    allow_any_device: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What was done, and that `value`, a `subject`, is allowed now.

    `already`: before this run; receipt and log are None where they are not known then.
    """

    chain_id: int
    contract: bytes
    title: str
    subject: str
    value: bytes
    receipt: Receipt | None
    log: Log | None
    finalized: bool = False
    already: bool = False

    def to_json(self) -> dict[str, object]:
        document: dict[str, object] = {
            "schema": "twinproof/chain-write/v1",
            "chain_id": self.chain_id,
            "contract": hex_data(self.contract),
            "change": self.title,
            "value": hex_data(self.value),
            "already": self.already,
            "finalized": self.finalized,
        }
        if self.log is not None:
            document |= {
                "transaction": hex_data(self.log.transaction_hash),
                "block": self.log.block_number,
                "block_hash": hex_data(self.log.block_hash),
                "log_index": self.log.log_index,
                "topic0": hex_data(self.log.topics[0]),
            }
        if self.receipt is not None:
            document |= {"gas_used": self.receipt.gas_used, "effective_gas_price": self.receipt.effective_gas_price}
        return document


def allow_compose_hash(app_id: bytes, compose_hash: bytes) -> Change:
    """`addComposeHash`: instances with these exact app-compose bytes may get the app's keys."""
    (topic,) = topics(Kind.COMPOSE_HASH_ADDED)
    return Change(app_id, "compose hash", compose_hash, ADD_COMPOSE_HASH, ALLOWED_COMPOSE_HASHES, topic)


def allow_device(app_id: bytes, device_id: bytes) -> Change:
    """`addDevice`: instances on this machine may get the app's keys."""
    (topic,) = topics(Kind.DEVICE_ADDED)
    return Change(app_id, "device", device_id, ADD_DEVICE, ALLOWED_DEVICE_IDS, topic)
