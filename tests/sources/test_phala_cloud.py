"""The cloud's API as a client meets it: each documented status has its error, no key gets out, nothing goes twice."""

from __future__ import annotations

import json
import pickle
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from loopback import dead_port, http_answer, serving
from twinproof.deployments.cloud_answers import Pending
from twinproof.errors import Refused, TwinproofError, Unavailable, UsageError
from twinproof.sources.http import HttpClient
from twinproof.sources.limits import Limits
from twinproof.sources.phala_cloud import ApiKey, PhalaCloud
from twinproof.sources.phala_cloud_errors import (
    CloudBusy,
    CloudRefused,
    HashNotAllowed,
    ProposalExpired,
    TransactionNotFound,
)

KEY = "phak_a-key-that-nobody-sees"
UUID = "f" * 32
HASH, DEVICE = "ab" * 32, "cd" * 32
TRANSACTION = bytes([7]) * 32
PENDING = Pending(bytes.fromhex(HASH), bytes.fromhex(DEVICE), None, "token-1", None)
KMS = {
    "id": "kms-base-prod9",
    "slug": "kms-base-prod9",
    "url": "https://kms.invalid",
    "version": "v0.5.8",
    "chain_id": 8453,
    "kms_contract_address": "0x2f83172A49584C017F2B256F0FB2Dca14126Ba9C",
    "gateway_app_id": None,
}


@dataclass
class Service:
    """Answers each request with the next of its answers; the last one repeats."""

    answers: list[bytes]
    url: str = ""
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def handle(self, connection: socket.socket, head: bytes) -> None:
        start, _, body = head.partition(b"\r\n\r\n")
        first, *lines = start.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        while len(body) < int(headers.get("content-length", "0")):
            body += connection.recv(65536)
        method, path, _ = first.split(" ")
        self.requests.append((method, path, headers, body))
        connection.sendall(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])

    def cloud(self, **limits: float) -> PhalaCloud:
        http = HttpClient(Limits(**{"total_timeout": 5.0, **limits}))  # type: ignore[arg-type]
        return PhalaCloud(f"{self.url}/api/v1", ApiKey(KEY), http, pause=lambda _: None)


@contextmanager
def service(*answers: bytes) -> Iterator[Service]:
    made = Service(list(answers))
    with serving(made.handle) as made.url:
        yield made


def answer(document: object, status: int = 200) -> bytes:
    return http_answer(json.dumps(document).encode(), status=f"{status} x", headers=("Content-Type: application/json",))


def structured(
    code: str, message: str = "no", details: Mapping[str, object] | None = None, *, below: bool = False
) -> dict[str, object]:
    items = [{"field": name, "value": value} for name, value in (details or {}).items()]
    found: dict[str, object] = {"error_code": code, "message": message, "details": items}
    return {"detail": found} if below else found


REQUIRED = structured(
    "ERR-01-005",
    details={
        "compose_hash": HASH,
        "device_id": DEVICE,
        "app_id": "0x" + "11" * 20,
        "kms_info": KMS,
        "commit_token": "token-1",
    },
)
STATUSES: dict[int, tuple[type[TwinproofError], object, int]] = {
    400: (CloudRefused, structured("ERR-01-003"), 4),
    401: (UsageError, {"detail": "Invalid API key"}, 2),
    402: (CloudRefused, structured("ERR-04-001"), 4),
    403: (UsageError, {"detail": "Forbidden"}, 2),
    404: (UsageError, structured("ERR-03-001", below=True), 2),
    409: (CloudBusy, structured("ERR-03-007"), 5),
    422: (UsageError, {"detail": [{"msg": "missing", "type": "value_error", "loc": ["body", "name"]}]}, 2),
    429: (CloudBusy, {"detail": "slow down"}, 5),
    466: (ProposalExpired, structured("ERR-01-006"), 5),
    467: (TransactionNotFound, structured("ERR-01-007", below=True), 5),
    468: (HashNotAllowed, structured("ERR-01-008"), 4),
    500: (Unavailable, "<html>oops</html>", 5),
    503: (Unavailable, structured("ERR-02-012"), 5),
}


@pytest.mark.parametrize("status", STATUSES)
def test_every_documented_status_has_its_error_with_the_services_words(status: int) -> None:
    kind, body, code = STATUSES[status]
    with service(answer(body, status)) as made, pytest.raises(kind) as caught:
        made.cloud().commit({})
    assert type(caught.value) is kind
    assert caught.value.exit_code == code
    assert f"status {status}" in caught.value.got
    if isinstance(body, dict):
        inner = body.get("detail") if isinstance(body.get("detail"), dict) else body
        assert isinstance(inner, dict)
        assert str(inner.get("error_code", "")) in caught.value.got


def test_a_request_that_changes_something_is_sent_once_whatever_comes_back() -> None:
    for status in (409, 429, 500, 503):
        with service(answer({"detail": "x"}, status)) as made, pytest.raises(Unavailable):
            made.cloud().commit({})
        assert len(made.requests) == 1


def test_a_question_is_asked_again_a_few_times_and_then_given_up() -> None:
    with service(answer({"detail": "x"}, 503), answer({"nodes": []})) as made:
        assert made.cloud().nodes() == ()
        assert len(made.requests) == 2
    with service(answer({"detail": "x"}, 503)) as made, pytest.raises(Unavailable):
        made.cloud().nodes()
    assert len(made.requests) == 4


def test_the_key_is_in_one_header_and_in_no_message() -> None:
    with service(answer({"detail": f"Invalid API key {KEY}"}, 401)) as made, pytest.raises(UsageError) as caught:
        made.cloud().nodes()
    assert made.requests[0][2]["x-api-key"] == KEY
    assert KEY not in str(caught.value) + repr(caught.value) + caught.value.hint
    assert KEY not in repr(made.cloud()) + repr(ApiKey(KEY))
    with pytest.raises(TypeError):
        pickle.dumps(ApiKey(KEY))


@pytest.mark.parametrize("prefix", ["http://cloud.example/api/v1", "http://10.0.0.7/api/v1", "http://[2001:db8::1]/v1"])
def test_the_key_does_not_go_over_plain_http_to_another_host(prefix: str) -> None:
    with pytest.raises(UsageError, match="over TLS only"):
        PhalaCloud(prefix, ApiKey(KEY), HttpClient())


@pytest.mark.parametrize("status", [401, 500, 418])
def test_a_key_that_an_error_repeats_in_escapes_is_cut_out(status: int) -> None:
    escaped = "".join(f"\\u{ord(char):04x}" for char in KEY)
    body = f'{{"detail": "Invalid API key {escaped}"}}'.encode()
    with service(http_answer(body, status=f"{status} x")) as made, pytest.raises(TwinproofError) as caught:
        made.cloud().commit({})
    assert "Invalid API key ***" in caught.value.got
    assert KEY not in str(caught.value)


def test_a_key_that_a_good_answer_repeats_is_in_nothing_that_is_read() -> None:
    """A node's name stands in messages, and those in public logs and records."""
    images: list[object] = []
    node = {"teepod_id": 1, "name": f"prod9 {KEY}", "listed": True, "images": images}
    escaped = json.dumps({"nodes": [node]}).replace(KEY, "".join(f"\\u{ord(char):04x}" for char in KEY))
    with service(http_answer(escaped.encode())) as made:
        assert [found.name for found in made.cloud().nodes()] == ["prod9 ***"]
    with service(answer({"nodes": [{"teepod_id": KEY, "name": "prod9"}]})) as made:
        with pytest.raises(Unavailable) as caught:
            made.cloud().nodes()
        assert KEY not in str(caught.value)


def test_an_instance_of_another_app_in_the_list_is_refused() -> None:
    """Updating it would change what somebody else's app runs."""
    cvm = {"vm_uuid": UUID, "name": "toy", "status": "running", "app_id": "22" * 20}
    with service(answer([cvm])) as made, pytest.raises(Refused, match="an instance of another app"):
        made.cloud().cvms_of(bytes([0x11]) * 20)


def test_an_app_on_the_second_page_is_found_before_a_second_contract_is_made() -> None:
    def page(name: str, app_id: str) -> bytes:
        return answer({"dstack_apps": [{"name": name, "app_id": app_id}], "total_pages": 2})

    with service(page("toy-example-2", "11" * 20), page("toy-example", "22" * 20)) as made:
        assert made.cloud().apps_named("toy-example") == (bytes([0x22]) * 20,)
    endless = answer({"dstack_apps": [], "total_pages": 10**9})
    with service(endless) as made:
        with pytest.raises(Unavailable, match="too many apps"):
            made.cloud().apps_named("toy-example")
        assert len(made.requests) == 50


def test_a_signed_transaction_that_the_service_repeats_is_cut_out() -> None:
    raw = "0x02f9" + "ab" * 200
    with service(answer(structured("ERR-01-007", f"failed: {raw}"), 467)) as made, pytest.raises(Unavailable) as caught:
        made.cloud().confirm_update(UUID, PENDING, TRANSACTION)
    assert "ab" * 33 not in str(caught.value)


@pytest.mark.parametrize("text", ["", "short", "two words here", "tab\tinside", "line\nbreak12"])
def test_what_is_no_api_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        ApiKey(text)
    assert not text or text not in str(caught.value)


def test_an_update_is_only_proposed_first_and_confirmed_by_its_token() -> None:
    with service(answer(REQUIRED, 465), answer({"correlation_id": "c", "status": "accepted"})) as made:
        cloud = made.cloud()
        pending = cloud.propose_update(UUID, {"docker_compose_file": "services: {}"})
        cloud.confirm_update(UUID, pending, TRANSACTION)
    first, second = made.requests
    assert (first[0], first[1], first[2]["x-prepare-only"]) == ("PATCH", f"/api/v1/cvms/{UUID}", "true")
    assert (second[0], second[1]) == ("POST", f"/api/v1/cvms/{UUID}/commit-update")
    assert json.loads(second[3]) == {
        "token": "token-1",
        "compose_hash": HASH,
        "transaction_hash": "0x" + TRANSACTION.hex(),
    }
    assert pending.kms is not None
    assert pending.kms.contract == bytes.fromhex("2f83172a49584c017f2b256f0fb2dca14126ba9c")


def test_without_a_token_it_is_confirmed_by_hash_and_transaction() -> None:
    without = structured("ERR-01-005", details={"compose_hash": f"0x{HASH}", "device_id": DEVICE}, below=True)
    with service(answer(without, 465), answer({"correlation_id": "c"})) as made:
        cloud = made.cloud()
        cloud.confirm_update(UUID, cloud.propose_update(UUID, {}), TRANSACTION)
    method, path, headers, body = made.requests[1]
    assert (method, path, json.loads(body)) == ("PATCH", f"/api/v1/cvms/{UUID}", {})
    assert (headers["x-compose-hash"], headers["x-transaction-hash"]) == (HASH, "0x" + TRANSACTION.hex())


def test_what_is_allowed_already_is_confirmed_as_such() -> None:
    with service(answer({"correlation_id": "c"})) as made:
        made.cloud().confirm_update(UUID, PENDING, None)
    assert json.loads(made.requests[0][3])["transaction_hash"] == "already-registered"


def test_a_service_that_makes_what_was_only_to_be_prepared_is_not_trusted_on() -> None:
    with service(answer({"correlation_id": "c"})) as made, pytest.raises(Unavailable, match="only to be prepared"):
        made.cloud().propose_update(UUID, {})


@pytest.mark.parametrize(
    "details",
    [
        {"device_id": DEVICE},
        {"compose_hash": HASH},
        {"compose_hash": HASH[:-2], "device_id": DEVICE},
        {"compose_hash": 7, "device_id": DEVICE},
        {"compose_hash": HASH, "device_id": DEVICE, "kms_info": "kms"},
    ],
)
def test_a_465_without_what_it_should_say_is_an_error(details: dict[str, object]) -> None:
    with service(answer(structured("ERR-01-005", details=details), 465)) as made, pytest.raises(TwinproofError):
        made.cloud().propose_update(UUID, {})


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"nodes": 1}', b'{"nodes": [{}]}', b"\xff", b'{"a":1,"a":2}']
)
def test_an_answer_of_another_form_is_an_error_and_no_traceback(body: bytes) -> None:
    """It is no evidence, so it is not called malformed evidence."""
    with service(http_answer(body)) as made, pytest.raises(Unavailable):
        made.cloud().nodes()


def test_an_answer_that_never_ends_is_cut_off() -> None:
    huge = http_answer(b"[" + b" " * (5 << 20))
    with service(huge) as made, pytest.raises(Unavailable, match="too large"):
        made.cloud().nodes()


def test_a_service_that_says_nothing_is_given_up_in_time() -> None:
    def silent(connection: socket.socket, _: bytes) -> None:
        time.sleep(2)

    with serving(silent) as url:
        cloud = PhalaCloud(f"{url}/api/v1", ApiKey(KEY), HttpClient(Limits(total_timeout=0.3)), pause=lambda _: None)
        start = time.monotonic()
        with pytest.raises(Unavailable, match="no complete answer in time"):
            cloud.commit({})
        assert time.monotonic() - start < 2


def test_a_service_that_is_not_there_is_unavailable() -> None:
    cloud = PhalaCloud(f"http://127.0.0.1:{dead_port()}/api/v1", ApiKey(KEY), HttpClient(), pause=lambda _: None)
    with pytest.raises(Unavailable):
        cloud.nodes()


def test_a_redirect_does_not_get_the_key() -> None:
    with service(answer({"nodes": []})) as other:
        moved = http_answer(b"", status="302 Found", headers=(f"Location: {other.url}/api/v1/teepods/available",))
        with service(moved) as made, pytest.raises(TwinproofError):
            made.cloud().nodes()
        assert other.requests == []


@pytest.mark.parametrize("uuid", ["../../auth/me", "a b", "", "a/b", "a?b=c"])
def test_an_id_that_would_change_the_path_is_refused(uuid: str) -> None:
    with service(answer({})) as made, pytest.raises(Unavailable, match="no id"):
        made.cloud().cvm(uuid)
    assert made.requests == []


def test_both_shapes_of_a_cvm_are_read() -> None:
    old = {"name": "toy", "status": "running", "teepod_id": 18, "app_id": "11" * 20, "vm_uuid": UUID, "kms_info": KMS}
    new = {
        "name": "toy",
        "status": "running",
        "vm_uuid": UUID,
        "app_id": "app_" + "11" * 20,
        "compose_hash": HASH,
        "node_info": {"object_type": "node", "id": 18, "name": "prod9", "device_id": DEVICE},
        "kms_info": {"chain_id": 8453, "dstack_kms_address": KMS["kms_contract_address"]},
        "endpoints": [{"app": "https://a.example/", "instance": "https://b.example"}],
    }
    with service(answer(old), answer([new])) as made:
        cloud = made.cloud()
        first, (second,) = cloud.cvm(UUID), cloud.cvms_of(bytes([0x11]) * 20)
    assert first.app_id == second.app_id == bytes([0x11]) * 20
    assert first.node_number == second.node_number == 18
    assert first.kms is not None
    assert second.kms is not None
    assert (first.kms.slug, first.kms.contract) == ("kms-base-prod9", second.kms.contract)
    assert (second.device_id, second.compose_hash) == (bytes.fromhex(DEVICE), bytes.fromhex(HASH))
    assert second.urls == ("https://a.example",)


def test_an_app_that_the_cloud_does_not_know_has_no_instances() -> None:
    with service(answer({"detail": "not found"}, 404)) as made:
        assert made.cloud().cvms_of(bytes(20)) == ()


def test_a_node_may_have_several_device_ids() -> None:
    node = {"teepod_id": 1, "name": "prod9", "device_id": DEVICE, "device_ids": [{"device_id": HASH, "enabled": True}]}
    with service(answer({"nodes": [node]})) as made:
        (found,) = made.cloud().nodes()
    assert found.device_ids == (bytes.fromhex(DEVICE), bytes.fromhex(HASH))
    assert not found.onchain_kms


def test_a_provision_without_chain_or_device_says_so() -> None:
    with service(answer({"compose_hash": HASH, "kms_info": None})) as made:
        found = made.cloud().provision({})
    assert (found.kms, found.device_id, found.app_id) == (None, None, None)
    assert issubclass(HashNotAllowed, Refused)
