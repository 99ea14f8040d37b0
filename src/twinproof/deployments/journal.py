"""What a deployment has to remember from one attempt to the next: the app id, and what was signed.

Everything else is asked anew, of the chain and of the cloud. A signed transaction is kept before it is sent: sent again
it is the same transaction, so no crash at any moment makes a second contract. It holds no secret: what was signed is
public once it is sent, and does only what it says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from twinproof.errors import Malformed
from twinproof.wire import Fields, parse_object, shown, unhex

__all__ = ["MAX_BYTES", "Journal", "SignedTransaction", "parse_journal"]

SCHEMA = "twinproof/deploy-journal/v1"
MAX_BYTES = 1 << 20
_MAX_RAW = 128 * 1024
_MAX_REPLACED = 1000


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """`raw` as it is sent; the rest is what waiting for it needs."""

    raw: bytes
    sender: bytes
    nonce: int
    gas: int
    replaced: tuple[bytes, ...] = ()
    """Hashes of the same transaction at lower fees, newest first: one of them may be mined all the same."""


@dataclass(frozen=True, slots=True)
class Journal:
    """Of one app name, compose hash and chain. `transactions` are by what they are for: `contract`, `allow`, ..."""

    name: str
    compose_hash: bytes
    chain_id: int
    app_id: bytes | None = None
    transactions: Mapping[str, SignedTransaction] = field(default_factory=dict)

    def with_app(self, app_id: bytes) -> Journal:
        return replace(self, app_id=app_id)

    def with_transaction(self, label: str, transaction: SignedTransaction | None) -> Journal:
        """None forgets it: it was replaced, and can never be mined."""
        kept = {name: value for name, value in self.transactions.items() if name != label}
        return replace(self, transactions=kept if transaction is None else {**kept, label: transaction})

    def to_json(self) -> str:
        return (
            json.dumps(
                {
                    "schema": SCHEMA,
                    "name": self.name,
                    "compose_hash": self.compose_hash.hex(),
                    "chain_id": self.chain_id,
                    "app_id": self.app_id.hex() if self.app_id else "",
                    "transactions": {
                        label: {
                            "raw": item.raw.hex(),
                            "sender": item.sender.hex(),
                            "nonce": item.nonce,
                            "gas": item.gas,
                            "replaced": [transaction.hex() for transaction in item.replaced],
                        }
                        for label, item in self.transactions.items()
                    },
                },
                indent=1,
                sort_keys=True,
            )
            + "\n"
        )


def parse_journal(text: bytes, where: str) -> Journal:
    """Raises Malformed: a journal that cannot be read is not a journal that says nothing."""
    fields = parse_object(text, where, max_bytes=MAX_BYTES)
    schema = fields.text("schema", max_chars=100)
    if schema != SCHEMA:
        raise Malformed("unknown journal schema", where=f"{where}.schema", got=shown(schema), expected=SCHEMA)
    app_id = fields.hex("app_id", max_size=20)
    if len(app_id) not in (0, 20):
        raise Malformed("wrong length", where=f"{where}.app_id", got=f"{len(app_id)} bytes")
    table = fields.child("transactions")
    return Journal(
        name=fields.text("name", max_chars=100),
        compose_hash=fields.hex("compose_hash", size=32),
        chain_id=fields.integer("chain_id", low=1),
        app_id=app_id or None,
        transactions={label: _transaction(table.child(label)) for label in table.raw},
    )


def _transaction(fields: Fields) -> SignedTransaction:
    return SignedTransaction(
        raw=fields.hex("raw", max_size=_MAX_RAW),
        sender=fields.hex("sender", size=20),
        nonce=fields.integer("nonce"),
        gas=fields.integer("gas"),
        replaced=_replaced(fields) if "replaced" in fields else (),
    )


def _replaced(fields: Fields) -> tuple[bytes, ...]:
    where = f"{fields.where}.replaced"
    return tuple(unhex(text, where, size=32) for text in fields.texts("replaced", max_items=_MAX_REPLACED))
