"""Faults have names, places and sentences; the man in the middle does what its fault says."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from twinproof_devnet.faults import FRONT_FAULTS, Fault, FaultAt, active
from twinproof_devnet.front import Front
from twinproof_devnet.loopback import Answer, LoopbackServer, Request

NONCE = "ab" * 32


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_is_described_in_a_sentence(fault: Fault) -> None:
    assert fault.value.replace("_", "").isalpha()
    assert fault.description.endswith(".")
    assert fault.place in {"collateral", "machine", "vm", "front", "cloud", "chain"}


def test_a_fault_is_everywhere_or_at_one_machine() -> None:
    faults = [FaultAt.parse("debug_td@prod7"), FaultAt.parse("revoked_ca")]
    assert active(faults, "prod7") == {Fault.DEBUG_TD, Fault.REVOKED_CA}
    assert active(faults, "prod9") == {Fault.REVOKED_CA}
    assert [str(fault) for fault in faults] == ["debug_td@prod7", "revoked_ca"]


def test_an_unknown_fault_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match=r"unknown fault 'gremlins'; there are: .*debug_td"):
        FaultAt.parse("gremlins@prod7")


def app(request: Request) -> Answer:
    """Stands in for the enclave app."""
    if request.path != "/attestation":
        return Answer(request.method.encode() + request.body)
    events = json.dumps([{"event": "compose-hash", "event_payload": "00"}])
    statement = json.dumps({"eat_nonce": request.query("nonce"), "version": "1.0.0"}, separators=(",", ":"))
    document = {
        "schema": "toy-example/attestation/v1",
        "statement": statement,
        "quote": "00" * 1000,
        "event_log": events,
        "vm_config": "{}",
        "app_compose": '{"name": "toy-example"}',
    }
    return Answer(json.dumps(document).encode())


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    server = LoopbackServer(app)
    yield server.url
    server.close()


def ask(url: str, path: str = f"/attestation?nonce={NONCE}", timeout: float = 10) -> bytes:
    with urllib.request.urlopen(url + path, timeout=timeout) as answer:
        body: bytes = answer.read()
        return body


@pytest.fixture
def front(upstream: str, request: pytest.FixtureRequest) -> Iterator[Front]:
    running = Front(upstream, request.param)
    yield running
    running.close()


@pytest.mark.parametrize("front", sorted(FRONT_FAULTS), indirect=True)
def test_everything_but_the_attestation_passes(front: Front) -> None:
    with urllib.request.urlopen(urllib.request.Request(front.url + "/signup", b"x"), timeout=10) as answer:
        assert answer.read() == b"POSTx"


@pytest.mark.parametrize(
    ("front", "member", "what"),
    [
        (Fault.FORGED_QUOTE, "quote", "01"),
        (Fault.EDITED_STATEMENT, "statement", '"version":"9.9.9"'),
        (Fault.SWAPPED_COMPOSE, "app_compose", "audited-example"),
        (Fault.NOT_HEX, "quote", "zz00"),
    ],
    indirect=["front"],
)
def test_one_member_is_changed(front: Front, upstream: str, member: str, what: str) -> None:
    honest, got = json.loads(ask(upstream)), json.loads(ask(front.url))
    assert what in got[member]
    assert {name for name in honest if honest[name] != got[name]} == {member}


@pytest.mark.parametrize("front", [Fault.FORGED_EVENT], indirect=True)
def test_an_event_is_forged_in_the_log_only(front: Front) -> None:
    (event,) = json.loads(json.loads(ask(front.url))["event_log"])
    assert len(event["event_payload"]) == 64


@pytest.mark.parametrize("front", [Fault.REPLAYED_QUOTE], indirect=True)
def test_a_replay_is_the_same_answer_to_every_nonce(front: Front) -> None:
    first, second = ask(front.url), ask(front.url, "/attestation?nonce=" + "cd" * 32)
    assert first == second
    assert NONCE.encode() not in first


@pytest.mark.parametrize("front", [Fault.STALE_NONCE], indirect=True)
def test_a_stale_nonce_is_new_each_time_and_never_the_callers(front: Front) -> None:
    first, second = ask(front.url), ask(front.url)
    assert first != second
    assert NONCE.encode() not in first + second


@pytest.mark.parametrize("front", [Fault.DUPLICATE_KEYS], indirect=True)
def test_a_member_can_come_twice(front: Front) -> None:
    assert ask(front.url).count(b'"schema"') == 2


@pytest.mark.parametrize("front", [Fault.HTML_INSTEAD_OF_JSON], indirect=True)
def test_a_page_can_come_instead(front: Front) -> None:
    assert ask(front.url).startswith(b"<!doctype html>")


@pytest.mark.parametrize("front", [Fault.SERVER_ERROR], indirect=True)
def test_a_server_can_fail(front: Front) -> None:
    with pytest.raises(urllib.error.HTTPError, match="500") as error:
        ask(front.url)
    error.value.close()


@pytest.mark.parametrize("front", [Fault.REDIRECT_ELSEWHERE], indirect=True)
def test_a_redirect_leads_to_the_same_app_by_another_name(front: Front) -> None:
    assert json.loads(ask(front.url))["schema"] == "toy-example/attestation/v1"


@pytest.mark.parametrize("front", [Fault.ENDLESS_RESPONSE], indirect=True)
def test_an_endless_answer_outlasts_any_patience(front: Front) -> None:
    with urllib.request.urlopen(f"{front.url}/attestation", timeout=10) as answer:
        assert len(answer.read(8 << 20)) == 8 << 20


@pytest.mark.parametrize("front", [Fault.SLOW, Fault.SILENT], indirect=True)
def test_a_slow_server_is_not_done_in_time(front: Front) -> None:
    with pytest.raises(TimeoutError):
        ask(front.url, timeout=0.5)
