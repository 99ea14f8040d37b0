"""Asked over https: what is said about the connection is what was proved about it, and no more."""

from __future__ import annotations

import hashlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from loopback import Handler, Identity, http_answer, serving
from small_instance import statement
from twinproof.cli.main import main
from twinproof_devnet.confidential_vm import ConfidentialVm
from twinproof_devnet.guest_methods import info
from twinproof_devnet.ra_tls import LeafRequest, issue_leaf, report_data
from twinproof_devnet.world import World

MACHINES = ("prod9", "prod7")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World.start(MACHINES) as running:
        yield running


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    """The server's certificate, which `--ca-file` vouches for."""
    return Identity.self_signed(tmp_path)


def spki_hash(identity: Identity) -> str:
    key = x509.load_der_x509_certificate(identity.der).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def stating(vm: ConfidentialVm, **said: object) -> Handler:
    """The app's endpoint on this VM; `said` is added to its statement."""

    def handle(connection: socket.socket, head: bytes) -> None:
        (nonce,) = parse_qs(urlsplit(head.split(b" ")[1].decode()).query)["nonce"]
        text = statement(
            bytes.fromhex(nonce),
            app_id=vm.app_id.hex(),
            compose_hash=vm.compose_hash.hex(),
            instance_id=vm.instance_id.hex(),
            issued_at=int(time.time()),
            **said,
        )
        answer = {
            "schema": "toy-example/attestation/v1",
            "statement": text,
            "quote": vm.quote(hashlib.sha512(b"toy-example/attestation/v1:" + text.encode()).digest()).hex(),
            "event_log": vm.event_log(),
            "vm_config": vm.vm_config,
            "app_compose": vm.app_compose,
        }
        connection.sendall(http_answer(json.dumps(answer).encode()))

    return handle


def informing(vm: ConfidentialVm, key: ec.EllipticCurvePrivateKey) -> Handler:
    """Only Info, and the certificate in it carries a quote over `key`."""
    now = int(time.time())
    request = LeafRequest(key, "app", now - 60, now + 3600, attached=vm._evidence(report_data(key)))
    body = json.dumps({**info(vm), "app_cert": issue_leaf(request, vm.keys.ca).pem}).encode()

    def handle(connection: socket.socket, head: bytes) -> None:
        found = b"Worker.Info" in head.split(b" ")[1]
        connection.sendall(http_answer(body) if found else http_answer(b"", status="404 Not Found"))

    return handle


def flags(world: World, identity: Identity) -> list[str]:
    config = ["--trust-root", str(world.root_path), "--collateral-url", world.collateral_url]
    return [*config, "--ca-file", str(identity.file), "--no-cache", "--timeout", "5", "--json"]


def judged(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main([*arguments])
    return code, json.loads(capsys.readouterr().out)


def failed(document: dict[str, Any]) -> list[str]:
    return [check["id"] for check in document["checks"] if check["status"] == "fail"]


def vm_of(world: World, machine: str = "prod9") -> ConfidentialVm:
    return world.instances[machine].vm


def test_a_certificate_that_the_statement_does_not_name_is_bound_by_nothing(
    world: World, identity: Identity, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(stating(vm_of(world)), identity) as url:
        code, verdict = judged(capsys, "verify", url, *flags(world, identity))
    assert (code, verdict["channel_binding"], verdict["fresh"]) == (0, "none", True)


def test_a_statement_that_names_the_servers_key_binds_its_certificate(
    world: World, identity: Identity, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(stating(vm_of(world), tls_spki_sha256=spki_hash(identity)), identity) as url:
        code, verdict = judged(capsys, "verify", url, *flags(world, identity))
    assert (code, verdict["channel_binding"]) == (0, "certificate hash in the statement")
    assert verdict["claims"]["tls_key"] == spki_hash(identity)


def test_somebody_else_who_ends_the_connection_is_caught(
    world: World, identity: Identity, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(stating(vm_of(world), tls_spki_sha256="11" * 32), identity) as url:
        code, verdict = judged(capsys, "verify", url, *flags(world, identity))
    assert (code, verdict["channel_binding"]) == (3, "none")
    assert failed(verdict) == ["evidence.tls_key"]


def test_a_quote_over_the_servers_key_that_came_in_info_is_spki_in_report_data(
    world: World, identity: Identity, capsys: pytest.CaptureFixture[str]
) -> None:
    key = load_pem_private_key(identity.file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    with serving(informing(vm_of(world), key), identity) as url:
        code, verdict = judged(capsys, "verify", url, *flags(world, identity))
    assert (code, verdict["channel_binding"]) == (0, "SPKI in report_data")
    assert verdict["claims"]["tls_key"] == spki_hash(identity)


def test_a_gateway_in_front_of_info_is_bound_by_nothing(
    world: World, identity: Identity, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(informing(vm_of(world), ec.generate_private_key(ec.SECP256R1())), identity) as url:
        code, verdict = judged(capsys, "verify", url, *flags(world, identity))
    assert (code, verdict["channel_binding"]) == (0, "none")


def test_one_key_in_front_of_two_machines_is_a_difference(
    world: World, identity: Identity, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (stating(vm_of(world, name), tls_spki_sha256=spki_hash(identity)) for name in MACHINES)
    with serving(first, identity) as one, serving(second, identity) as other:
        code, proof = judged(capsys, "compare", one, other, *flags(world, identity))
    assert (code, failed(proof)) == (4, ["compare.tls_key"])
    assert [verdict["genuine"] for verdict in proof["instances"]] == [True, True]


def test_over_http_there_is_no_tls_to_bind(
    world: World, identity: Identity, capsys: pytest.CaptureFixture[str]
) -> None:
    _, verdict = judged(capsys, "verify", world.instances["prod9"].url, *flags(world, identity))
    assert verdict["channel_binding"] == "none (no TLS)"
