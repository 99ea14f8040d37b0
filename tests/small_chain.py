"""Chain evidence for one attested instance, made of a small state and a block of three receipts; one thing is changed
at a time by the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import rlp

from small_log import APP, CODE, KMS, added
from small_trie import SmallState
from twinproof.chain import contracts
from twinproof.chain import storage_layout as layout
from twinproof.chain.abi import encode_words
from twinproof.chain.block import Header, decode_header
from twinproof.chain.evidence import AgreedBlock, AllowedBy, Call, ChainEvidence, PlainState, StateProof, Word
from twinproof.chain.questions import Attested, app_slots, kms_slots, plain_calls
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
LOG_BLOCK, STATE_BLOCK = 20, 64
Storage = Mapping[bytes, Mapping[bytes, int]]


def header(number: int, timestamp: int, *, state_root: bytes = bytes(32), receipts_root: bytes = bytes(32)) -> Header:
    hashes = [bytes([n]) * 32 for n in range(4)]
    return decode_header(
        bytes(
            rlp.encode(
                [
                    *(hashes[0], hashes[1], bytes(20), state_root, hashes[2], receipts_root, bytes(256)),
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


def allowed_by(attested: Attested = ATTESTED) -> AllowedBy:
    """The log in the second of three transactions of its block."""
    base = replace(added(attested.compose_hash, LOG_BLOCK, 2), address=attested.app_id, transaction_index=1)
    receipts = [
        Receipt(
            transaction_hash=base.transaction_hash if index == 1 else keccak256(bytes([index])),
            transaction_index=index,
            block_number=LOG_BLOCK,
            block_hash=bytes(32),
            type=2,
            succeeded=True,
            cumulative_gas_used=21000 * (index + 1),
            gas_used=21000,
            effective_gas_price=1,
            bloom=bytes(256),
            logs=(base,) if index == 1 else (),
            sender=bytes(20),
            to=attested.app_id,
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
    block = header(LOG_BLOCK, AT - 4000, receipts_root=root)
    return AllowedBy(agreed(block), replace(base, block_hash=block.hash), make_receipt_proof(receipts, 1, root))


def proved(attested: Attested = ATTESTED, state: Storage | None = None, *, at: int = AT) -> ChainEvidence:
    """Evidence with proofs and the log, as a run with three agreeing endpoints collects it."""
    made = SmallState(storage(attested) if state is None else state)
    return ChainEvidence(
        chain_id=TRUSTED.chain_id,
        kms=KMS,
        block=agreed(header(STATE_BLOCK, at - 1800, state_root=made.root)),
        proof=StateProof(made.proof(attested.app_id, *app_slots(attested)), made.proof(KMS, *kms_slots(attested))),
        allowed_by=allowed_by(attested),
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
    return PlainState(ENDPOINTS[0], tuple(calls), (Word(attested.app_id, layout.IMPLEMENTATION, word),))
