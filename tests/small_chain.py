"""Chain evidence for one attested instance, made of a small state and a block of three receipts; one thing is changed
at a time by the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import rlp

from small_log import APP, CODE, KMS, OWNER, added, log
from small_transactions import SENDER, TO, signed
from small_trie import SmallState
from twinproof.chain import contracts
from twinproof.chain import storage_layout as layout
from twinproof.chain.abi import encode_words
from twinproof.chain.block import Header, decode_header
from twinproof.chain.evidence import AgreedBlock, Call, ChainEvidence, PlacedLog, PlainState, StateProof, Word
from twinproof.chain.indexed_proof import make_indexed_proof
from twinproof.chain.log import Log
from twinproof.chain.questions import Attested, app_slots, cross_check, kms_slots, plain_calls
from twinproof.chain.receipt import Receipt
from twinproof.chain.receipt_proof import make_receipt_proof
from twinproof.chain.trie_builder import root_and_proof
from twinproof.chain.trusted import TrustedChain
from twinproof.keccak import keccak256

AT = 1_790_000_000
KMS_ROOT = bytes(range(91))
ATTESTED = Attested(APP, b"\x01" * 32, b"\xd1" * 32, b"\xe1" * 32, KMS_ROOT)
TRUSTED = TrustedChain(chain_id=31337, kms=KMS)
ENDPOINTS = ("rpc-a.example", "rpc-b.example", "rpc-c.example")
CREATED, LOG_BLOCK, STATE_BLOCK = 10, 20, 64
Storage = Mapping[bytes, Mapping[bytes, int]]


def header(
    number: int,
    timestamp: int,
    *,
    state_root: bytes = bytes(32),
    transactions_root: bytes = b"\2" * 32,
    receipts_root: bytes = bytes(32),
) -> Header:
    hashes = [bytes([n]) * 32 for n in range(4)]
    return decode_header(
        bytes(
            rlp.encode(
                [
                    *(hashes[0], hashes[1], bytes(20), state_root, transactions_root, receipts_root, bytes(256)),
                    *(0, number, 30_000_000, 0, timestamp, b"", hashes[3], bytes(8), 7, bytes(32)),
                ]
            )
        )
    )


def agreed(block: Header, *, endpoints: tuple[str, ...] = ENDPOINTS) -> AgreedBlock:
    return AgreedBlock(block, block.hash, ENDPOINTS, endpoints, finalized=True)


def byte_words(slot: bytes, value: bytes) -> dict[bytes, int]:
    """A `bytes` variable, as Solidity stores it."""
    if len(value) < 32:
        return {slot: int.from_bytes(value.ljust(31, b"\0") + bytes([2 * len(value)]), "big")}
    chunks = [value[at : at + 32].ljust(32, b"\0") for at in range(0, len(value), 32)]
    words = [2 * len(value) + 1, *(int.from_bytes(chunk, "big") for chunk in chunks)]
    return dict(zip(layout.bytes_slots(slot, len(value)), words, strict=True))


def storage(attested: Attested = ATTESTED, *, code: bytes = CODE) -> dict[bytes, dict[bytes, int]]:
    """What both contracts hold when everything is allowed."""
    as_word = int.from_bytes(code, "big")
    return {
        attested.app_id: {
            layout.IMPLEMENTATION: as_word,
            layout.compose_hash_slot(attested.compose_hash): 1,
            layout.device_slot(attested.device_id): 1,
        },
        KMS: {
            layout.IMPLEMENTATION: as_word,
            layout.KMS_APP_IMPLEMENTATION: as_word,
            layout.registered_app_slot(attested.app_id): 1,
            layout.os_image_slot(attested.os_image_hash or b""): 1,
            **byte_words(layout.KMS_CA_PUBKEY, attested.kms_root or b""),
        },
    }


def placed(written: Log, number: int) -> PlacedLog:
    """The log in the second of three transactions of a block, with the proofs of its receipt and its transaction."""
    sent = [signed(nonce=index) for index in range(3)]
    written = replace(written, transaction_index=1, transaction_hash=keccak256(sent[1]), block_number=number)
    receipts = [
        Receipt(
            transaction_hash=keccak256(sent[index]),
            transaction_index=index,
            block_number=number,
            block_hash=bytes(32),
            type=2,
            succeeded=True,
            cumulative_gas_used=21000 * (index + 1),
            gas_used=21000,
            effective_gas_price=1,
            bloom=bytes(256),
            logs=(written,) if index == 1 else (),
            sender=SENDER,
            to=TO,
            contract_address=None,
        )
        for index in range(3)
    ]
    forms = {
        bytes(rlp.encode(r.transaction_index)): b"\2"
        + bytes(rlp.encode([1, r.cumulative_gas_used, r.bloom, [[g.address, list(g.topics), g.data] for g in r.logs]]))
        for r in receipts
    }
    root, _ = root_and_proof(forms, b"")
    sent_root, _ = root_and_proof({bytes(rlp.encode(index)): raw for index, raw in enumerate(sent)}, b"")
    block = header(number, AT - 4000, receipts_root=root, transactions_root=sent_root)
    return PlacedLog(
        agreed(block),
        replace(written, block_hash=block.hash),
        make_receipt_proof(receipts, 1, root),
        make_indexed_proof(sent, 1, sent_root, "transaction", "block"),
    )


def allowed_by(attested: Attested = ATTESTED) -> PlacedLog:
    """The log that added the hash."""
    return placed(replace(added(attested.compose_hash, LOG_BLOCK, 2), address=attested.app_id), LOG_BLOCK)


def created_by(attested: Attested = ATTESTED) -> PlacedLog:
    """The KMS's log that its factory made the app."""
    signature = "AppDeployedViaFactory(address,address)"
    return placed(log(signature, at=(CREATED, 5), indexed=(attested.app_id, OWNER), address=KMS), CREATED)


def answered(attested: Attested = ATTESTED, *, allowed: bool = True) -> PlainState:
    """What the contract itself answers beside a proof."""
    output = encode_words(("bool",), (allowed,))
    return PlainState(", ".join(ENDPOINTS), tuple(Call(to, call, output) for to, call in cross_check(attested)))


def proved(attested: Attested = ATTESTED, state: Storage | None = None, *, at: int = AT) -> ChainEvidence:
    """Evidence with proofs and the log, as a run with three agreeing endpoints collects it."""
    held = storage(attested) if state is None else state
    made, mine = SmallState(held), layout.compose_hash_slot(attested.compose_hash)
    return ChainEvidence(
        chain_id=TRUSTED.chain_id,
        kms=KMS,
        block=agreed(header(STATE_BLOCK, at - 1800, state_root=made.root)),
        proof=StateProof(made.proof(attested.app_id, *app_slots(attested)), made.proof(KMS, *kms_slots(attested))),
        plain=answered(attested, allowed=held.get(attested.app_id, {}).get(mine) == 1),
        allowed_by=allowed_by(attested),
        unbroken=ENDPOINTS,
        created_by=created_by(attested),
    )


def plain(
    attested: Attested = ATTESTED,
    *,
    answers: Mapping[str, object] | None = None,
    no_code: bool = False,
    code: bytes = CODE,
) -> PlainState:
    """The same without proofs, from one endpoint; `answers` replaces some, by the function's name."""
    said: dict[str, object] = {
        "allowedComposeHashes": True,
        "allowedDeviceIds": True,
        "allowAnyDevice": False,
        "registeredApps": True,
        "appImplementation": code,
        "allowedOsImages": True,
        "kmsInfo": (b"\2" * 33, attested.kms_root or b"", b"quote", b"log"),
    }
    said |= answers or {}
    functions = {
        function.selector: function
        for function in vars(contracts).values()
        if getattr(function, "outputs", ()) and function.name in said
    }
    calls = []
    for to, call in plain_calls(attested, KMS):
        function = functions[call[:4]]
        value = said[function.name]
        output = encode_words(function.outputs, value if isinstance(value, tuple) else (value,))
        calls.append(Call(to, call, b"" if no_code and to == attested.app_id else output))
    word = 0 if no_code else int.from_bytes(code, "big")
    words = (Word(attested.app_id, layout.IMPLEMENTATION, word), Word(KMS, layout.IMPLEMENTATION, word))
    return PlainState(ENDPOINTS[0], tuple(calls), words)
