"""Collateral from the devnet: the usual JSON shape, signed over the exact text, served on Intel's paths."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from twinproof_devnet.collateral import make
from twinproof_devnet.collateral_service import CollateralService, Publication
from twinproof_devnet.host import TdxHost
from twinproof_devnet.pki import Pki

AT = 1_800_000_000
PKI = Pki.create(AT)
HOST = TdxHost.create(PKI, AT)
CHAINS = {"pck_crl_issuer_chain", "tcb_info_issuer_chain", "qe_identity_issuer_chain"}


@pytest.fixture(scope="module")
def service() -> Iterator[CollateralService]:
    running = CollateralService(PKI, [HOST], clock=lambda: AT)
    yield running
    running.close()


def get(service: CollateralService, path: str) -> tuple[bytes, dict[str, str]]:
    with urllib.request.urlopen(service.url + path, timeout=10) as answer:
        return answer.read(), {name.lower(): value for name, value in answer.headers.items()}


def status_of(service: CollateralService, path: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as error:
        get(service, path)
    with error.value:
        return error.value.code


def assert_signed(text: str, signature: str) -> None:
    raw = bytes.fromhex(signature)
    encoded = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    PKI.tcb_signing.key.public_key().verify(encoded, text.encode(), ec.ECDSA(SHA256()))


@pytest.mark.parametrize("tee", ["SGX", "TDX"])
def test_a_set_has_nine_members_and_its_documents_are_signed_as_they_are(tee: str) -> None:
    found = make(PKI, AT, tee=tee)
    assert len(found) == 9
    for name in ("tcb_info", "qe_identity"):
        assert_signed(found[name], found[f"{name}_signature"])
        document = json.loads(found[name])
        assert found[name] == json.dumps(document, separators=(",", ":"))
        assert document["issueDate"] < "2027-01-15T08:00:00Z" < document["nextUpdate"]
    assert json.loads(found["tcb_info"])["id"] == tee


@pytest.mark.vectors
@pytest.mark.parametrize("kind", ["sgx", "tdx"])
def test_a_set_has_the_members_of_a_real_one_at_every_level(vectors: Path, kind: str) -> None:
    real = json.loads(max((vectors / "dcap" / "collateral").glob(f"{kind}-*.json")).read_text())
    found = make(PKI, AT, tee=kind.upper())
    assert found.keys() == real.keys()
    for name in ("tcb_info", "qe_identity"):
        ours, intels = json.loads(found[name]), json.loads(real[name])
        assert list(ours) == list(intels)
        assert list(ours["tcbLevels"][0]) == [key for key in intels["tcbLevels"][0] if key != "advisoryIDs"]
        assert list(ours["tcbLevels"][0]["tcb"]) == list(intels["tcbLevels"][0]["tcb"])
    if kind == "tdx":
        ours, intels = (json.loads(item["tcb_info"])["tdxModuleIdentities"][0] for item in (found, real))
        assert list(ours) == list(intels)


@pytest.mark.parametrize("area", ["sgx", "tdx"])
def test_tcb_info_and_qe_identity_come_with_their_issuer_chain_in_a_header(
    service: CollateralService, area: str
) -> None:
    for path, member, header in (
        (f"tcb?fmspc={HOST.machine.fmspc.hex()}", "tcbInfo", "tcb-info-issuer-chain"),
        ("qe/identity", "enclaveIdentity", "sgx-enclave-identity-issuer-chain"),
    ):
        body, headers = get(service, f"/{area}/certification/v4/{path}")
        text = body.decode()
        slice_ = text[len(f'{{"{member}":') : text.index(',"signature":"')]
        assert_signed(slice_, json.loads(text)["signature"])
        chain = x509.load_pem_x509_certificates(unquote(headers[header]).encode())
        assert chain == [PKI.tcb_signing.certificate, PKI.root.certificate]


@pytest.mark.parametrize("ca", ["platform", "processor"])
def test_the_pck_crl_is_der_when_asked_for_and_else_pem(service: CollateralService, ca: str) -> None:
    der, headers = get(service, f"/sgx/certification/v4/pckcrl?ca={ca}&encoding=der")
    pem, _ = get(service, f"/sgx/certification/v4/pckcrl?ca={ca}")
    assert x509.load_der_x509_crl(der).is_signature_valid(PKI.ca(ca).key.public_key())
    assert x509.load_pem_x509_crl(pem).issuer == PKI.ca(ca).certificate.subject
    chain = x509.load_pem_x509_certificates(unquote(headers["sgx-pck-crl-issuer-chain"]).encode())
    assert chain == [PKI.ca(ca).certificate, PKI.root.certificate]


def test_the_root_crl_is_der_at_its_distribution_point_and_hex_at_the_pccs_path(service: CollateralService) -> None:
    der, _ = get(service, "/IntelSGXRootCA.der")
    text, _ = get(service, "/sgx/certification/v4/rootcacrl")
    for crl in (der, bytes.fromhex(text.decode())):
        assert x509.load_der_x509_crl(crl).is_signature_valid(PKI.root.key.public_key())


def test_a_pck_certificate_is_found_by_its_quoting_enclave(service: CollateralService) -> None:
    pem, headers = get(service, f"/sgx/certification/v4/pckcert?qeid={HOST.qe_id.hex().upper()}")
    assert x509.load_pem_x509_certificate(pem) == HOST.pck.certificate
    assert headers["sgx-fmspc"] == HOST.machine.fmspc.hex().upper()
    assert headers["sgx-tcbm"] == (HOST.machine.cpu_svn + b"\x0b\x00").hex().upper()
    assert headers["sgx-pck-certificate-ca-type"] == "platform"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/tdx/certification/v4/tcb?fmspc=00906ED50000", 404),
        ("/tdx/certification/v4/tcb?fmspc=zz", 400),
        ("/tdx/certification/v4/tcb", 400),
        ("/tdx/certification/v4/qe/identity?update=early&tcbEvaluationDataNumber=19", 400),
        ("/sgx/certification/v4/pckcrl?ca=root&encoding=der", 400),
        ("/sgx/certification/v4/pckcert?qeid=00", 404),
        ("/sgx/certification/v3/tcb?fmspc=DE5E7A000000", 404),
        ("/", 404),
    ],
)
def test_what_the_service_does_not_know_is_an_error(service: CollateralService, path: str, status: int) -> None:
    assert status_of(service, path) == status


def test_documents_are_as_fresh_as_the_request() -> None:
    times = iter([AT, AT + 3600])
    running = CollateralService(PKI, [HOST], clock=lambda: next(times))
    try:
        dates = [
            json.loads(get(running, "/tdx/certification/v4/qe/identity")[0])["enclaveIdentity"]["issueDate"]
            for _ in range(2)
        ]
    finally:
        running.close()
    assert dates == ["2027-01-15T07:00:00Z", "2027-01-15T08:00:00Z"]


def test_what_is_published_can_be_changed_while_it_runs() -> None:
    running = CollateralService(PKI, [HOST], clock=lambda: AT)
    try:
        running.publication = Publication(revoked_pck=frozenset({HOST.pck.serial}))
        crl = x509.load_der_x509_crl(get(running, "/sgx/certification/v4/pckcrl?ca=platform&encoding=der")[0])
    finally:
        running.close()
    assert crl.get_revoked_certificate_by_serial_number(HOST.pck.serial) is not None
