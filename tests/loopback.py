"""Misbehaving servers on loopback, on ports the system picks, that stop by themselves."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

__all__ = ["Identity", "answering", "dead_port", "http_answer", "serving"]

Handler = Callable[[socket.socket, bytes], None]


def http_answer(
    body: bytes, *, status: str = "200 OK", headers: tuple[str, ...] = (), length: int | None = None
) -> bytes:
    """A whole HTTP/1.1 answer; `length` lies about the body when it is given."""
    size = len(body) if length is None else length
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {size}", "Connection: close", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Identity:
    """What a TLS server shows: a certificate with its chain, and the key, all PEM."""

    def __init__(self, directory: Path, pem: bytes) -> None:
        self.file = directory / "server.pem"
        self.file.write_bytes(pem)
        self.der = x509.load_pem_x509_certificates(pem)[0].public_bytes(Encoding.DER)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.file)

    @classmethod
    def self_signed(cls, directory: Path, *, name: str = "127.0.0.1") -> Identity:
        """Made now, good for an hour."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test only")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return cls(directory, private + certificate.public_bytes(Encoding.PEM))


def dead_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def serving(handle: Handler, tls: Identity | None = None) -> Iterator[str]:
    """Run `handle(connection, request_head)` for every connection; gives the base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    stop = threading.Event()
    workers: list[threading.Thread] = []

    def one(accepted: socket.socket) -> None:
        accepted.settimeout(10)
        with contextlib.suppress(OSError), accepted if tls is None else secured(accepted, tls) as connection:
            head = b""
            while b"\r\n\r\n" not in head:
                chunk = connection.recv(4096)
                if not chunk:
                    return
                head += chunk
            handle(connection, head)

    def secured(accepted: socket.socket, identity: Identity) -> socket.socket:
        with accepted:  # detached by the wrapping
            return identity.context.wrap_socket(accepted, server_side=True)

    def accept() -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listener.accept()
                worker = threading.Thread(target=one, args=(connection,), daemon=True)
                worker.start()
                workers.append(worker)

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        acceptor.join()
        listener.close()
        for worker in workers:
            worker.join(timeout=15)


def answering(*answers: bytes, tls: Identity | None = None) -> contextlib.AbstractContextManager[str]:
    """Answer each request with the next of these; the last one repeats."""
    left = list(answers)

    def handle(connection: socket.socket, _: bytes) -> None:
        connection.sendall(left.pop(0) if len(left) > 1 else left[0])

    return serving(handle, tls)
