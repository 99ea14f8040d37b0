"""Whatever the other side does, the answer is bytes or Unavailable, within the deadline."""

from __future__ import annotations

import inspect
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path

import pytest
import urllib3.exceptions
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from loopback import answering, http_answer, serving
from twinproof.errors import Unavailable, UsageError
from twinproof.sources.http import HttpClient
from twinproof.sources.limits import Limits

PATIENCE = 1.0
MAX = 10_000


@pytest.fixture
def client() -> HttpClient:
    return HttpClient(Limits(total_timeout=PATIENCE, connect_timeout=PATIENCE))


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    start = time.monotonic()
    yield
    assert time.monotonic() - start < PATIENCE + 5


def test_an_answer_comes_back_as_its_exact_bytes(client: HttpClient) -> None:
    with answering(http_answer(b'{"a": 1}', headers=("X-Name: Value",))) as url:
        answer = client.get(url + "/path?x=1", max_bytes=MAX)
    assert (answer.status, answer.body, answer.headers["x-name"]) == (200, b'{"a": 1}', "Value")
    assert answer.tls_certificate is None


def test_an_error_status_is_an_answer_too(client: HttpClient) -> None:
    with answering(http_answer(b"no", status="404 Not Found")) as url:
        assert client.get(url, max_bytes=MAX).status == 404


def test_headers_that_trickle_are_cut_off_at_the_deadline(client: HttpClient) -> None:
    def trickle(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for _n in range(100):
            connection.sendall(b"X: y\r\n")
            time.sleep(0.05)

    with serving(trickle) as url, pytest.raises(Unavailable, match="no complete answer in time"):
        client.get(url, max_bytes=MAX)


def test_a_body_that_trickles_is_cut_off_at_the_deadline(client: HttpClient) -> None:
    def trickle(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")
        for _n in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    with serving(trickle) as url, pytest.raises(Unavailable, match="no complete answer in time"):
        client.get(url, max_bytes=MAX)


def test_a_server_that_says_nothing_is_cut_off_at_the_deadline(client: HttpClient) -> None:
    with serving(lambda *_: time.sleep(3)) as url, pytest.raises(Unavailable):
        client.get(url, max_bytes=MAX)


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
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unavailable) as caught:
        client.get(f"http://127.0.0.1:{port}", max_bytes=MAX)
    assert "is the instance up" in caught.value.hint


def test_a_host_without_an_address_is_unavailable(client: HttpClient) -> None:
    with pytest.raises(Unavailable):
        client.get("http://no-such-host.invalid/", max_bytes=MAX)


@pytest.mark.parametrize(
    "url",
    ["", "prod9", "ftp://host", "file:///etc/passwd", "http://", "http://host:0", "http://host:99999", "http://[::1"],
)
def test_what_is_no_url_is_a_usage_error(client: HttpClient, url: str) -> None:
    with pytest.raises(UsageError):
        client.get(url, max_bytes=MAX)


def test_a_password_in_a_url_is_refused_and_not_repeated(client: HttpClient) -> None:
    with pytest.raises(UsageError) as caught:
        client.get("https://user:secret@host/?token=secret", max_bytes=MAX)
    assert "secret" not in str(caught.value)


def test_every_exception_of_the_http_library_is_mapped() -> None:
    mapped = (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError, Warning)
    for name, kind in inspect.getmembers(urllib3.exceptions, inspect.isclass):
        assert not issubclass(kind, Exception) or issubclass(kind, mapped), name


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, made for this run."""
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test only")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def tls_url(certificate: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    import contextlib
    import threading

    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)

    def accept() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True) as tls:
                tls.recv(4096)
                tls.sendall(http_answer(b"secret"))

    worker = threading.Thread(target=accept, daemon=True)
    worker.start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    listener.close()
    worker.join(timeout=5)


def test_a_certificate_that_nobody_vouches_for_is_refused_with_a_hint(client: HttpClient, tls_url: str) -> None:
    with pytest.raises(Unavailable) as caught:
        client.get(tls_url, max_bytes=MAX)
    assert "--ca-file" in caught.value.hint


def test_a_named_authority_is_trusted_and_the_certificate_seen_is_kept(tls_url: str, certificate: Path) -> None:
    client = HttpClient(Limits(total_timeout=PATIENCE), ca_file=str(certificate))
    answer = client.get(tls_url, max_bytes=MAX)
    assert answer.body == b"secret"
    assert answer.tls_certificate == x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER)


def test_ra_tls_reads_the_certificate_without_believing_its_names(client: HttpClient, tls_url: str) -> None:
    assert client.get(tls_url, max_bytes=MAX, verify_tls=False).tls_certificate


def test_a_missing_authority_file_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="cannot read certificate authorities"):
        HttpClient(ca_file="/nonexistent")
