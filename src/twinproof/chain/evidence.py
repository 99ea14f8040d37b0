"""What was read from a chain for one instance, as exact bytes, so that it can be judged again without the chain.

A member of the evidence bundle. Nothing in it says which chain or KMS is to be believed, and in a file the names of the
endpoints are the word of whoever wrote it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from twinproof.chain.account_proof import AccountProof, parse_account_proof
from twinproof.chain.block import Header, decode_header
from twinproof.chain.indexed_proof import IndexedProof, parse_indexed_proof
from twinproof.chain.log import Log, parse_log
from twinproof.chain.values import MAX_WORD, data, hex_data, hex_quantity, quantity
from twinproof.errors import Malformed
from twinproof.wire import Fields, shown

__all__ = ["AgreedBlock", "Call", "ChainEvidence", "PlacedLog", "PlainState", "StateProof", "Word", "parse_evidence"]

_MOST_ENDPOINTS = 64
_MOST_ANSWERS = 256
_MAX_ANSWER = 1 << 20
_MAX_HEADER = 1 << 12


@dataclass(frozen=True, slots=True)
class AgreedBlock:
    """A block, the hash (32 bytes) on which `agreed` of the `asked` endpoints agree, and why the others do not."""

    header: Header
    hash: bytes
    asked: tuple[str, ...]
    agreed: tuple[str, ...]
    finalized: bool
    dissent: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, object]:
        return {
            "header": hex_data(self.header.rlp),
            "hash": hex_data(self.hash),
            "asked": list(self.asked),
            "agreed": list(self.agreed),
            "finalized": self.finalized,
            "dissent": [{"endpoint": name, "reason": reason} for name, reason in self.dissent],
        }


@dataclass(frozen=True, slots=True)
class StateProof:
    """`eth_getProof` of the app's and the KMS's proxy at the agreed block."""

    app: AccountProof
    kms: AccountProof


@dataclass(frozen=True, slots=True)
class Call:
    """One `eth_call`: to whom (20 bytes), with what input, and the output or the data of the revert."""

    to: bytes
    input: bytes
    output: bytes
    reverted: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """One `eth_getStorageAt`."""

    address: bytes
    slot: bytes
    value: int


@dataclass(frozen=True, slots=True)
class PlainState:
    """Answers without proof: one endpoint's word, at the agreed block."""

    endpoint: str
    calls: tuple[Call, ...]
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class PlacedLog:
    """A log that matters, its block, and the proofs of its receipt and of its transaction.

    Without the first the log is an endpoint's word, without the second the transaction's hash and sender are.
    """

    block: AgreedBlock
    log: Log
    receipt: IndexedProof | None = None
    transaction: IndexedProof | None = None

    def to_json(self) -> dict[str, object]:
        log = self.log
        members: dict[str, object] = {
            "block": self.block.to_json(),
            "log": {
                "address": hex_data(log.address),
                "topics": [hex_data(topic) for topic in log.topics],
                "data": hex_data(log.data),
                "blockNumber": hex_quantity(log.block_number),
                "blockHash": hex_data(log.block_hash),
                "transactionHash": hex_data(log.transaction_hash),
                "transactionIndex": hex_quantity(log.transaction_index),
                "logIndex": hex_quantity(log.log_index),
            },
        }
        if self.receipt is not None:
            members["receipt"] = self.receipt.to_json()
        if self.transaction is not None:
            members["transaction"] = self.transaction.to_json()
        return members


@dataclass(frozen=True, slots=True)
class ChainEvidence:
    """`kms` is the contract that was asked, 20 bytes. At least one of `proof` and `plain` is there.

    Beside a proof `plain` holds the contract's own answer about the compose hash, in the words of enough endpoints.
    """

    chain_id: int
    kms: bytes
    block: AgreedBlock
    proof: StateProof | None = None
    plain: PlainState | None = None
    allowed_by: PlacedLog | None = None
    """The log that added the compose hash, since which nobody removed it by the logs of the endpoints `unbroken`."""
    unbroken: tuple[str, ...] = ()
    created_by: PlacedLog | None = None
    """The KMS's log that its factory made the app's contract."""
    stored: bool = False
    """Read from a file: who agreed is then somebody's word."""

    def from_file(self) -> ChainEvidence:
        return replace(self, stored=True)

    def to_json(self) -> dict[str, object]:
        members: dict[str, object] = {
            "chain_id": self.chain_id,
            "kms": hex_data(self.kms),
            "block": self.block.to_json(),
        }
        if self.proof is not None:
            members["proof"] = {"app": self.proof.app.to_json(), "kms": self.proof.kms.to_json()}
        if self.plain is not None:
            members["plain"] = {
                "endpoint": self.plain.endpoint,
                "calls": [
                    {
                        "to": hex_data(call.to),
                        "input": hex_data(call.input),
                        "output": hex_data(call.output),
                        "reverted": call.reverted,
                    }
                    for call in self.plain.calls
                ],
                "words": [
                    {"address": hex_data(word.address), "slot": hex_data(word.slot), "value": hex_quantity(word.value)}
                    for word in self.plain.words
                ],
            }
        if self.allowed_by is not None:
            members["allowed_by"] = self.allowed_by.to_json()
            members["unbroken"] = list(self.unbroken)
        if self.created_by is not None:
            members["created_by"] = self.created_by.to_json()
        return members


def parse_evidence(fields: Fields) -> ChainEvidence:
    """Read the `chain` member of a bundle strictly: it is then `stored`. Raises Malformed, UsageError without rlp."""
    _only(fields, {"chain_id", "kms", "block", "proof", "plain", "allowed_by", "unbroken", "created_by"})
    if "proof" not in fields and "plain" not in fields:
        raise Malformed("neither proofs nor answers", where=fields.where, expected="proof or plain")
    proof = None
    if "proof" in fields:
        inner = fields.child("proof")
        _only(inner, {"app", "kms"})
        proof = StateProof(parse_account_proof(inner.child("app")), parse_account_proof(inner.child("kms")))
    return ChainEvidence(
        chain_id=fields.integer("chain_id", low=1),
        kms=data(fields, "kms", size=20),
        block=_block(fields.child("block")),
        proof=proof,
        plain=_plain(fields.child("plain")) if "plain" in fields else None,
        allowed_by=_placed(fields.child("allowed_by")) if "allowed_by" in fields else None,
        unbroken=_names(fields, "unbroken") if "unbroken" in fields else (),
        created_by=_placed(fields.child("created_by")) if "created_by" in fields else None,
        stored=True,
    )


def _block(fields: Fields) -> AgreedBlock:
    _only(fields, {"header", "hash", "asked", "agreed", "finalized", "dissent"})
    asked, agreed = _names(fields, "asked"), _names(fields, "agreed")
    if not set(agreed) <= set(asked):
        raise Malformed("an endpoint agreed that was not asked", where=f"{fields.where}.agreed")
    return AgreedBlock(
        header=decode_header(data(fields, "header", max_size=_MAX_HEADER), f"{fields.where}.header"),
        hash=data(fields, "hash", size=32),
        asked=asked,
        agreed=agreed,
        finalized=fields.boolean("finalized"),
        dissent=tuple(
            (_printable(entry, "endpoint"), _printable(entry, "reason"))
            for entry in fields.objects("dissent", max_items=_MOST_ENDPOINTS)
        ),
    )


def _plain(fields: Fields) -> PlainState:
    _only(fields, {"endpoint", "calls", "words"})
    return PlainState(
        endpoint=_printable(fields, "endpoint"),
        calls=tuple(
            Call(
                data(entry, "to", size=20),
                data(entry, "input", max_size=_MAX_ANSWER),
                data(entry, "output", max_size=_MAX_ANSWER),
                entry.boolean("reverted"),
            )
            for entry in fields.objects("calls", max_items=_MOST_ANSWERS)
        ),
        words=tuple(
            Word(data(entry, "address", size=20), data(entry, "slot", size=32), quantity(entry, "value", high=MAX_WORD))
            for entry in fields.objects("words", max_items=_MOST_ANSWERS)
        ),
    )


def _placed(fields: Fields) -> PlacedLog:
    _only(fields, {"block", "log", "receipt", "transaction"})
    return PlacedLog(
        block=_block(fields.child("block")),
        log=parse_log(fields.child("log")),
        receipt=parse_indexed_proof(fields.child("receipt")) if "receipt" in fields else None,
        transaction=parse_indexed_proof(fields.child("transaction")) if "transaction" in fields else None,
    )


def _only(fields: Fields, known: set[str]) -> None:
    unknown = set(fields.raw) - known
    if unknown:
        raise Malformed("unknown member", where=fields.where, got=shown(min(unknown), 40))


def _names(fields: Fields, name: str) -> tuple[str, ...]:
    names = fields.texts(name, max_items=_MOST_ENDPOINTS, max_chars=300)
    if len(set(names)) != len(names) or not all(text and text.isprintable() for text in names):
        raise Malformed("not names, each once", where=f"{fields.where}.{name}")
    return names


def _printable(fields: Fields, name: str) -> str:
    text = fields.text(name, max_chars=1000)
    if not text.isprintable():
        raise Malformed("not printable", where=f"{fields.where}.{name}", got=shown(text, 40))
    return text
