"""Calls and answers: selectors are the published ones, and three kinds of no answer are kept apart."""

from __future__ import annotations

import pytest

from twinproof.chain import contracts
from twinproof.chain.abi import AnswerKind, Function, read_answer, revert_reason
from twinproof.errors import Malformed, Refused

TRUE, FALSE = bytes(31) + b"\1", bytes(32)
SELECTORS = {
    "OWNER": "8da5cb5b",
    "PENDING_OWNER": "e30c3978",
    "ALLOWED_COMPOSE_HASHES": "2f6622e5",
    "ALLOWED_DEVICE_IDS": "bf8b211b",
    "ALLOW_ANY_DEVICE": "3440a16a",
    "REQUIRE_TCB_UP_TO_DATE": "0aa58c83",
    "VERSION": "54fd4d50",
    "ADD_COMPOSE_HASH": "dfc77223",
    "ADD_DEVICE": "2a819728",
    "DEPLOY_AND_REGISTER_APP": "8618169d",
    "DEPLOY_AND_REGISTER_APP_WITH_TCB": "9cb9c31f",
    "REGISTERED_APPS": "a6c4cce9",
    "ALLOWED_OS_IMAGES": "9a4e1d18",
    "APP_IMPLEMENTATION": "25a992da",
    "GATEWAY_APP_ID": "95f51931",
    "KMS_INFO": "09177063",
}


def test_every_function_has_the_selector_of_the_deployed_contracts() -> None:
    found = {name: getattr(contracts, name) for name in contracts.__all__}
    assert {name: function.selector.hex() for name, function in found.items()} == SELECTORS


def test_a_call_is_the_selector_and_its_arguments_in_words() -> None:
    assert contracts.ADD_COMPOSE_HASH.call(b"\x11" * 32).hex() == "dfc77223" + "11" * 32
    assert contracts.REGISTERED_APPS.call(b"\x12" * 20).hex() == "a6c4cce9" + "00" * 12 + "12" * 20


def test_no_code_no_function_and_a_refusal_are_three_answers() -> None:
    reason = bytes.fromhex("08c379a0") + Function("x", ("string",)).call("App not registered")[4:]
    owner = contracts.OWNER
    assert read_answer(owner, b"", reverted=False).kind is AnswerKind.NO_CODE
    assert read_answer(owner, b"", reverted=True).kind is AnswerKind.NOT_SUPPORTED
    refused = read_answer(owner, reason, reverted=True)
    assert (refused.kind, refused.reason) == (AnswerKind.REVERTED, "App not registered")
    with pytest.raises(Refused, match="the contract has no such function"):
        _ = read_answer(owner, b"", reverted=True).octets


def test_an_answer_is_read_as_its_type() -> None:
    assert read_answer(contracts.ALLOW_ANY_DEVICE, TRUE, reverted=False).flag is True
    assert read_answer(contracts.OWNER, bytes(12) + b"\x07" * 20, reverted=False).octets == b"\x07" * 20


@pytest.mark.parametrize(
    ("function", "output"),
    [
        (contracts.ALLOW_ANY_DEVICE, bytes(31) + b"\2"),
        (contracts.ALLOW_ANY_DEVICE, TRUE + FALSE),
        (contracts.ALLOW_ANY_DEVICE, TRUE[:-1]),
        (contracts.OWNER, b"\1" + bytes(31)),
        (contracts.GATEWAY_APP_ID, bytes(31) + b"\x21" + bytes(64)),
        (contracts.GATEWAY_APP_ID, bytes(31) + b"\x20" + b"\xff" * 32),
        (contracts.GATEWAY_APP_ID, bytes(31) + b"\x20" + bytes(31) + b"\1" + b"\xff" + bytes(31)),
    ],
    ids=["bool of 2", "surplus word", "short word", "dirty address", "wrong offset", "endless text", "not UTF-8"],
)
def test_another_encoding_of_an_answer_is_refused(function: Function, output: bytes) -> None:
    with pytest.raises(Malformed, match="not the ABI encoding"):
        read_answer(function, output, reverted=False)


def test_the_contracts_own_errors_are_named() -> None:
    assert revert_reason(bytes.fromhex("118cdaa7") + bytes(12) + b"\xab" * 20) == (
        f"OwnableUnauthorizedAccount(0x{'ab' * 20})"
    )
    assert revert_reason(bytes.fromhex("4e487b71") + bytes(31) + b"\x11") == "panic 17"
    assert revert_reason(b"\1\2\3\4\5") == "0x0102030405"
    assert revert_reason(bytes.fromhex("118cdaa7") + b"\1") == "0x118cdaa701"
