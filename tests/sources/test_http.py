"""Whatever the other side does, the answer is bytes or Unavailable, within the deadline."""

from __future__ import annotations

import gc
import inspect
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.client import BadStatusLine, IncompleteRead
from pathlib import Path

import pytest
import urllib3.exceptions

from loopback import Identity, answering, dead_port, http_answer, serving
from twinproof.errors import Unavailable, UsageError
from twinproof.sources import http
from twinproof.sources.http import HttpClient
from twinproof.sources.limits import Limits
from waiting import until

PATIENCE = 1.0
MAX = 10_000
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, or knows how Linux queues connections")


@pytest.fixture
def client() -> HttpClient:
    return HttpClient()


@pytest.fixture
def hasty() -> Iterator[HttpClient]:
    """For the tests of the deadline, which have to end soon after it."""
    start = time.monotonic()
    yield HttpClient(Limits(total_timeout=PATIENCE, connect_timeout=PATIENCE))
    assert time.monotonic() - start < PATIENCE + 5


def test_an_answer_comes_back_as_its_exact_bytes(client: HttpClient) -> None:
    with answering(http_answer(b'{"a": 1}', headers=("X-Name: Value",))) as url:
        answer = client.get(url + "/path?x=1", max_bytes=MAX)
    assert (answer.status, answer.body, answer.headers["x-name"]) == (200, b'{"a": 1}', "Value")
    assert answer.tls_certificate is None


def test_an_error_status_is_an_answer_too(client: HttpClient) -> None:
    with answering(http_answer(b"no", status="404 Not Found")) as url:
        assert client.get(url, max_bytes=MAX).status == 404


def test_headers_that_trickle_are_cut_off_at_the_deadline(hasty: HttpClient) -> None:
    def trickle(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for _n in range(100):
            connection.sendall(b"X: y\r\n")
            time.sleep(0.05)

    with serving(trickle) as url, pytest.raises(Unavailable, match="no complete answer in time"):
        hasty.get(url, max_bytes=MAX)


def test_a_body_that_trickles_is_cut_off_at_the_deadline(hasty: HttpClient) -> None:
    def trickle(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")
        for _n in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    with serving(trickle) as url, pytest.raises(Unavailable, match="no complete answer in time"):
        hasty.get(url, max_bytes=MAX)


def test_a_server_that_says_nothing_is_cut_off_at_the_deadline(hasty: HttpClient) -> None:
    with serving(lambda *_: time.sleep(2)) as url, pytest.raises(Unavailable, match="no complete answer in time"):
        hasty.get(url, max_bytes=MAX)


def test_an_endless_body_is_refused_at_its_cap(client: HttpClient) -> None:
    def endless(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with serving(endless) as url, pytest.raises(Unavailable, match="too large"):
        client.get(url, max_bytes=MAX)


def test_an_announced_size_over_the_cap_is_refused_before_reading(client: HttpClient) -> None:
    with answering(http_answer(b"", length=10**12)) as url, pytest.raises(Unavailable, match="too large"):
        client.get(url, max_bytes=MAX)


def test_a_body_shorter_than_announced_is_not_an_answer(client: HttpClient) -> None:
    with answering(http_answer(b"abc", length=100)) as url, pytest.raises(Unavailable, match="no complete answer"):
        client.get(url, max_bytes=MAX)


def test_a_redirect_to_another_host_is_refused(client: HttpClient) -> None:
    answer = http_answer(b"", status="302 Found", headers=("Location: http://127.0.0.2:1/x",))
    with answering(answer) as url, pytest.raises(Unavailable, match="redirected to another host"):
        client.get(url, max_bytes=MAX)


def test_a_redirect_on_the_same_host_is_followed(client: HttpClient) -> None:
    first = http_answer(b"", status="302 Found", headers=("Location: /there",))
    with answering(first, http_answer(b"ok")) as url:
        answer = client.get(url, max_bytes=MAX)
    assert answer.body == b"ok"
    assert answer.url.endswith("/there")


def test_a_redirect_loop_ends(client: HttpClient) -> None:
    loop = http_answer(b"", status="307 Temporary", headers=("Location: /again",))
    with answering(loop) as url, pytest.raises(Unavailable, match="too many redirects"):
        client.get(url, max_bytes=MAX)


def test_a_compressed_answer_is_refused_as_it_could_be_a_bomb(client: HttpClient) -> None:
    answer = http_answer(b"\x1f\x8b", headers=("Content-Encoding: gzip",))
    with answering(answer) as url, pytest.raises(Unavailable, match="compressed"):
        client.get(url, max_bytes=MAX)


def test_a_connection_that_is_closed_at_once_is_unavailable(client: HttpClient) -> None:
    with serving(lambda *_: None) as url, pytest.raises(Unavailable, match="no complete answer"):
        client.get(url, max_bytes=MAX)


def test_garbage_instead_of_http_is_unavailable(client: HttpClient) -> None:
    with answering(b"\x00\x01garbage\r\n\r\n") as url, pytest.raises(Unavailable, match="no complete answer"):
        client.get(url, max_bytes=MAX)


def test_a_port_without_a_server_says_what_to_check(client: HttpClient) -> None:
    with pytest.raises(Unavailable, match="no connection") as caught:
        client.get(f"http://127.0.0.1:{dead_port()}", max_bytes=MAX)
    assert "is the instance up" in caught.value.hint


def test_a_host_without_an_address_is_unavailable(client: HttpClient) -> None:
    with pytest.raises(Unavailable, match="no address of no-such-host") as caught:
        client.get("http://no-such-host.invalid/", max_bytes=MAX)
    assert "spelled" in caught.value.hint


@pytest.mark.parametrize("endless", [b"X: y\r\n", b"x" * 60_000, b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_headers_without_end_are_refused(client: HttpClient, endless: bytes) -> None:
    def handle(connection: socket.socket, _: bytes) -> None:
        if not endless.startswith(b"HTTP"):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(endless)

    with serving(handle) as url, pytest.raises(Unavailable):
        client.get(url, max_bytes=MAX)


@pytest.mark.parametrize(
    ("start", "endless"),
    [
        (b"", b"f" * 1000),
        (b"5;", b"extension" * 100),
        (b"0\r\n", b"Trailer: x\r\n" * 1000),
        (b"", b"0000000001\r\nx\r\n" * 1000),
    ],
    ids=["size", "extension", "trailers", "tiny chunks"],
)
def test_chunks_without_end_are_refused_before_they_fill_the_memory(
    client: HttpClient, start: bytes, endless: bytes
) -> None:
    sent = 0

    def handle(connection: socket.socket, _: bytes) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + start)
        while True:
            connection.sendall(endless)
            sent += len(endless)

    with serving(handle) as url, pytest.raises(Unavailable):
        client.get(url, max_bytes=MAX)
    assert sent < 16 << 20


@pytest.mark.parametrize("size", [b"-1", b"-5", b"zz", b"ffffffffffffffffffff"])
def test_chunks_of_an_impossible_size_are_refused(client: HttpClient, size: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with answering(head + size + b"\r\n" + b"x" * 50_000) as url, pytest.raises(Unavailable):
        client.get(url, max_bytes=MAX)


def test_a_chunked_answer_is_put_together(client: HttpClient) -> None:
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n"
    with answering(body) as url:
        assert client.get(url, max_bytes=MAX).body == b"x" * 5000


def test_an_answer_of_exactly_the_cap_is_taken_and_one_byte_more_is_not(client: HttpClient) -> None:
    with answering(http_answer(b"x" * MAX), http_answer(b"x" * (MAX + 1))) as url:
        assert len(client.get(url, max_bytes=MAX).body) == MAX
        with pytest.raises(Unavailable, match="too large"):
            client.get(url, max_bytes=MAX)


def test_of_an_error_only_the_start_is_read(client: HttpClient) -> None:
    def endless(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with serving(endless) as url:
        answer = client.get(url, max_bytes=MAX)
    assert (answer.status, len(answer.body)) == (404, client.limits.error_body)


@pytest.mark.parametrize(
    "location", ["http://[", "//", "\u00e9", "http://127.0.0.1:99999/", "ftp://x/", "http://u:p@h/"]
)
def test_a_redirect_to_what_is_no_url_is_refused(client: HttpClient, location: str) -> None:
    answer = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location.encode("latin-1") + b"\r\n\r\n"
    with answering(answer) as url, pytest.raises(Unavailable, match=r"redirect"):
        client.get(url, max_bytes=MAX)


def test_redirects_share_one_deadline() -> None:
    def slow(connection: socket.socket, _: bytes) -> None:
        time.sleep(0.4)
        connection.sendall(http_answer(b"", status="302 Found", headers=("Location: /again",)))

    client = HttpClient(Limits(total_timeout=PATIENCE, max_redirects=100))
    with serving(slow) as url, pytest.raises(Unavailable, match="no complete answer in time"):
        client.get(url, max_bytes=MAX)


def test_a_name_service_that_hangs_does_not_outlast_the_deadline(
    hasty: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def hanging(*_: object, **__: object) -> list[object]:
        released.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    start = time.monotonic()
    with pytest.raises(Unavailable, match="no complete answer in time"):
        hasty.get("http://prod9.example/", max_bytes=MAX)
    assert time.monotonic() - start < PATIENCE + 1
    released.set()


@ON_LINUX
def test_many_addresses_that_do_not_answer_share_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as full:  # its queue is full: whoever connects now waits
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address)] * 50
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        client = HttpClient(Limits(total_timeout=PATIENCE, connect_timeout=0.3))
        with pytest.raises(Unavailable, match="no complete answer in time"):
            client.get("http://prod9.example/", max_bytes=MAX)
        for one in waiting:
            one.close()


def test_the_next_address_is_tried_when_one_is_dead(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(http_answer(b"ok")) as url:
        live = ("127.0.0.1", int(url.rpartition(":")[2]))
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", at) for at in (("127.0.0.1", dead_port()), live)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert client.get("http://prod9.example/", max_bytes=MAX).body == b"ok"


def test_a_proxy_of_the_environment_is_not_used(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{dead_port()}")
    with answering(http_answer(b"ok")) as url:
        assert client.get(url, max_bytes=MAX).body == b"ok"


def test_the_request_asks_for_plain_bytes_and_carries_nothing_that_identifies(client: HttpClient) -> None:
    seen: list[bytes] = []

    def handle(connection: socket.socket, head: bytes) -> None:
        seen.append(head)
        cookie = ("Set-Cookie: a=b", "Location: /again")
        connection.sendall(http_answer(b"", status="302 Found", headers=cookie))

    with serving(handle) as url, pytest.raises(Unavailable, match="too many redirects"):
        client.get(url, max_bytes=MAX)
    assert len(seen) == 4
    for head in seen:
        assert b"Accept-Encoding: identity\r\n" in head
        assert b"cookie" not in head.lower()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@ON_LINUX
def test_nothing_is_left_behind_by_requests_that_fail(client: HttpClient) -> None:
    def cut(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")

    with serving(cut) as url, pytest.raises(Unavailable):
        client.get(url, max_bytes=MAX)
    gc.collect()
    before = open_files()
    with serving(cut) as url:
        for _ in range(10):
            with pytest.raises(Unavailable):
                client.get(url, max_bytes=MAX)
    assert open_files() <= before
    until(lambda: not any(thread.name.startswith("lookup") for thread in threading.enumerate()), seconds=5)


def every_exception() -> list[Exception]:
    members = inspect.getmembers(urllib3.exceptions, inspect.isclass)
    kinds = [kind for _, kind in members if kind.__module__ == "urllib3.exceptions" and not issubclass(kind, Warning)]
    made = [kind.__new__(kind) for kind in kinds if issubclass(kind, Exception)]
    for error in made:  # what their texts are made of
        vars(error).update(expected=1, partial=0, length=b"zz", response=urllib3.HTTPResponse(b""))
    return [*made, OSError(5, "I/O"), TimeoutError(), BadStatusLine("x"), IncompleteRead(b""), UnicodeError("x")]


@pytest.mark.parametrize("error", every_exception(), ids=lambda error: type(error).__name__)
def test_every_exception_of_a_connection_becomes_unavailable(
    client: HttpClient, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(http, "connected", broken)
    with pytest.raises(Unavailable) as caught:
        client.get("https://prod9.example/x?key=secret", max_bytes=MAX)
    assert caught.value.where == "https://prod9.example/x"


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return Identity.self_signed(tmp_path_factory.mktemp("tls"))


def test_a_certificate_that_nobody_vouches_for_is_refused_with_a_hint(client: HttpClient, identity: Identity) -> None:
    refusal = pytest.raises(Unavailable, match="certificate is not trusted: self-signed")
    with answering(http_answer(b"secret"), tls=identity) as url, refusal as caught:
        client.get(url, max_bytes=MAX)
    assert "--ca-file" in caught.value.hint


def test_a_named_authority_is_trusted_and_the_certificate_seen_is_kept(identity: Identity) -> None:
    client = HttpClient(ca_file=str(identity.file))
    with answering(http_answer(b"secret"), tls=identity) as url:
        answer = client.get(url, max_bytes=MAX)
    assert (answer.body, answer.tls_certificate) == (b"secret", identity.der)


def test_a_trusted_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    other = Identity.self_signed(tmp_path, name="127.0.0.2")
    client = HttpClient(ca_file=str(other.file))
    with answering(http_answer(b"secret"), tls=other) as url, pytest.raises(Unavailable, match="mismatch"):
        client.get(url, max_bytes=MAX)


def test_without_verification_the_certificate_is_read_and_no_name_believed(
    client: HttpClient, identity: Identity
) -> None:
    with answering(http_answer(b"x"), tls=identity) as url:
        assert client.get(url, max_bytes=MAX, verify_tls=False).tls_certificate == identity.der
        assert client.peer_certificate(url) == identity.der
        with pytest.raises(Unavailable, match="not trusted"):  # and the next request verifies again
            client.get(url, max_bytes=MAX)


def test_a_body_that_trickles_through_tls_is_cut_off_at_the_deadline(identity: Identity) -> None:
    def trickle(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _n in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    client = HttpClient(Limits(total_timeout=PATIENCE), ca_file=str(identity.file))
    with serving(trickle, identity) as url, pytest.raises(Unavailable, match="no complete answer in time"):
        client.get(url, max_bytes=MAX)


def test_a_handshake_that_never_comes_is_cut_off_at_the_deadline(hasty: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(Unavailable, match="no complete answer in time"):
            hasty.get(url, max_bytes=MAX)
        with pytest.raises(Unavailable, match="no complete answer in time"):
            hasty.peer_certificate(url)


def test_plain_http_on_a_tls_port_says_so(client: HttpClient) -> None:
    def plain(connection: socket.socket, _: bytes) -> None:
        connection.sendall(http_answer(b"plain"))

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                plain(connection, b"")
                connection.recv(100)

        worker = threading.Thread(target=once, daemon=True)
        worker.start()
        with pytest.raises(Unavailable, match="TLS failed") as caught:
            client.get(f"https://127.0.0.1:{listener.getsockname()[1]}", max_bytes=MAX)
        worker.join(timeout=5)
    assert "plain HTTP" in caught.value.hint


def test_there_is_no_certificate_without_tls(client: HttpClient) -> None:
    with pytest.raises(Unavailable, match="without https"):
        client.peer_certificate("http://127.0.0.1:1")


def test_a_file_without_authorities_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for name in ("/nonexistent", str(tmp_path), str(tmp_path / "empty.pem")):
        with pytest.raises(UsageError, match="cannot read certificate authorities"):
            HttpClient(ca_file=name)


def test_who_fetches_nothing_does_not_wait_for_the_http_library() -> None:
    code = "import sys, twinproof.cli.collect; print('urllib3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"
