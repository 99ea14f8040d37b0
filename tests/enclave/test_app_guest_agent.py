"""The app's guest agent through the official client: what is taken, what is not believed, how long it waits."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

import toy_example.guest_agent
from running_agent import running_agent
from toy_example.guest_agent import AgentError, SdkGuestAgent
from toy_example.signups import signed_count

APP_COMPOSE = '{"name":"toy-example"}'


def info(**changes: object) -> dict[str, object]:
    """An honest answer to Info, but for the changes."""
    registers = dict.fromkeys(("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3"), "00" * 48)
    named = dict.fromkeys(("mr_aggregated", "os_image_hash", "compose_hash", "device_id"), "00" * 32)
    return {
        "app_id": "11" * 20,
        "instance_id": "22" * 20,
        "app_cert": "",
        "tcb_info": json.dumps({**registers, **named, "event_log": [], "app_compose": APP_COMPOSE}),
        "app_name": "toy-example",
        "device_id": "",
        "key_provider_info": "{}",
        "compose_hash": hashlib.sha256(APP_COMPOSE.encode()).hexdigest(),
        **changes,
    }


@contextmanager
def answering(path: Path, body: bytes | None, status: bytes = b"200 OK") -> Iterator[None]:
    """A socket that gives this answer to its first caller; None: it takes the request and stays silent."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                while not connection.recv(65536).endswith(b"}"):
                    pass
                if body is not None:
                    connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
                connection.recv(1)  # until the client ends

        thread = Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            thread.join(10)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the app looks for its guest agent."""
    path = tmp_path / "dstack.sock"
    monkeypatch.setenv("DSTACK_SIMULATOR_ENDPOINT", str(path))
    return path


def test_identity_quote_and_key_come_from_the_guest_agent(path: Path) -> None:
    with running_agent(path.parent) as (agent, _):
        identity = asyncio.run(SdkGuestAgent().identity())
        assert identity.app_compose == agent.vm.app_compose
        assert identity.compose_hash == agent.vm.compose_hash.hex()
        assert (identity.app_id, identity.instance_id) == (agent.vm.app_id.hex(), agent.vm.instance_id.hex())
        quote = asyncio.run(SdkGuestAgent().quote(b"\x07" * 64))
        assert bytes.fromhex(quote.quote)[568:632] == b"\x07" * 64
        assert (quote.event_log, quote.vm_config) == (agent.vm.event_log(), agent.vm.vm_config)
        key = asyncio.run(SdkGuestAgent().key("signup-count"))
        released = agent.vm.keys.get_key("signup-count", "signup-count", "secp256k1")
        assert key.secret == released.key
        assert key.signature_chain == tuple(item.hex() for item in released.signature_chain)


def test_the_hash_that_is_stated_is_the_one_of_the_text_even_when_the_agent_names_none(path: Path) -> None:
    with answering(path, json.dumps(info(compose_hash="")).encode()):
        identity = asyncio.run(SdkGuestAgent().identity())
    assert identity.compose_hash == hashlib.sha256(APP_COMPOSE.encode()).hexdigest()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"compose_hash": "ab" * 32}, "not the hash of its app-compose"),
        ({"app_id": "11" * 19}, "not 20 bytes of hex"),
        ({"app_id": "\N{FULLWIDTH DIGIT ONE}" * 40}, "not 20 bytes of hex"),
        ({"instance_id": "22" * 21}, "not 20 bytes of hex"),
        ({"tcb_info": ""}, "did not answer"),
    ],
)
def test_facts_that_cannot_be_right_are_not_stated(path: Path, changes: dict[str, object], reason: str) -> None:
    with answering(path, json.dumps(info(**changes)).encode()), pytest.raises(AgentError, match=reason):
        asyncio.run(SdkGuestAgent().identity())


@pytest.mark.parametrize("key", ["", "00" * 31, "zz" * 32])
def test_a_key_that_is_not_32_bytes_is_refused(path: Path, key: str) -> None:
    body = json.dumps({"key": key, "signature_chain": []}).encode()
    with answering(path, body), pytest.raises(AgentError, match="32 bytes of hex"):
        asyncio.run(SdkGuestAgent().key("signup-count"))


def test_a_key_that_is_no_scalar_of_the_curve_is_refused(path: Path) -> None:
    with answering(path, json.dumps({"key": "ff" * 32, "signature_chain": []}).encode()):
        key = asyncio.run(SdkGuestAgent().key("signup-count"))
    with pytest.raises(AgentError, match="not a secp256k1 private key"):
        signed_count(0, "", 0, key)


def test_an_agent_that_refuses_is_an_agent_that_did_not_answer(path: Path) -> None:
    with answering(path, b'{"error":"no"}', b"400 Bad Request"), pytest.raises(AgentError, match="did not answer"):
        asyncio.run(SdkGuestAgent().quote(b"\x01"))


def test_a_silent_agent_is_given_up_in_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy_example.guest_agent, "TIMEOUT_SECONDS", 0.2)
    with answering(path, None), pytest.raises(AgentError, match="Timeout"):
        asyncio.run(SdkGuestAgent().identity())


def test_no_socket_is_said_to_be_no_guest_agent(path: Path) -> None:
    with pytest.raises(AgentError, match=f"no guest agent: .*{path.name}"):
        asyncio.run(SdkGuestAgent().identity())
