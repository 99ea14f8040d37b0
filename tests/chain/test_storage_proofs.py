"""Storage of DstackApp and DstackKms: its slots, and proofs of what they hold against a block's state root."""

from __future__ import annotations

from dataclasses import replace

import pytest
import rlp
from hypothesis import given, settings
from hypothesis import strategies as st

from small_trie import CODE_HASH, SmallState
from twinproof.chain import storage_layout as layout
from twinproof.chain.account_proof import EMPTY_CODE, SlotProof, parse_account_proof, proved_account
from twinproof.errors import Contradiction, EvidenceError, Forged, Malformed
from twinproof.keccak import keccak256
from twinproof.wire import Fields

APP, KMS = b"\xaa" * 20, b"\xbb" * 20
H = b"\x11" * 32
NEVER = b"\x99" * 32
STATE = SmallState(
    {
        APP: {
            layout.compose_hash_slot(H): 1,
            layout.compose_hash_slot(b"\x22" * 32): 1,
            layout.APP_FLAGS: 0x0101,
            layout.OWNER: int.from_bytes(b"\x07" * 20, "big"),
        },
        KMS: {layout.registered_app_slot(APP): 1},
    }
)


def test_slots_are_those_of_the_deployed_contracts() -> None:
    assert layout.compose_hash_slot(H).hex() == "5c75bb376affa44a4f06c8a768453c2f7945122a65eb322a0dd3cc2edcbd6f0a"
    assert keccak256(layout.compose_hash_slot(H)).hex() == (
        "4c088608f4c0c77fc936011a0572adc0ed5b41f7a72f9d6760edcc0a77dfa374"
    )
    manifest = bytes.fromhex("8edec731018b61746354b408f0353e998dee8c15f184cf281bc6c77a2a07b084")
    assert layout.compose_hash_slot(manifest).hex() == (
        "ebf9373f7026966d107f644595905f6e86c976f9f999492b8e5266d1bc9df782"
    )
    assert layout.compose_hash_slot(NEVER).hex() == "b8fcbe66f0f40ce649be45dddd48add714bc52961884713cd003c036794709e7"
    assert layout.device_slot(b"\x33" * 32).hex() == "616e83665b2fa485e82239f3e38266766713d9ae681ec9b59e5ce8f0e1bd947d"
    assert layout.os_image_slot(b"\x66" * 32).hex() == (
        "ec9ff6ce293adb3ccdce7b2fb1259252e056efa77a1db19d4778dac7f6b74d5e"
    )
    assert layout.registered_app_slot(b"\x12" * 20).hex() == (
        "72c37e6e8041adbb4d4922d719187d26e11784bdeb104c0cbb15a69b734d7952"
    )


def test_what_is_stored_is_proved_and_what_is_not_is_proved_to_be_zero() -> None:
    account = proved_account(
        STATE.proof(APP, layout.compose_hash_slot(H), layout.APP_FLAGS, layout.compose_hash_slot(NEVER)), STATE.root
    )
    assert account is not None
    assert account.is_contract
    assert account.code_hash == CODE_HASH
    assert account.words == {
        layout.compose_hash_slot(H): 1,
        layout.APP_FLAGS: 0x0101,
        layout.compose_hash_slot(NEVER): 0,
    }


def test_an_account_that_does_not_exist_is_proved_to_be_absent() -> None:
    proof = STATE.proof(b"\xcc" * 20, layout.APP_FLAGS)
    assert proved_account(proof, STATE.root) is None


def test_a_removed_slot_that_one_node_keeps_as_an_empty_leaf_is_zero() -> None:
    slot = layout.compose_hash_slot(H)
    leaf = bytes(rlp.encode([b"\x20" + keccak256(slot), b"\x80"]))
    account = rlp.encode([b"\1", b"", keccak256(leaf), CODE_HASH])
    top = bytes(rlp.encode([b"\x20" + keccak256(APP), account]))
    proof = replace(STATE.proof(APP), nodes=(top,), slots=(SlotProof(slot, 0, (leaf,)),))
    proved = proved_account(proof, keccak256(top))
    assert proved is not None
    assert proved.words == {slot: 0}


def test_an_account_without_code_is_no_contract() -> None:
    account = rlp.encode(
        [b"", b"", bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"), EMPTY_CODE]
    )
    top = bytes(rlp.encode([b"\x20" + keccak256(APP), account]))
    proved = proved_account(replace(STATE.proof(APP), nodes=(top,)), keccak256(top))
    assert proved is not None
    assert not proved.is_contract


def test_a_stated_value_other_than_the_proved_one_is_a_contradiction() -> None:
    proof = STATE.proof(APP, layout.compose_hash_slot(NEVER))
    lie = replace(proof, slots=(replace(proof.slots[0], value=1),))
    with pytest.raises(Contradiction, match="another value than its proof"):
        proved_account(lie, STATE.root)
    absent = STATE.proof(b"\xcc" * 20, layout.APP_FLAGS)
    with pytest.raises(Contradiction):
        proved_account(replace(absent, slots=(replace(absent.slots[0], value=1),)), STATE.root)


def test_another_contract_s_storage_proof_does_not_serve() -> None:
    own, other = STATE.proof(APP, layout.APP_FLAGS), STATE.proof(KMS, layout.registered_app_slot(APP))
    with pytest.raises(Forged):
        proved_account(replace(own, slots=other.slots), STATE.root)
    with pytest.raises(EvidenceError):
        proved_account(replace(own, address=KMS), STATE.root)


def test_another_state_root_is_refused() -> None:
    with pytest.raises(Forged):
        proved_account(STATE.proof(APP), b"\1" * 32)


def test_an_answer_comes_back_as_it_went() -> None:
    proof = STATE.proof(APP, layout.compose_hash_slot(H), layout.OWNER)
    assert parse_account_proof(Fields(proof.to_json(), "eth_getProof")) == proof


def test_a_key_that_comes_back_as_a_quantity_is_the_same_key() -> None:
    document = STATE.proof(APP, layout.APP_FLAGS).to_json()
    slots = document["storageProof"]
    assert isinstance(slots, list)
    slots[0]["key"] = "0x1"
    assert parse_account_proof(Fields(document, "eth_getProof")).slots[0].slot == layout.APP_FLAGS


def test_a_slot_proved_twice_is_refused() -> None:
    proof = STATE.proof(APP, layout.APP_FLAGS)
    with pytest.raises(Malformed, match="proved twice"):
        parse_account_proof(Fields(replace(proof, slots=proof.slots * 2).to_json(), "eth_getProof"))


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_a_byte_string_is_read_from_its_slots(value: bytes) -> None:
    slot = layout.KMS_CA_PUBKEY
    words: tuple[int, ...]
    if len(value) < 32:
        words = (int.from_bytes(value.ljust(31, b"\0") + bytes([2 * len(value)]), "big"),)
    else:
        padded = value.ljust(-(-len(value) // 32) * 32, b"\0")
        words = (
            2 * len(value) + 1,
            *(int.from_bytes(padded[at : at + 32], "big") for at in range(0, len(padded), 32)),
        )
    assert layout.bytes_length(words[0], "x") == len(value)
    assert len(layout.bytes_slots(slot, len(value))) == len(words)
    assert layout.read_bytes(words, "x") == value


@pytest.mark.parametrize("word", [0x40, 0x3F, (1 << 18) + 1], ids=["32 short", "31 long", "endless"])
def test_a_length_that_no_compiler_writes_is_refused(word: int) -> None:
    with pytest.raises(Malformed):
        layout.bytes_length(word, "x")


def test_dirt_after_a_byte_string_is_refused() -> None:
    with pytest.raises(Malformed):
        layout.read_bytes((0x0102 << 240 | 2,), "x")


def test_a_flag_of_two_is_no_flag() -> None:
    assert layout.flag(0x0100, layout.ALLOW_ANY_DEVICE_BYTE, "x")
    with pytest.raises(Malformed):
        layout.flag(0x0200, layout.ALLOW_ANY_DEVICE_BYTE, "x")
