"""A JSON-RPC endpoint may do what it likes: its answer is to the question, or Unavailable, and no key is shown."""

from __future__ import annotations

import json
import time

import pytest

from loopback import dead_port, serving
from rpc_stub import StubNode, client, endpoint, running
from twinproof.errors import Unavailable, UsageError
from twinproof.sources.rpc import ATTEMPTS, Endpoint, endpoints_of, header_at, quantity_of
from twinproof.sources.rpc_errors import Busy, NoSuchBlock, RpcRefused, RpcUntrue, range_hint
from twinproof_devnet.loopback import Answer

KEY = "Zm9vYmFyYmF6MTIzNDU2Nzg5MA"


def answered(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> StubNode:
    return StubNode(answer=lambda *_: Answer(body, status=status, headers=headers or {}))


def refusing(code: int, message: str) -> StubNode:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message}}).encode()
    return answered(body)


def test_an_answer_to_the_question_is_given_as_it_came() -> None:
    with endpoint(StubNode()) as node:
        assert node.call("eth_chainId") == "0x2105"
        assert quantity_of(node, "eth_chainId") == 8453
        assert node.requests == 2


def test_the_endpoint_is_called_by_host_and_port_and_its_key_appears_nowhere() -> None:
    with running(answered(b"<html>no</html>")) as url:
        node = Endpoint(f"{url}/v2/{KEY}?apikey={KEY}", client())
        assert node.name == url.removeprefix("http://")
        with pytest.raises(Unavailable) as failure:
            node.call("eth_chainId")
    said = f"{failure.value} {failure.value.hint} {node!r} {failure.value.__cause__}"
    assert KEY not in said
    assert "HTML page" in said


def test_a_key_in_the_url_of_a_dead_endpoint_appears_nowhere() -> None:
    node = Endpoint(f"http://127.0.0.1:{dead_port()}/{KEY}/short1?k={KEY}", client())
    with pytest.raises(Unavailable, match="refused") as failure:
        node.call("eth_chainId")
    assert KEY not in str(failure.value)
    assert "short1" not in str(failure.value)


def test_a_key_that_the_endpoint_repeats_appears_nowhere() -> None:
    with endpoint(refusing(-32000, f"bad request to https://node.example/v2/{KEY}?k={KEY}")) as node:
        with pytest.raises(RpcRefused) as failure:
            node.call("eth_chainId")
        assert KEY not in str(failure.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":2,"result":"0x1"}',
        b'{"jsonrpc":"2.0","id":true,"result":"0x1"}',
        b'{"jsonrpc":"2.0","id":1,"result":"0x1","id":1}',
        b'{"jsonrpc":"2.0","id":1,"error":{}}',
        b'{"jsonrpc":"2.0","id":1,"error":{"code":"x","message":1}}',
        b'{"jsonrpc":"2.0","id":1,"error":"no"}',
        b"\xff\xfe",
        b'{"a":' * 100,
    ],
)
def test_garbage_is_no_answer(body: bytes) -> None:
    with endpoint(answered(body)) as node, pytest.raises(Unavailable) as failure:
        node.call("eth_chainId")
    assert failure.value.exit_code == 5


@pytest.mark.parametrize("result", ["1", "0x", "0x01", "-0x1", "0x" + "1" * 65, " 0x1", None, 1, True, [], "0x1g"])
def test_what_is_no_quantity_is_refused(result: object) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()
    with endpoint(answered(body)) as node, pytest.raises(RpcUntrue, match="eth_chainId"):
        quantity_of(node, "eth_chainId")


def test_a_busy_endpoint_is_asked_again_as_it_says() -> None:
    answers = iter([Answer(b"", status=429, headers={"Retry-After": "3"}), Answer(b"", status=503)])
    node = StubNode(answer=lambda *_: next(answers, None))
    pauses: list[float] = []
    with endpoint(node, pauses=pauses) as asked:
        assert asked.call("eth_chainId") == "0x2105"
    assert pauses == [3.0, 1.0]


def test_an_endpoint_that_was_busy_is_asked_more_slowly_and_then_faster_again() -> None:
    answers = iter([Answer(b"", status=429, headers={"Retry-After": "3"})])
    node = StubNode(answer=lambda *_: next(answers, None))
    pauses: list[float] = []
    with endpoint(node, pauses=pauses) as asked:
        for _ in range(60):
            asked.call("eth_chainId")
    assert pauses[0] == 3.0
    assert pauses[1:] == sorted(pauses[1:], reverse=True)
    assert 0 < len(pauses) < 40
    assert pauses[1] < 0.1


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (-32005, "daily request count exceeded, request rate limited"),
        (429, "Your app has exceeded its compute units per second capacity"),
        (-32016, "over rate limit"),
    ],
)
def test_an_endpoint_that_stays_busy_is_given_up_after_some_attempts(code: int, message: str) -> None:
    pauses: list[float] = []
    with endpoint(refusing(code, message), pauses=pauses) as node, pytest.raises(Busy, match="asked too often"):
        node.call("eth_chainId")
    assert len(pauses) == ATTEMPTS - 1
    assert pauses == sorted(pauses)


def test_a_wait_that_is_too_long_is_told_and_not_waited_for() -> None:
    pauses: list[float] = []
    busy = answered(b"", status=429, headers={"Retry-After": "3600"})
    with endpoint(busy, pauses=pauses) as node, pytest.raises(Busy):
        node.call("eth_chainId")
    assert pauses == []


def test_a_slow_endpoint_ends_at_its_deadline() -> None:
    with serving(lambda *_: time.sleep(3)) as url:
        start = time.monotonic()
        with pytest.raises(Unavailable, match="in time"):
            Endpoint(url, client(0.3)).call("eth_chainId")
        assert time.monotonic() - start < 2


def test_an_endless_answer_ends_at_its_limit() -> None:
    node = StubNode(answer=lambda *_: Answer(iter(lambda: b" " * (1 << 20), b"")))
    with endpoint(node) as asked, pytest.raises(Unavailable, match="too large"):
        asked.call("eth_chainId")


def test_a_redirect_is_not_followed_with_what_was_posted() -> None:
    node = answered(b"", status=307, headers={"Location": "http://127.0.0.1:1/"})
    with endpoint(node) as asked, pytest.raises(Unavailable, match="status 307"):
        asked.call("eth_chainId")
    assert node.asked["eth_chainId"] == 1


def test_error_codes_and_data_are_kept_under_any_status() -> None:
    error = {"code": 3, "message": "execution reverted", "data": "0x118cdaa7"}
    with endpoint(answered(json.dumps({"error": error}).encode(), status=400)) as node:
        with pytest.raises(RpcRefused, match="execution reverted") as failure:
            node.call("eth_call")
        assert (failure.value.code, failure.value.data) == (3, "0x118cdaa7")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("https://node.example/a", "https://node.example/b"),
        ("https://node.example", "https://NODE.example.:443/"),
        ("https://node.example", "http://node.example"),
        ("http://[::1]:8545", "http://[0:0:0:0:0:0:0:1]:8545"),
    ],
    ids=["another path", "another spelling", "another scheme", "another spelling of an address"],
)
def test_two_urls_of_one_host_are_one_endpoint(first: str, second: str) -> None:
    with pytest.raises(UsageError, match="two URLs of one endpoint"):
        endpoints_of((first, second), client())


def test_a_block_whose_hash_is_not_its_own_is_refused() -> None:
    node = StubNode()
    changed = {**_header(node, 7), "stateRoot": "0x" + "99" * 32}
    node.answer = lambda *_: Answer(json.dumps({"jsonrpc": "2.0", "id": 1, "result": changed}).encode())
    with endpoint(node) as asked, pytest.raises(RpcUntrue, match="do not hash"):
        header_at(asked, "0x7")


def test_another_block_than_the_one_asked_for_is_refused() -> None:
    node = StubNode()
    other = _header(node, 8)
    node.answer = lambda *_: Answer(json.dumps({"jsonrpc": "2.0", "id": 1, "result": other}).encode())
    with endpoint(node) as asked, pytest.raises(RpcUntrue, match="another block"):
        header_at(asked, "0x7")


def test_a_block_that_is_not_there_is_told_apart() -> None:
    with endpoint(StubNode(head=5)) as node, pytest.raises(NoSuchBlock):
        header_at(node, "0x6")


def _header(node: StubNode, block: int) -> dict[str, object]:
    found = node.result("eth_getBlockByNumber", [hex(block), False])
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        ("query exceeds max block range 10000", 10000),
        ("eth_getLogs is limited to a 10,000 range", 10000),
        ("block range too large, max 2K block range", 2000),
        ("exceed maximum block range: 50000", 50000),
        ("Log response size exceeded. this block range should work: [0x64, 0xc7]", 100),
        ("query returned more than 10000 results", None),
        ("range is too large", None),
        ("limit exceeded", None),
    ],
)
def test_a_limit_that_a_refusal_names_is_understood(message: str, limit: int | None) -> None:
    assert range_hint(message) == limit
    refused = RpcRefused(message, where="node", code=-32005)
    assert refused.asked_too_much
    assert not refused.asked_too_often
