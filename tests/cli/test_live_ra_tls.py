"""RA-TLS: the certificate of the connection carries the quote over its own key."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loopback import http_answer
from published_schemas import described
from twinproof.cli.main import main
from twinproof_devnet.world import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World.start(("prod9",)) as running:
        yield running


@contextmanager
def tls_server(world: World, directory: Path, *, ra_tls: bool = True) -> Iterator[str]:
    """Serves 404 over TLS with a certificate that the instance made."""
    made = world.instances["prod9"].vm.tls_key(
        subject="localhost", alt_names=(), ra_tls=ra_tls, server_auth=True, client_auth=False
    )
    chain = directory / "chain.pem"
    chain.write_text(made.key + "".join(made.certificate_chain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    stop = threading.Event()

    def accept() -> None:
        while not stop.is_set():
            with contextlib.suppress(TimeoutError, OSError):
                connection, _ = listener.accept()
                connection.settimeout(5)
                with context.wrap_socket(connection, server_side=True) as tls:
                    tls.recv(4096)
                    tls.sendall(http_answer(b"", status="404 Not Found"))

    worker = threading.Thread(target=accept, daemon=True)
    worker.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        worker.join(timeout=5)
        listener.close()


def flags(world: World) -> list[str]:
    return ["--trust-root", str(world.root_path), "--config", str(world.config_path), "--no-cache", "--timeout", "5"]


def test_the_quote_in_the_certificate_is_verified_and_bound_to_its_key(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tls_server(world, tmp_path) as url:
        code = main(["verify", url, "--ra-tls", "--json", *flags(world)])
    verdict = json.loads(capsys.readouterr().out)
    statuses = {check["id"]: check["status"] for check in verdict["checks"]}
    assert code == 0
    assert (verdict["genuine"], verdict["fresh"]) == (True, False)
    assert statuses["evidence.report_data"] == statuses["evidence.tls_key"] == "pass"
    assert statuses["dstack.rtmr3_replay"] == "pass"
    assert statuses["evidence.ra_tls_claims"] == "pass"
    assert verdict["channel_binding"] == "RA-TLS"
    assert verdict["claims"]["platform"]["device_id"] == world.provisioned.device_ids["prod9"].hex()


@pytest.mark.parametrize("form", ["PEM chain", "DER", "hex"])
def test_the_certificate_kept_as_a_file_is_the_same_evidence_without_a_connection(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    made = world.instances["prod9"].vm.tls_key(
        subject="localhost", alt_names=(), ra_tls=True, server_auth=True, client_auth=False, with_app_info=True
    )
    chain = "".join(made.certificate_chain).encode()
    der = ssl.PEM_cert_to_DER_cert(made.certificate_chain[0])
    path = tmp_path / "certificate"
    path.write_bytes({"PEM chain": chain, "DER": der, "hex": der.hex().encode()}[form])
    assert main(["verify", str(path), "--json", *flags(world)]) == 0
    verdict = json.loads(capsys.readouterr().out)
    statuses = {check["id"]: check["status"] for check in verdict["checks"]}
    assert (statuses["evidence.report_data"], statuses["evidence.tls_key"]) == ("pass", "not_checked")
    assert verdict["channel_binding"] == "none (no TLS)"
    assert main(["inspect", str(path)]) == 0
    assert "app:custom" in capsys.readouterr().out
    assert main(["inspect", str(path), "--json"]) == 0
    claims = described("inspect.v1", capsys.readouterr().out)["ra_tls"]
    assert (claims["usage"], claims["app_info"]["app_id"]) == ("app:custom", claims["app_id"])


def test_a_certificate_that_carries_nothing_is_malformed_evidence(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "root.pem"
    path.write_bytes(world.root_path.read_bytes())
    assert main(["verify", str(path), *flags(world)]) == 3
    assert "not an RA-TLS certificate" in capsys.readouterr().err
    path.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert main(["verify", str(path), *flags(world)]) == 3
    assert "not a PEM certificate" in capsys.readouterr().err


def test_without_the_flag_a_certificate_that_nobody_vouches_for_is_refused(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tls_server(world, tmp_path) as url:
        assert main(["verify", url, *flags(world)]) == 5
    assert "--ra-tls" in capsys.readouterr().err


def test_a_certificate_without_a_quote_is_no_evidence(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tls_server(world, tmp_path, ra_tls=False) as url:
        assert main(["verify", url, "--ra-tls", *flags(world)]) in (3, 5)
    assert "Traceback" not in capsys.readouterr().err
