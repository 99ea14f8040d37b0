"""The guest agent's claims are read strictly, and an empty member is no claim."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from small_boot import APP_ID, COMPOSE, Boot
from twinproof.dstack.event_log import parse_event_log
from twinproof.dstack.guest_info import parse_guest_info
from twinproof.errors import Malformed

TCB = {
    "mrtd": "07" * 48,
    "rtmr0": "00" * 48,
    "app_compose": COMPOSE,
    "event_log": Boot().entries(),
    "app_id": APP_ID.hex(),
}


def pem() -> tuple[str, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "app")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode(), made.public_bytes(Encoding.DER)


def text_of(**members: object) -> str:
    return json.dumps(members)


def test_an_answer_is_read_with_the_pre_images_in_it() -> None:
    text, der = pem()
    info = parse_guest_info(
        text_of(app_id=APP_ID.hex(), instance_id="", app_name="toy", app_cert=text + text, tcb_info=json.dumps(TCB))
    )
    assert (info.app_id, info.instance_id, info.app_name, info.app_cert) == (APP_ID, None, "toy", der)
    assert (info.mrtd, info.rtmr1, info.app_compose) == (b"\x07" * 48, None, COMPOSE)
    assert info.event_log is not None
    assert parse_event_log(info.event_log) == parse_event_log(Boot().log())
    assert info.tcb_claims == (("app_id", APP_ID),)


def test_a_private_tcb_info_is_empty_and_claims_nothing() -> None:
    info = parse_guest_info(text_of(app_id=APP_ID.hex(), tcb_info="", vm_config=""))
    assert (info.mrtd, info.app_compose, info.event_log, info.vm_config) == (None, None, None, None)


def test_an_agents_error_is_named_as_one() -> None:
    with pytest.raises(Malformed, match="answered with an error"):
        parse_guest_info('{"error":"no quote"}')


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("null", "not a JSON object"),
        ("<html>", "not JSON"),
        (text_of(app_id="00" * 19), "wrong length"),
        (text_of(app_id=None), "wrong type"),
        (text_of(device_id="zz"), "not hex"),
        (text_of(tcb_info={}), "wrong type"),
        (text_of(tcb_info="{"), "not JSON"),
        (text_of(tcb_info='{"mrtd":null}'), "wrong type"),
        (text_of(tcb_info='{"rtmr0":"00"}'), "wrong length"),
        (text_of(tcb_info='{"event_log":"[]"}'), "wrong type"),
        (text_of(app_cert="no certificate"), "not a PEM certificate"),
        (text_of(app_cert="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "not a PEM certificate"),
        ('{"app_id":"","app_id":""}', "duplicate"),
    ],
)
def test_an_odd_answer_is_malformed(text: str, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse_guest_info(text)


@given(st.binary(max_size=100))
def test_random_bytes_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_guest_info(data + b"\x00")
