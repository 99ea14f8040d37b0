"""The guest agent answers the official Python client unmodified, and plain HTTP as the real one does."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dstack_sdk import AsyncDstackClient, DstackClient
from eth_hash.auto import keccak
from eth_keys.datatypes import Signature

from running_agent import running_agent
from twinproof_devnet.boot import Boot
from twinproof_devnet.compose import ToyApp, app_compose
from twinproof_devnet.guest_agent import GuestAgent
from twinproof_devnet.kms import Kms


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GuestAgent, Kms]]:
    with running_agent(tmp_path_factory.mktemp("agent")) as running:
        yield running


@pytest.fixture
def agent(served: tuple[GuestAgent, Kms]) -> GuestAgent:
    return served[0]


@pytest.fixture
def client(agent: GuestAgent) -> Iterator[DstackClient]:
    client = DstackClient(str(agent.socket))
    with client:  # not `as client`: that gives the asynchronous one
        yield client


def raw(agent: GuestAgent, request: bytes) -> tuple[bytes, bytes]:
    """Send bytes, close our half, and read until the agent closes its own: head and body."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(agent.socket))
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


def call(agent: GuestAgent, method: str, body: bytes = b"{}") -> tuple[int, Any]:  # JSON is any value
    head, answer = raw(
        agent,
        f"POST /{method} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body,
    )
    return int(head.split()[1]), json.loads(answer)


def test_the_official_client_gets_a_quote_over_its_report_data(client: DstackClient) -> None:
    answer = client.get_quote(b"\x01\x02")
    assert answer.decode_quote()[568:632] == b"\x01\x02" + bytes(62)
    assert answer.report_data == (b"\x01\x02" + bytes(62)).hex()
    events = answer.decode_event_log()
    assert [event.event for event in events if event.imr == 3][-1] == "system-ready"
    assert all(event.digest == "" for event in events if event.imr == 3)


def test_the_official_client_reads_info_and_its_compose_text_hashes_to_its_hash(client: DstackClient) -> None:
    info = client.info()
    assert hashlib.sha256(info.tcb_info.app_compose.encode()).hexdigest() == info.compose_hash
    assert info.device_id == hashlib.sha256(b"").hexdigest()
    assert info.tcb_info.event_log
    assert info.app_cert.startswith("-----BEGIN CERTIFICATE-----")


def test_keys_depend_on_their_path_and_chain_to_the_kms(served: tuple[GuestAgent, Kms], client: DstackClient) -> None:
    agent, kms = served
    first, other = client.get_key("a", "purpose"), client.get_key("b", "purpose")
    assert first.key == client.get_key("a", "other purpose").key != other.key
    from eth_keys.datatypes import PrivateKey

    public = PrivateKey(first.decode_key()).public_key.to_compressed_bytes()
    app_signature, root_signature = (Signature(item) for item in first.decode_signature_chain())
    app_key = app_signature.recover_public_key_from_msg_hash(keccak(f"purpose:{public.hex()}".encode()))
    message = b"dstack-kms-issued:" + agent.vm.app_id + app_key.to_compressed_bytes()
    root = root_signature.recover_public_key_from_msg_hash(keccak(message))
    assert root.to_compressed_bytes() == kms.root_public_key


def test_the_official_client_gets_ed25519_keys_tls_keys_attestations_and_versions(client: DstackClient) -> None:
    assert len(client.get_key("a", "p", "ed25519").decode_key()) == 32
    tls = client.get_tls_key(subject="localhost", usage_ra_tls=True)
    assert len(tls.certificate_chain) == 3
    assert client.attest(b"x").decode_attestation()[:2] == b"\x00\x00"
    assert client.version().version.startswith("0.5.")
    assert client.is_reachable()


@pytest.mark.parametrize("algorithm", ["ed25519", "secp256k1", "secp256k1_prehashed"])
def test_what_sign_signed_verify_verifies_and_nothing_else(client: DstackClient, algorithm: str) -> None:
    data = bytes(range(32))
    signed = client.sign(algorithm, data)
    signature, key = signed.decode_signature(), signed.decode_public_key()
    assert client.verify(algorithm, data, signature, key).valid
    assert not client.verify(algorithm, bytes(32), signature, key).valid


def test_many_calls_at_once_are_answered(agent: GuestAgent) -> None:
    async def ask() -> list[str]:
        async with AsyncDstackClient(str(agent.socket)) as client:
            answers = await asyncio.gather(*(client.get_quote(bytes([n + 1])) for n in range(8)))
        return [answer.report_data[:2] for answer in answers]

    assert asyncio.run(ask()) == [f"{n + 1:02x}" for n in range(8)]


@pytest.mark.parametrize(
    ("method", "body", "error"),
    [
        ("GetQuote", b'{"report_data":"%s"}' % (b"00" * 65), "Report data is too long"),
        ("GetQuote", b'{"report_data":"0"}', "non-hexadecimal number found"),
        ("GetQuote", b'{"report_data":null}', "invalid type"),
        ("GetKey", b'{"algorithm":"rsa"}', "Unsupported algorithm"),
        ("Sign", b'{"algorithm":""}', "Unsupported algorithm"),
        ("Nothing", b"{}", "Service not found: Nothing"),
        ("GetQuote", b"{", "invalid request"),
        ("GetQuote", b"[]", "invalid request"),
    ],
)
def test_a_wrong_call_is_400_with_the_agents_words(agent: GuestAgent, method: str, body: bytes, error: str) -> None:
    status, answer = call(agent, method, body)
    assert status == 400
    assert error in answer["error"] or "hex" in answer["error"]


def test_get_takes_its_arguments_from_the_query(agent: GuestAgent) -> None:
    _, body = raw(agent, b"GET /GetKey?path=a&purpose=b HTTP/1.1\r\nHost: x\r\n\r\n")
    assert json.loads(body)["key"] == call(agent, "GetKey", b'{"path":"a"}')[1]["key"]


def test_answers_are_ascii_with_a_length_and_the_connection_ends_with_the_client(tmp_path: Path) -> None:
    with running_agent(tmp_path, Boot(app_compose=app_compose(ToyApp(name="t\u00f6y \U0001f9f8")))) as (agent, _):
        head, body = raw(agent, b"POST /Info HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        client = DstackClient(str(agent.socket))
        with client:
            compose_text = client.info().tcb_info.app_compose
    assert json.loads(body)["app_name"] == "t\u00f6y \U0001f9f8"
    assert compose_text == agent.vm.app_compose
    assert body.isascii()
    assert f"Content-Length: {len(body)}".encode() in head


def test_a_body_longer_than_announced_is_refused_and_swallowed(agent: GuestAgent) -> None:
    head, _ = raw(agent, b'POST /GetKey HTTP/1.1\r\nContent-Length: 5\r\n\r\n{"path":"more than five"}')
    assert b"400" in head.split(b"\r\n")[0]


def test_a_body_shorter_than_announced_is_refused_even_when_it_is_json(agent: GuestAgent) -> None:
    head, body = raw(agent, b"POST /GetKey HTTP/1.1\r\nContent-Length: 50\r\n\r\n{}")
    assert b"400" in head.split(b"\r\n")[0]
    assert "shorter than its Content-Length" in json.loads(body)["error"]


def test_two_requests_on_one_connection_get_two_answers(agent: GuestAgent) -> None:
    head, rest = raw(agent, b"GET /Version HTTP/1.1\r\n\r\nGET /Version HTTP/1.1\r\n\r\n")
    length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    first, second = rest[:length], rest[length:]
    assert second == head + b"\r\n\r\n" + first


def test_a_method_without_a_result_answers_null_and_moves_the_register(tmp_path: Path) -> None:
    with running_agent(tmp_path) as (agent, _):
        before = call(agent, "GetQuote", b'{"report_data":"01"}')[1]
        _, body = raw(agent, b"GET /EmitEvent?event=started&payload=0x0102 HTTP/1.1\r\n\r\n")
        after = call(agent, "GetQuote", b'{"report_data":"01"}')[1]
    assert body == b"null"
    assert json.loads(after["event_log"])[-1]["event"] == "started"
    assert json.loads(after["event_log"])[:-1] == json.loads(before["event_log"])
    rtmr3 = slice(2 * 520, 2 * 568)
    assert after["quote"][rtmr3] != before["quote"][rtmr3]


def test_a_path_with_more_segments_is_not_found(agent: GuestAgent) -> None:
    head, _ = raw(agent, b"POST /prpc/GetKey HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
    assert b"404" in head.split(b"\r\n")[0]


def test_port_8090_shows_info_and_versions_and_no_keys(agent: GuestAgent) -> None:
    for path in ("/prpc/Worker.Info", "/prpc/Info", "/prpc/Worker.Version"):
        with urllib.request.urlopen(agent.url + path, timeout=5) as answer:
            assert answer.status == 200
            assert answer.headers["X-App-Version"].startswith("0.5.")
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(agent.url + "/prpc/Worker.GetKey", timeout=5)
    with urllib.request.urlopen(
        agent.url + "/prpc/Worker.GetAttestationForAppKey?algorithm=ed25519", timeout=5
    ) as answer:
        data = bytes.fromhex(json.load(answer)["report_data"])
    assert data.startswith(b"dip1::ed25519-pk:")


def test_the_socket_is_gone_when_the_agent_is(tmp_path: Path) -> None:
    with running_agent(tmp_path) as (agent, _):
        assert agent.socket.exists()
    assert not agent.socket.exists()


def test_a_client_that_keeps_its_connection_open_is_cut_off_when_the_agent_ends(tmp_path: Path) -> None:
    with running_agent(tmp_path) as (agent, _), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(agent.socket))
        connection.sendall(b"GET /Version HTTP/1.1\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK")
        agent.close()
        assert connection.recv(1) == b""


@pytest.mark.parametrize("moments", ['"not_before":2,"not_after":1', f'"not_after":{2**63}', '"not_before":"soon"'])
def test_a_certificate_for_impossible_times_is_refused(agent: GuestAgent, moments: str) -> None:
    status, answer = call(agent, "GetTlsKey", b"{%s}" % moments.encode())
    assert status == 400
    assert answer["error"]
