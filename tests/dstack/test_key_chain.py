"""Key chains: only the pinned root makes them a proof, and every change of one byte ends somewhere else."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from eth_keys.datatypes import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from twinproof.dstack.key_answer import Algorithm
from twinproof.dstack.key_chain import PLAN, KeyVerdict, judge_key
from twinproof.errors import UsageError
from twinproof.secp256k1 import ORDER
from twinproof.verdict import Status
from twinproof_devnet.kms import AppKeys, Kms

AT = 1_800_000_000
APP_ID = bytes(range(20))


@cache
def kms() -> Kms:
    return Kms.create(AT)


@cache
def keys() -> AppKeys:
    return kms().release(APP_ID)


@cache
def answered(purpose: str = "mail", algorithm: str = "secp256k1") -> str:
    """What GetKey answers, as JSON text."""
    answer = keys().get_key("a/path", purpose, algorithm)
    return json.dumps({"key": answer.key.hex(), "signature_chain": [item.hex() for item in answer.signature_chain]})


@cache
def signed(algorithm: str = "secp256k1", data: bytes = b"data") -> str:
    answer = keys().sign(algorithm, data)
    return json.dumps(
        {
            "signature": answer.signature.hex(),
            "signature_chain": [item.hex() for item in answer.signature_chain],
            "public_key": answer.public_key.hex(),
        }
    )


def edited(text: str, **changes: object) -> str:
    members = {**json.loads(text), **changes}
    return json.dumps({name: value for name, value in members.items() if value is not None})


def relinked(text: str, at: int, signature: str) -> str:
    chain = json.loads(text)["signature_chain"]
    chain[at] = signature
    return edited(text, signature_chain=chain)


def link(text: str, at: int) -> bytes:
    return bytes.fromhex(json.loads(text)["signature_chain"][at])


def judge(text: str, **changes: Any) -> KeyVerdict:  # the arguments of judge_key
    arguments: dict[str, Any] = {"source": "x", "app_id": APP_ID, "kms_root": kms().root_public_key, **changes}
    if "purpose" not in changes and '"signature"' not in text:
        arguments["purpose"] = "mail"
    return judge_key(text, **arguments)


def failed(verdict: KeyVerdict) -> dict[str, str]:
    return {check.id: check.error for check in verdict.failures}


def reason(verdict: KeyVerdict) -> str:
    (failure,) = verdict.failures
    return failure.reason


def test_a_chain_that_ends_at_the_pinned_root_is_proved() -> None:
    verdict = judge(answered())
    assert (verdict.proved, verdict.exit_code, verdict.root) == (True, 0, kms().root_public_key)
    assert verdict.app_key == PrivateKey(keys().app_key).public_key.to_compressed_bytes()
    statuses = [check.status for check in verdict.checks]
    assert statuses == [Status.PASS] * 4 + [Status.NOT_CHECKED]


def test_without_a_pinned_root_nothing_of_the_chain_passes() -> None:
    verdict = judge(answered(), kms_root=None)
    assert (verdict.proved, verdict.exit_code) == (False, 4)
    assert verdict.root == kms().root_public_key
    assert [check.id for check in verdict.checks if check.passed] == ["keys.format"]
    assert "not pinned" in verdict.check("keys.root_pinned").reason


def test_an_invented_chain_recovers_to_some_root_and_that_is_all() -> None:
    attacker = Kms.create(AT).release(APP_ID).get_key("a/path", "mail", "")
    text = json.dumps({"key": attacker.key.hex(), "signature_chain": [s.hex() for s in attacker.signature_chain]})
    assert judge(text, kms_root=None).root not in {None, kms().root_public_key}
    assert failed(judge(text)) == {"keys.root_pinned": "Untrusted"}


@pytest.mark.parametrize(
    "changes",
    [{"purpose": "other"}, {"purpose": None}, {"app_id": bytes(20)}, {"algorithm": Algorithm.ED25519}],
    ids=["purpose", "no purpose", "app id", "algorithm"],
)
def test_a_chain_made_for_something_else_does_not_end_at_the_root(changes: dict[str, Any]) -> None:
    verdict = judge(answered(), **changes)
    assert (failed(verdict), verdict.exit_code) == ({"keys.root_pinned": "Untrusted"}, 3)
    assert [check.id for check in verdict.checks if check.passed] == ["keys.format"]


@pytest.mark.parametrize("algorithm", ["secp256k1", "k256", "ed25519"])
def test_each_kind_of_key_is_vouched_for(algorithm: str) -> None:
    assert judge(
        answered("mail", algorithm), algorithm=Algorithm("ed25519" if algorithm == "ed25519" else "secp256k1")
    ).proved


def test_the_older_name_of_the_answer_is_read() -> None:
    members = json.loads(answered())
    assert judge(json.dumps({"k256_key": members["key"], "k256_signature_chain": members["signature_chain"]})).proved


def public_key(text: str, form: str) -> str:
    public = PrivateKey(bytes.fromhex(json.loads(text)["key"])).public_key
    return (public.to_compressed_bytes() if form == "compressed" else b"\x04" + public.to_bytes()).hex()


@pytest.mark.parametrize("form", ["compressed", "uncompressed"])
def test_the_public_key_can_stand_for_the_secret_in_either_form(form: str) -> None:
    text = edited(answered(), key=None, public_key=public_key(answered(), form))
    assert judge(text).proved
    assert judge(edited(answered(), public_key=public_key(answered(), form))).proved


def test_an_ed25519_public_key_is_known_by_its_size() -> None:
    secret = bytes.fromhex(json.loads(answered("mail", "ed25519"))["key"])
    public = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    verdict = judge(edited(answered("mail", "ed25519"), key=None, public_key=public.hex()))
    assert verdict.proved
    assert verdict.to_json()["algorithm"] == "ed25519"


def test_a_public_key_beside_another_secret_is_a_contradiction() -> None:
    text = edited(answered(), public_key=PrivateKey(bytes(31) + b"\x01").public_key.to_compressed_bytes().hex())
    assert failed(judge(text)) == {"keys.format": "Contradiction"}


@pytest.mark.parametrize("purpose", ["a:b", ":", "a:" + "02" * 33, "töy"])
def test_a_purpose_with_a_colon_is_read_one_way_only(purpose: str) -> None:
    assert judge(answered(purpose), purpose=purpose).proved
    assert not judge(answered(purpose), purpose=purpose.rpartition(":")[0] + "x").proved


def as_node_prints(text: str, *, buffer: bool = False) -> str:
    def array(digits: str) -> object:
        data = bytes.fromhex(digits)
        return {"type": "Buffer", "data": [*data]} if buffer else {str(at): value for at, value in enumerate(data)}

    members = json.loads(text)
    members["signature_chain"] = [array(item) for item in members["signature_chain"]]
    return json.dumps({**members, "key": array(members["key"]), "__name__": "GetKeyResponse"})


def test_what_the_clients_print_is_read() -> None:
    assert judge(as_node_prints(answered())).proved
    assert judge(as_node_prints(answered(), buffer=True)).proved
    assert judge(relinked(answered(), 0, "0x" + link(answered(), 0).hex().upper())).proved


@pytest.mark.parametrize(
    ("algorithm", "data"),
    [("secp256k1", b"data"), ("secp256k1_prehashed", bytes(range(32))), ("ed25519", b""), ("ed25519", b"data")],
)
def test_what_sign_signed_holds_over_the_same_data_and_no_other(algorithm: str, data: bytes) -> None:
    text, how = signed(algorithm, data), Algorithm(algorithm)
    assert judge(text, data=data, algorithm=how).check("keys.data_signature").status is Status.PASS
    other = judge(text, data=bytes(32), algorithm=how)
    assert (failed(other), other.exit_code) == ({"keys.data_signature": "Forged"}, 3)
    assert judge(text).proved
    assert judge(text).check("keys.data_signature").status is Status.NOT_CHECKED


def test_a_digest_that_was_signed_is_not_data_that_was_signed() -> None:
    text = signed("secp256k1_prehashed", bytes(range(32)))
    assert failed(judge(text, data=bytes(range(32)))) == {"keys.data_signature": "Forged"}
    short = judge(text, data=b"short", algorithm=Algorithm.SECP256K1_PREHASHED)
    assert failed(short) == {"keys.data_signature": "Malformed"}


def test_a_chain_that_begins_with_another_signature_is_a_contradiction() -> None:
    assert failed(judge(relinked(signed(), 0, "11" * 64))) == {"keys.format": "Contradiction"}


def test_signs_purpose_is_fixed_and_get_key_signs_no_data() -> None:
    assert judge(signed(), purpose="signing").proved
    with pytest.raises(UsageError, match="one purpose"):
        judge(signed(), purpose="mail")
    with pytest.raises(UsageError, match="signs no data"):
        judge(answered(), data=b"data")


def test_a_key_that_no_kms_released_is_refused_with_the_reason() -> None:
    answer = AppKeys.without_kms(AT).get_key("", "mail", "")
    text = json.dumps({"key": answer.key.hex(), "signature_chain": [item.hex() for item in answer.signature_chain]})
    for root in (kms().root_public_key, None):
        verdict = judge(text, kms_root=root)
        assert (failed(verdict), verdict.exit_code) == ({"keys.root_signature": "Untrusted"}, 3)
        assert "none, local or tpm" in reason(verdict)


def upper_half(signature: bytes) -> str:
    """The twin of a signature: n - s and the other recovery id; it recovers to the same key."""
    s = ORDER - int.from_bytes(signature[32:64], "big")
    return (signature[:32] + s.to_bytes(32, "big") + bytes([signature[64] ^ 1])).hex()


@pytest.mark.parametrize("at", [0, 1])
def test_the_twin_of_a_signature_is_malformed(at: int) -> None:
    assert "upper half" in reason(judge(relinked(answered(), at, upper_half(link(answered(), at)))))


def test_the_twin_of_a_data_signature_is_malformed() -> None:
    twin = bytes.fromhex(upper_half(link(signed(), 0) + b"\x00"))[:64].hex()
    text = edited(relinked(signed(), 0, twin), signature=twin)
    assert "upper half" in reason(judge(text, data=b"data"))


@pytest.mark.parametrize("recovery_id", [2, 3, 27, 28, 255])
def test_only_the_recovery_ids_0_and_1_are_known(recovery_id: int) -> None:
    signature = link(answered(), 1)[:64] + bytes([recovery_id])
    assert "unknown recovery id" in reason(judge(relinked(answered(), 1, signature.hex())))


@pytest.mark.parametrize(
    "scalars",
    [bytes(32) + b"\x01" * 32, b"\x01" * 32 + bytes(32), ORDER.to_bytes(32, "big") + b"\x01" * 32, b"\xff" * 64],
    ids=["r 0", "s 0", "r the order", "both too large"],
)
def test_scalars_out_of_range_are_malformed(scalars: bytes) -> None:
    assert "out of range" in reason(judge(relinked(answered(), 0, (scalars + b"\x00").hex())))


def test_an_r_that_is_no_x_coordinate_is_a_signature_of_nobody() -> None:
    on_no_point = next(x for x in range(1, 100) if pow(x**3 + 7, (_P - 1) // 2, _P) != 1)
    signature = on_no_point.to_bytes(32, "big") + b"\x01" * 32 + b"\x00"
    assert failed(judge(relinked(answered(), 0, signature.hex()))) == {"keys.app_signature": "Forged"}


_P = 2**256 - 2**32 - 977


@given(at=st.integers(0, 2 * 65 - 1), bit=st.integers(0, 7))
def test_no_flipped_bit_of_the_chain_leaves_it_proved(at: int, bit: int) -> None:
    signature = bytearray(link(answered(), at // 65))
    signature[at % 65] ^= 1 << bit
    verdict = judge(relinked(answered(), at // 65, signature.hex()))
    assert verdict.exit_code == 3


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "missing member"),
        ('{"error": "Unsupported algorithm"}', "answered with an error"),
        ('{"key": "00", "key": "00"}', "duplicate JSON member"),
        (edited(answered(), extra=1), "unknown member"),
        (edited(answered(), key=None), "missing member"),
        (edited(answered(), k256_key="00" * 32), "two names"),
        (edited(answered(), key="00" * 32), "not a secret key"),
        (edited(answered(), key="ff" * 32), "not a secret key"),
        (edited(answered(), key="11" * 31), "wrong length"),
        (edited(answered(), key="11" * 200), "too long"),
        (edited(answered(), key="zz" * 32), "not hex text"),
        (edited(answered(), key=1), "wrong type"),
        (edited(answered(), key=[256] * 32), "not an array of bytes"),
        (edited(answered(), key=[True] * 32), "not an array of bytes"),
        (edited(answered(), key={"1": 1}), "wrong type"),
        (edited(answered(), signature_chain="00"), "wrong type"),
        (edited(answered(), signature_chain=[]), "0 signatures"),
        (edited(answered(), signature_chain=["00" * 65] * 3), "3 signatures"),
        (edited(answered(), signature_chain=["00" * 65] * 9), "too many items"),
        (relinked(answered(), 0, ""), "not a recoverable signature"),
        (relinked(answered(), 0, "11" * 64), "not a recoverable signature"),
        (relinked(answered(), 1, "11" * 66), "not a recoverable signature"),
        (edited(answered(), key=None, public_key="05" + "11" * 32), "not a public key"),
        (edited(answered(), key=None, public_key="02" + "11" * 33), "not a public key"),
        (edited(answered(), key=None, public_key="04" + "11" * 64), "not a point"),
        (edited(signed(), public_key=None), "missing member"),
        (edited(signed(), signature="11" * 65), "wrong length"),
        (edited(signed(), signature_chain=["11" * 65] * 2), "2 signatures"),
        (" " * (1 << 17), "too large"),
    ],
)
def test_a_malformed_answer_is_said_to_be_and_blocks_the_rest(text: str, part: str) -> None:
    verdict = judge(text)
    assert (failed(verdict), verdict.exit_code) == ({"keys.format": "Malformed"}, 3)
    assert part in reason(verdict)
    assert [check.id for check in verdict.checks] == [step.id for step in PLAN]


def test_an_answer_of_another_algorithm_than_was_asked_for_is_malformed() -> None:
    assert "another algorithm" in reason(judge(signed(), algorithm=Algorithm.ED25519))


@pytest.mark.parametrize("broken", ["{!", '{"key": "%s"', '{"key": "%sz", "signature_chain": []}', '{"key": "%s00"}'])
def test_no_error_shows_anything_of_a_secret_key(broken: str) -> None:
    secret = json.loads(answered())["key"]
    text = broken.replace("%s", secret)
    for shown in (text, answered()):
        assert secret[:8] not in json.dumps(judge(shown).to_json())
        assert secret[:8] not in repr(judge(shown))


@pytest.mark.parametrize("missing", ["eth_hash.backends.pycryptodome", "eth_keys.datatypes"])
def test_without_the_extra_it_says_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = answered()
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match="is not installed") as caught:
        judge(text)
    assert caught.value.hint == "pip install twinproof[chain]"


@pytest.mark.vectors
def test_the_published_chain_ends_at_the_published_root(vectors: Path) -> None:
    known = json.loads((vectors / "dstack" / "expected.json").read_text())["key_chain_vector"]
    chain = [known["signature_chain_0_rsv"], known["signature_chain_1_rsv"]]
    verdict = judge_key(
        json.dumps({"key": known["derived_key"], "signature_chain": chain}),
        source="vector",
        app_id=bytes.fromhex(known["app_id"]),
        kms_root=bytes.fromhex(known["kms_root_k256_pubkey"]),
        purpose=known["purpose"],
    )
    assert verdict.proved
    assert verdict.answer is not None
    assert verdict.answer.public_key.hex() == known["derived_pubkey"]
    assert verdict.app_key is not None
    assert verdict.app_key.hex() == known["app_k256_pubkey"]
