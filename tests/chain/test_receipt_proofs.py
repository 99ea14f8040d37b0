"""Receipts of every type, proved against a receipts root that the library `trie` computed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import rlp

from small_trie import library_trie
from twinproof.chain.indexed_proof import IndexedProof, parse_indexed_proof
from twinproof.chain.log import Log
from twinproof.chain.receipt import Receipt
from twinproof.chain.receipt_proof import (
    ProvedLog,
    make_receipt_proof,
    proved_logs,
)
from twinproof.errors import Forged, Malformed
from twinproof.keccak import keccak256
from twinproof.wire import Fields

BLOCK = b"\x44" * 32


def receipt(index: int, kind: int = 2, *, logs: int = 2) -> Receipt:
    transaction = keccak256(bytes([index]))
    return Receipt(
        transaction_hash=transaction,
        transaction_index=index,
        block_number=16,
        block_hash=BLOCK,
        type=kind,
        succeeded=logs > 0,
        cumulative_gas_used=21000 * (index + 1),
        gas_used=21000,
        effective_gas_price=7,
        bloom=bytes(256),
        logs=tuple(
            Log(b"\x0a" * 20, (bytes([n]) * 32,), bytes([index, n]) * 16, 16, BLOCK, transaction, index, n)
            for n in range(logs)
        ),
        sender=b"\x01" * 20,
        to=b"\x02" * 20,
        contract_address=None,
        deposit_nonce=index if kind == 0x7E else None,
        deposit_receipt_version=1 if kind == 0x7E else None,
    )


def consensus_form(made: Receipt) -> bytes:
    """As the specifications write it, here with the library's integers."""
    items: list[object] = [
        int(made.succeeded),
        made.cumulative_gas_used,
        made.bloom,
        [[log.address, list(log.topics), log.data] for log in made.logs],
    ]
    if made.type == 0x7E:
        items += [made.deposit_nonce, made.deposit_receipt_version]
    return (bytes([made.type]) if made.type else b"") + bytes(rlp.encode(items))


RECEIPTS = [receipt(n, kind, logs=n % 3) for n, kind in enumerate([0x7E, 2, 0, 1, 3, 4] * 25)]
ROOT = bytes(
    library_trie({bytes(rlp.encode(made.transaction_index)): consensus_form(made) for made in RECEIPTS}).root_hash
)


@pytest.mark.parametrize("index", [0, 1, 2, 3, 4, 5, 127, 128, 149])
def test_a_receipt_of_every_type_is_proved_with_its_logs(index: int) -> None:
    proof = make_receipt_proof(RECEIPTS, index, ROOT)
    expected = tuple(ProvedLog(log.address, log.topics, log.data) for log in RECEIPTS[index].logs)
    assert proved_logs(proof, ROOT, "receipt") == expected
    assert parse_indexed_proof(Fields(proof.to_json(), "proof")) == proof


def test_a_block_of_one_transaction_is_its_own_root() -> None:
    only = [receipt(0)]
    root = keccak256(bytes(rlp.encode([b"\x20\x80", consensus_form(only[0])])))
    assert len(proved_logs(make_receipt_proof(only, 0, root), root, "receipt")) == 2


def test_receipts_of_which_one_is_changed_make_no_proof() -> None:
    changed = [*RECEIPTS]
    changed[7] = replace(changed[7], cumulative_gas_used=1)
    with pytest.raises(Forged, match="do not come out"):
        make_receipt_proof(changed, 1, ROOT)


@pytest.mark.parametrize("receipts", [RECEIPTS[:-1], [*RECEIPTS, receipt(len(RECEIPTS))]], ids=["missing", "surplus"])
def test_receipts_of_which_one_is_missing_or_surplus_make_no_proof(receipts: list[Receipt]) -> None:
    with pytest.raises(Forged):
        make_receipt_proof(receipts, 1, ROOT)


def test_receipts_out_of_order_make_no_proof() -> None:
    with pytest.raises(Malformed, match="in order"):
        make_receipt_proof(RECEIPTS[::-1], 1, ROOT)


def test_a_proof_for_another_place_is_refused() -> None:
    proof = make_receipt_proof(RECEIPTS, 5, ROOT)
    with pytest.raises(Forged):
        proved_logs(replace(proof, transaction_index=300), ROOT, "receipt")


def test_a_place_without_a_transaction_is_no_receipt() -> None:
    with pytest.raises(Forged, match="no transaction at this place"):
        proved_logs(
            IndexedProof(1, ()), bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"), "r"
        )


@pytest.mark.parametrize(
    "value",
    [
        b"\x05" + rlp.encode([1, 1, bytes(256), []]),
        b"\x02" + rlp.encode([2, 1, bytes(256), []]),
        b"\x02" + rlp.encode([1, 1, bytes(255), []]),
        b"\x02" + rlp.encode([1, 1, bytes(256), b""]),
        b"\x02" + rlp.encode([1, 1, bytes(256), [], 1]),
        b"\x02" + rlp.encode([1, 1, bytes(256), [[bytes(19), [], b""]]]),
        b"\x02" + rlp.encode([1, 1, bytes(256), [[bytes(20), [bytes(32)] * 5, b""]]]),
        b"\x02" + rlp.encode([0, 1, bytes(256), [[bytes(20), [], b""]]]),
        b"\x02",
    ],
    ids=["type", "status", "bloom", "logs", "surplus", "address", "topics", "reverted", "empty"],
)
def test_a_leaf_that_is_no_receipt_is_refused(value: bytes) -> None:
    leaf = bytes(rlp.encode([b"\x20\x80", value]))
    with pytest.raises(Malformed):
        proved_logs(IndexedProof(0, (leaf,)), keccak256(leaf), "receipt")
