"""What an endpoint answers is read once, strictly: quantities, data, logs, headers and receipts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_answers import Document, hashed, header_json, log_json, receipt_json
from twinproof.chain.block import decode_header, parse_header
from twinproof.chain.log import parse_log
from twinproof.chain.receipt import parse_receipt
from twinproof.chain.values import data_text, hex_data, hex_quantity, quantity_text
from twinproof.errors import Forged, Malformed
from twinproof.wire import Fields


@given(st.integers(min_value=0, max_value=(1 << 64) - 1))
def test_a_quantity_has_one_text(value: int) -> None:
    assert quantity_text(hex_quantity(value), "x") == value


@pytest.mark.parametrize(
    "text", ["0x", "0x00", "0x01", "1", "0X1", "0x-1", "0x 1", "0x1_0", "0x" + "f" * 17, "0x\uff11"]
)
def test_another_text_of_a_quantity_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        quantity_text(text, "x")


@given(st.binary(max_size=80))
def test_data_comes_back_as_it_went(value: bytes) -> None:
    assert data_text(hex_data(value), "x") == value


@pytest.mark.parametrize("text", ["", "00", "0x0", "0xzz", "0x 00", "0X00"])
def test_another_text_of_data_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        data_text(text, "x")


def test_a_log_is_read_with_its_place_in_the_chain() -> None:
    log = parse_log(Fields(log_json(), "log"))
    assert (log.position, log.topics, len(log.data)) == ((16, 2), (b"\x22" * 32,), 32)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"removed": True}, "removed by a reorganisation"),
        ({"removed": "false"}, "wrong type"),
        ({"blockNumber": None}, "wrong type"),
        ({"blockNumber": "0x010"}, "not a quantity"),
        ({"address": "0x" + "11" * 19}, "wrong length"),
        ({"topics": ["0x" + "22" * 32] * 5}, "too many items"),
        ({"topics": ["0x" + "22" * 31]}, "wrong length"),
        ({"data": "33" * 32}, "not data"),
        ({"data": "0x" + "00" * ((1 << 20) + 1)}, "too long"),
        ({"logIndex": "0x" + "f" * 20}, "out of range"),
    ],
)
def test_a_log_of_another_form_is_refused(changes: Document, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse_log(Fields(log_json(**changes), "log"))


@pytest.mark.parametrize("fields", [16, 17, 20, 21], ids=["London", "Shanghai", "Cancun", "Prague"])
def test_a_header_of_every_generation_hashes_to_its_hash(fields: int) -> None:
    header = parse_header(Fields(hashed(header_json(fields)), "block"))
    assert (header.number, header.timestamp, header.state_root) == (128, 0x6553F100, b"\x04" * 32)
    assert decode_header(header.rlp) == header


@pytest.mark.parametrize("name", list(header_json(21)))
def test_a_header_with_any_field_changed_is_forged(name: str) -> None:
    document = hashed(header_json(21))
    value = str(document[name])
    document[name] = ("0xff" if value == "0x" else value[:-1]) + ("1" if value[-1] != "1" else "2") * (value != "0x")
    with pytest.raises(Forged, match="do not hash to its hash"):
        parse_header(Fields(document, "block"))


@pytest.mark.parametrize("fields", [0, 15, 18, 19])
def test_a_header_of_no_generation_is_refused(fields: int) -> None:
    with pytest.raises(Malformed):
        parse_header(Fields(header_json(fields) | {"hash": "0x" + "00" * 32}, "block"))


@pytest.mark.parametrize(
    "change",
    [lambda raw: raw + b"\0", lambda raw: raw[:-1], lambda _: b"\xc1" * 5000, lambda _: b"", lambda _: b"\xc1\xc0"],
    ids=["surplus byte", "cut off", "nested for ever", "empty", "one list"],
)
def test_a_header_that_is_not_one_rlp_list_is_refused(change: Callable[[bytes], bytes]) -> None:
    raw = parse_header(Fields(hashed(header_json(16)), "block")).rlp
    with pytest.raises(Malformed):
        decode_header(change(raw))


def test_a_receipt_is_read_with_its_logs() -> None:
    receipt = parse_receipt(Fields(receipt_json(), "receipt"))
    assert (receipt.succeeded, receipt.type, len(receipt.logs), receipt.contract_address) == (True, 2, 2, None)


def test_a_deposit_has_two_fields_more_and_others_have_not() -> None:
    extra: Document = {"depositNonce": "0x5", "depositReceiptVersion": "0x1"}
    deposit = parse_receipt(Fields(receipt_json(type="0x7e", **extra), "receipt"))
    assert (deposit.deposit_nonce, deposit.deposit_receipt_version) == (5, 1)
    assert parse_receipt(Fields(receipt_json(**extra), "receipt")).deposit_nonce is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "0x2"}, "out of range"),
        ({"status": "0x0"}, "reverted transaction with logs"),
        ({"logs": [log_json(transactionHash="0x" + "00" * 32)]}, "another transaction"),
        ({"logs": [log_json(blockHash="0x" + "00" * 32)]}, "another transaction or block"),
        ({"logs": [log_json(), log_json()]}, "out of order"),
        ({"logs": [log_json(), log_json(logIndex="0x4")]}, "out of order"),
        ({"type": "0x80"}, "out of range"),
        ({"logsBloom": "0x"}, "wrong length"),
    ],
)
def test_a_receipt_of_another_form_is_refused(changes: Document, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse_receipt(Fields(receipt_json(**changes), "receipt"))
