"""Transactions of every type: their hash and who sent them are what their bytes say, never what an endpoint says."""

from __future__ import annotations

import pytest
import rlp
from eth_account import Account

from small_transactions import KEY, SENDER, TO, deposit_json, raw_deposit, signed, signed_json
from small_trie import library_trie
from twinproof.chain.indexed_proof import make_indexed_proof, parse_indexed_proof
from twinproof.chain.transaction import consensus_form, read_transaction
from twinproof.errors import EvidenceError, Forged, Malformed
from twinproof.keccak import keccak256
from twinproof.wire import Fields

SIGNED = [0, 1, 2, 3, 4]


def form(shown: dict[str, object]) -> bytes:
    return consensus_form(Fields(shown, "transaction"))


@pytest.mark.parametrize("kind", SIGNED)
def test_what_json_shows_is_encoded_as_it_was_signed(kind: int) -> None:
    assert form(signed_json(kind)) == signed(kind)


@pytest.mark.parametrize("kind", SIGNED)
def test_the_sender_is_who_signed(kind: int) -> None:
    found = read_transaction(signed(kind), "transaction")
    assert (found.type, found.sender, found.to, found.input) == (kind, SENDER, TO, bytes.fromhex("1234"))
    assert "0x" + found.hash.hex() == signed_json(kind)["hash"]


def test_a_transaction_from_before_chain_ids_were_signed_is_read() -> None:
    raw = bytes(
        Account.from_key(KEY)
        .sign_transaction({"nonce": 0, "gas": 1, "gasPrice": 1, "to": "0x" + TO.hex(), "value": 0, "data": b""})
        .raw_transaction
    )
    assert rlp.decode(raw)[6] in (b"\x1b", b"\x1c")
    assert read_transaction(raw, "transaction").sender == SENDER


def test_a_creation_has_no_recipient() -> None:
    assert read_transaction(signed(2, to=b""), "transaction").to is None


@pytest.mark.parametrize("name", ["from", "hash", "gasPrice", "blockNumber"])
def test_what_an_endpoint_says_beside_the_bytes_changes_nothing(name: str) -> None:
    assert form(signed_json() | {name: "0x" + "77" * 20}) == signed()


@pytest.mark.parametrize("name", ["nonce", "value", "gas", "to", "input", "maxFeePerGas", "r"])
def test_a_changed_member_is_another_transaction_of_another_sender(name: str) -> None:
    changed = form(signed_json() | {name: "0x" + "13" * 20})
    assert changed != signed()
    try:
        assert read_transaction(changed, "transaction").sender != SENDER
    except EvidenceError:
        assert name == "r"


@pytest.mark.parametrize("changes", [{}, {"mint": None}, {"isSystemTx": False}, {"isSystemTx": None}])
def test_a_deposit_is_hashed_as_its_specification_says_and_names_its_sender(changes: dict[str, object]) -> None:
    raw = form(deposit_json(**changes))
    assert raw == raw_deposit()
    found = read_transaction(raw, "deposit")
    assert (found.hash, found.sender.hex()) == (keccak256(raw), "deaddeaddeaddeaddeaddeaddeaddeaddead0001")


def test_a_deposit_that_mints_and_is_a_system_s_is_hashed_with_both() -> None:
    _, *items = rlp.decode(form(deposit_json(mint="0x5", isSystemTx=True))[1:])
    assert (items[2], items[5]) == (b"\x05", b"\x01")


@pytest.mark.parametrize("kind", [5, 0x7D, 0x7F])
def test_a_type_that_is_not_known_is_refused_and_never_guessed(kind: int) -> None:
    with pytest.raises(Malformed, match="type that is not known"):
        form(signed_json() | {"type": hex(kind)})
    with pytest.raises(Malformed, match="type that is not known"):
        read_transaction(bytes([kind]) + signed()[1:], "transaction")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x02",
        signed()[:-1],
        signed() + b"\0",
        signed(1)[1:],
        b"\x02" + bytes(rlp.encode(rlp.decode(signed()[1:])[:-1])),
        b"\x02" + bytes(rlp.encode([*rlp.decode(signed()[1:])[:-3], 2, 1, 1])),
        b"\x02" + bytes(rlp.encode([*rlp.decode(signed()[1:])[:-3], 0, 0, 1])),
        b"\x02" + bytes(rlp.encode([[], *rlp.decode(signed()[1:])[1:5], b"\1" * 19, *rlp.decode(signed()[1:])[6:]])),
        bytes(rlp.encode([*rlp.decode(signed(0))[:6], 26, 1, 1])),
        b"\x7e" + bytes(rlp.encode([bytes(32), bytes(19), bytes(20), 0, 0, 0, 0, b""])),
    ],
    ids=["empty", "type", "cut", "more", "no type", "short", "parity", "r", "to", "v", "sender"],
)
def test_bytes_that_are_no_transaction_are_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        read_transaction(raw, "transaction")


def test_a_signature_with_s_in_the_upper_half_is_a_twin_and_refused() -> None:
    *rest, parity, r, s = rlp.decode(signed()[1:])
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    twin = [*rest, 1 - int.from_bytes(parity, "big"), r, order - int.from_bytes(s, "big")]
    with pytest.raises(Malformed, match="upper half"):
        read_transaction(b"\x02" + bytes(rlp.encode(twin)), "transaction")


FORMS = [raw_deposit(), *(signed(kind, nonce=index) for index, kind in enumerate(SIGNED * 40))]
ROOT = bytes(library_trie({bytes(rlp.encode(index)): raw for index, raw in enumerate(FORMS)}).root_hash)


@pytest.mark.parametrize("index", [0, 1, 5, 127, 128, 200])
def test_a_transaction_is_proved_by_its_place_in_the_block(index: int) -> None:
    proof = make_indexed_proof(FORMS, index, ROOT, "transaction", "block")
    assert proof.item(ROOT, "block") == FORMS[index]
    assert parse_indexed_proof(Fields(proof.to_json(), "proof")) == proof


@pytest.mark.parametrize("forms", [FORMS[:-1], [*FORMS, signed()], [*FORMS[:3], signed(2), *FORMS[4:]], FORMS[::-1]])
def test_transactions_of_which_one_is_left_out_added_or_changed_prove_nothing(forms: list[bytes]) -> None:
    with pytest.raises(Forged, match="do not come out at the block's root of transactions"):
        make_indexed_proof(forms, 1, ROOT, "transaction", "block")


def test_a_place_that_the_block_does_not_have_is_refused() -> None:
    with pytest.raises(Malformed, match="no transaction at this place"):
        make_indexed_proof(FORMS, len(FORMS), ROOT, "transaction", "block")
