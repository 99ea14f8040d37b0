"""Asking an instance: its own endpoint first, then dstack's, and never a silent substitute for a failure."""

from __future__ import annotations

import json
import socket

import pytest

from loopback import Handler, answering, http_answer, serving
from twinproof.errors import Malformed, Unavailable, UsageError
from twinproof.evidence.evidence import Challenge, Evidence, Origin
from twinproof.evidence.nonce import challenge_for
from twinproof.sources import instance
from twinproof.sources.http import HttpClient
from twinproof.sources.instance import fetch_evidence, info_urls
from twinproof.sources.limits import Limits

CHALLENGE = challenge_for(bytes(32), 0, "x")
ANSWER = {
    "schema": "toy-example/attestation/v1",
    "statement": '{"a":"é"}',
    "quote": "0400",
    "event_log": "[]",
    "vm_config": "{}",
    "app_compose": "{}\n",
}


@pytest.fixture(autouse=True)
def _nothing_on_the_agents_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Port 8090 of the machine that runs the tests is none of our business."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(instance, "AGENT_PORT", listener.getsockname()[1])


def fetch(url: str, challenge: Challenge = CHALLENGE) -> Evidence:
    return fetch_evidence(url, challenge, HttpClient(Limits(total_timeout=2, connect_timeout=2)))


def routes(**bodies: bytes) -> Handler:
    """Answer each path's first segment; everything else is 404."""

    def handle(connection: socket.socket, head: bytes) -> None:
        path = head.split(b" ")[1].decode().lstrip("/").partition("?")[0].replace("/", "_").replace(".", "_")
        body = bodies.get(path)
        connection.sendall(http_answer(b"", status="404 Not Found") if body is None else body)

    return handle


def test_the_toy_example_answers_our_nonce_with_its_exact_texts() -> None:
    seen: list[bytes] = []

    def handle(connection: socket.socket, head: bytes) -> None:
        seen.append(head)
        connection.sendall(http_answer(json.dumps(ANSWER).encode()))

    with serving(handle) as url:
        evidence = fetch(url)
    assert b"GET /attestation?nonce=" + CHALLENGE.nonce.hex().encode() + b" HTTP/1.1" in seen[0]
    assert (evidence.origin, evidence.quote, evidence.statement) == (Origin.TOY_EXAMPLE, b"\x04\x00", '{"a":"é"}')
    assert (evidence.app_compose, evidence.challenge, evidence.source) == ("{}\n", CHALLENGE, url)
    assert evidence.fetched_at


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (json.dumps({**ANSWER, "extra": 1}), "unknown member"),
        (json.dumps({**ANSWER, "schema": "toy-example/attestation/v2"}), "unknown form"),
        (json.dumps({**ANSWER, "quote": 4}), "wrong type"),
        (json.dumps({**ANSWER, "quote": "0x04"}), "not hex text"),
        (json.dumps({name: value for name, value in ANSWER.items() if name != "statement"}), "missing member"),
        (json.dumps(ANSWER)[:-1] + ',"quote":"00"}', "duplicate JSON member"),
        ('{"quote": ', "not JSON"),
        (json.dumps({**ANSWER, "schema": 1}), "wrong type"),
        (json.dumps({name: value for name, value in ANSWER.items() if name != "schema"}), "unknown form"),
    ],
)
def test_an_answer_with_a_defect_is_malformed_and_not_a_reason_to_look_elsewhere(body: str, reason: str) -> None:
    with answering(http_answer(body.encode())) as url, pytest.raises(Malformed, match=reason) as caught:
        fetch(url)
    assert caught.value.where.startswith(url)


@pytest.mark.parametrize("status", ["500 Oops", "503 No guest agent", "400 Bad", "403 No", "204 None"])
def test_an_endpoint_that_fails_is_an_error_and_not_a_reason_to_look_elsewhere(status: str) -> None:
    answer = http_answer(b'{"error": "no guest agent"}', status=status)
    with answering(answer) as url, pytest.raises(Unavailable, match="refused to attest"):
        fetch(url)


def test_an_html_page_instead_of_json_is_followed_by_every_address_that_was_tried() -> None:
    page = http_answer(b"<!doctype html><html></html>", headers=("Content-Type: text/html",))
    with answering(page) as url, pytest.raises(Unavailable, match="no attestation found") as caught:
        fetch(url)
    assert caught.value.hint
    assert "/prpc/Worker.Info" in str(caught.value)


def test_without_an_attestation_endpoint_dstack_itself_is_asked() -> None:
    info = {"app_id": "11" * 20, "tcb_info": "", "app_cert": ""}
    routed = routes(prpc_Worker_Info=http_answer(json.dumps(info).encode()))
    with serving(routed) as url, pytest.raises(Unavailable, match="no certificate with a quote"):
        fetch(url)


def test_a_broken_guest_agent_answer_is_malformed_and_says_where() -> None:
    info = {"app_id": 1, "tcb_info": "", "app_cert": ""}
    with serving(routes(prpc_Worker_Info=http_answer(json.dumps(info).encode()))) as url:
        with pytest.raises(Malformed, match="wrong type") as caught:
            fetch(url)
        assert caught.value.where == f"{url}/prpc/Worker.Info: Info.app_id"


def test_what_is_no_url_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        fetch("prod9")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"https://{'ab' * 20}.dstack.example", f"https://{'ab' * 20}-8090.dstack.example"),
        (f"https://{'ab' * 20}-8080.dstack.example", f"https://{'ab' * 20}-8090.dstack.example"),
        (f"https://{'ab' * 20}-443s.dstack.example:8443", f"https://{'ab' * 20}-8090.dstack.example:8443"),
        ("http://10.0.0.1:8080/", "http://10.0.0.1:8090"),
        ("http://[::1]:80", "http://[::1]:8090"),
    ],
)
def test_the_guest_agent_is_looked_for_at_the_gateways_name_or_on_port_8090(
    url: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance, "AGENT_PORT", 8090)
    assert list(info_urls(url)) == [url.rstrip("/"), expected]
