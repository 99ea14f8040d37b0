"""Asking an instance: its own endpoint first, then dstack's, and never a silent substitute for a failure."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from pathlib import Path

import pytest

from loopback import Handler, Identity, answering, dead_port, http_answer, serving
from twinproof.dcap.collateral import Collateral
from twinproof.dcap.roots import TrustRoot
from twinproof.errors import Malformed, Unavailable, UsageError
from twinproof.evidence.evidence import Challenge, Evidence, Origin
from twinproof.evidence.nonce import challenge_for
from twinproof.sources import clock, instance
from twinproof.sources.http import HttpClient
from twinproof.sources.instance import fetch_evidence, info_urls
from twinproof.sources.limits import Limits
from twinproof.verifier import Verifier
from twinproof_devnet.boot import Boot
from twinproof_devnet.collateral import make
from twinproof_devnet.confidential_vm import ConfidentialVm
from twinproof_devnet.guest_agent import GuestAgent
from twinproof_devnet.host import TdxHost
from twinproof_devnet.kms import Kms
from twinproof_devnet.pki import Pki

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
    monkeypatch.setattr(instance, "AGENT_PORT", dead_port())


def fetch(url: str, challenge: Challenge = CHALLENGE) -> Evidence:
    return fetch_evidence(url, challenge, quick())


def quick() -> HttpClient:
    return HttpClient(Limits(total_timeout=10))


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


@pytest.mark.parametrize("url", ["http://host?x=1", "http://host/#app"])
def test_a_url_that_nothing_can_be_appended_to_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError, match="query or a fragment"):
        fetch(url)


@pytest.mark.parametrize(
    "body",
    [b"[]", b'"ok"', b"ok", b"", b"{}", b'{"status": "ok"}', b"<html>"],
)
def test_an_answer_of_another_kind_leads_to_the_guest_agent(body: bytes) -> None:
    with answering(http_answer(body)) as url, pytest.raises(Unavailable, match="no attestation found") as caught:
        fetch(url)
    text = str(caught.value)
    assert f"{url}/attestation: " in text
    assert f"{url}/prpc/Worker.Info: " in text
    assert f"http://127.0.0.1:{instance.AGENT_PORT}/prpc/Worker.Info: no connection" in text


def test_a_dead_instance_is_not_looked_for_elsewhere() -> None:
    url = f"http://127.0.0.1:{dead_port()}"
    with pytest.raises(Unavailable, match="no connection") as caught:
        fetch(url)
    assert caught.value.where == f"{url}/attestation"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"https://{'ab' * 20}.dstack.example", [f"https://{'ab' * 20}-8090.dstack.example"]),
        (f"https://{'ab' * 20}-8080.dstack.example", [f"https://{'ab' * 20}-8090.dstack.example"]),
        (f"https://{'AB' * 20}-8080.dstack.example/app", [f"https://{'ab' * 20}-8090.dstack.example"]),
        (f"https://{'ab' * 20}-443s.dstack.example:8443", [f"https://{'ab' * 20}-8090.dstack.example:8443"]),
        (f"https://{'ab' * 20}-50051g.dstack.example", [f"https://{'ab' * 20}-8090.dstack.example"]),
        (f"https://{'ab' * 20}-8090.dstack.example", []),
        ("http://10.0.0.1:8080/", ["http://10.0.0.1:8090"]),
        ("http://10.0.0.1:8090/", []),
        ("https://prod9.example", ["http://prod9.example:8090"]),
        ("http://[::1]:80", ["http://[::1]:8090"]),
    ],
)
def test_the_guest_agent_is_looked_for_at_the_gateways_name_or_on_port_8090(
    url: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance, "AGENT_PORT", 8090)
    assert list(info_urls(url)) == [url.rstrip("/"), *expected]


NOW = clock.now()


@pytest.fixture(scope="module")
def vm() -> ConfidentialVm:
    """A confidential VM of the devnet, whose KMS and PKI were made now."""
    boot = Boot(key_provider=KMS.key_provider)
    return ConfidentialVm(TdxHost.create(PKI, NOW), boot, KMS.release(boot.effective_app_id), clock=clock.now)


PKI, KMS = Pki.create(NOW), Kms.create(NOW)


def genuine(evidence: Evidence) -> bool:
    collateral = Collateral.from_json(json.dumps(make(PKI, NOW)))
    verifier = Verifier(roots=(TrustRoot.from_pem_or_der(PKI.root.der),))
    return verifier.verify(evidence.with_collateral(collateral), at=NOW).genuine


def test_a_guest_agents_info_verifies_without_an_endpoint_of_the_app(vm: ConfidentialVm, tmp_path: Path) -> None:
    with closing(GuestAgent(vm, tmp_path / "dstack.sock")) as agent:
        evidence = fetch(agent.url)
    assert evidence.origin is Origin.GUEST_INFO
    assert evidence.challenge is None
    assert genuine(evidence)


def test_the_agents_own_port_is_found_from_the_apps_address(
    vm: ConfidentialVm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(GuestAgent(vm, tmp_path / "dstack.sock")) as agent, serving(routes()) as url:
        monkeypatch.setattr(instance, "AGENT_PORT", int(agent.url.rpartition(":")[2]))
        evidence = fetch(url)
    assert (evidence.origin, evidence.source) == (Origin.GUEST_INFO, url)


@pytest.fixture
def ra_tls(vm: ConfidentialVm, tmp_path: Path) -> Identity:
    answer = vm.tls_key(subject="app", alt_names=("127.0.0.1",), ra_tls=True, server_auth=True, client_auth=False)
    return Identity(tmp_path, f"{answer.key}{''.join(answer.certificate_chain)}".encode())


def test_a_certificate_with_a_quote_is_not_asked_for_behind_the_users_back(ra_tls: Identity) -> None:
    with serving(routes(), ra_tls) as url, pytest.raises(Unavailable, match="not trusted") as caught:
        fetch(url)
    assert "--ra-tls" in caught.value.hint


def test_the_quote_in_the_connections_certificate_verifies(ra_tls: Identity) -> None:
    with serving(routes(), ra_tls) as url:
        evidence = fetch_evidence(url, CHALLENGE, quick(), ra_tls=True)
    assert evidence.origin is Origin.RA_TLS
    assert evidence.ra_tls_certificate == evidence.tls_certificate == ra_tls.der
    assert genuine(evidence)


def test_whatever_is_spoken_above_tls_the_quote_is_below_it(ra_tls: Identity) -> None:
    def not_http(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"\x00\x01\x02")

    with serving(not_http, ra_tls) as url:
        assert fetch_evidence(url, CHALLENGE, quick(), ra_tls=True).origin is Origin.RA_TLS


def test_a_fresh_statement_is_better_than_a_certificate(ra_tls: Identity) -> None:
    with answering(http_answer(json.dumps(ANSWER).encode()), tls=ra_tls) as url:
        evidence = fetch_evidence(url, CHALLENGE, quick(), ra_tls=True)
    assert (evidence.origin, evidence.tls_certificate) == (Origin.TOY_EXAMPLE, ra_tls.der)


def test_a_certificate_that_a_named_authority_issued_is_the_last_resort(ra_tls: Identity, tmp_path: Path) -> None:
    authority = tmp_path / "kms.pem"
    authority.write_text(KMS.ca.pem)
    http = HttpClient(ca_file=str(authority))
    with serving(routes(), ra_tls) as url:
        assert fetch_evidence(url, CHALLENGE, http).origin is Origin.RA_TLS


def test_a_certificate_without_a_quote_is_no_evidence(tmp_path: Path) -> None:
    nothing = pytest.raises(Unavailable, match="no attestation found")
    with serving(routes(), Identity.self_signed(tmp_path)) as url, nothing:
        fetch_evidence(url, CHALLENGE, quick(), ra_tls=True)


def test_a_failure_is_still_told_when_the_certificate_is_no_help(tmp_path: Path) -> None:
    def not_http(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"\x00\x01\x02")

    failure = pytest.raises(Unavailable, match="no complete answer")
    with serving(not_http, Identity.self_signed(tmp_path)) as url, failure:
        fetch_evidence(url, CHALLENGE, quick(), ra_tls=True)
