"""Collateral comes as the exact bytes that were signed, from Intel's service or a PCCS, or not at all."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest

from loopback import dead_port
from twinproof.dcap.collateral import Collateral
from twinproof.errors import Malformed, Unavailable, UsageError
from twinproof.sources import clock
from twinproof.sources.cache import CollateralCache
from twinproof.sources.concurrent import fetch_all
from twinproof.sources.http import HttpClient
from twinproof.sources.limits import Limits
from twinproof.sources.pcs import INTEL_PCS, INTEL_ROOT_CRL, CollateralSource
from twinproof_devnet.collateral import make
from twinproof_devnet.loopback import Answer, LoopbackServer, Request
from twinproof_devnet.machine import FMSPC
from twinproof_devnet.pki import Pki

NOW = clock.now()
MEMBERS = make(Pki.create(NOW), NOW)
GOOD = Collateral.from_json(json.dumps(MEMBERS))
TCB, IDENTITY, PCK_CRL, ROOT_CRL = (
    "/tdx/certification/v4/tcb",
    "/tdx/certification/v4/qe/identity",
    "/sgx/certification/v4/pckcrl",
    "/sgx/certification/v4/rootcacrl",
)


def signed(member: str, text: str, signature: str) -> bytes:
    return f'{{"{member}":{text},"signature":"{signature}"}}'.encode()


def good_answers() -> dict[str, Answer]:
    """What Intel's service answers, but for the root CRL, which it serves elsewhere."""
    tcb = signed("tcbInfo", MEMBERS["tcb_info"], MEMBERS["tcb_info_signature"])
    identity = signed("enclaveIdentity", MEMBERS["qe_identity"], MEMBERS["qe_identity_signature"])
    return {
        TCB: Answer(tcb, headers={"TCB-Info-Issuer-Chain": quote(MEMBERS["tcb_info_issuer_chain"], safe="")}),
        IDENTITY: Answer(
            identity, headers={"SGX-Enclave-Identity-Issuer-Chain": quote(MEMBERS["qe_identity_issuer_chain"])}
        ),
        PCK_CRL: Answer(
            bytes.fromhex(MEMBERS["pck_crl"]),
            headers={"SGX-PCK-CRL-Issuer-Chain": quote(MEMBERS["pck_crl_issuer_chain"])},
        ),
        ROOT_CRL: Answer(bytes.fromhex(MEMBERS["root_ca_crl"])),
    }


@dataclass
class Service:
    """A collateral service whose answers a test may replace; it remembers what was asked."""

    answers: dict[str, Answer] = field(default_factory=good_answers)
    asked: list[str] = field(default_factory=list)
    pause: Callable[[], object] = lambda: None
    url: str = ""

    def answer(self, request: Request) -> Answer:
        self.asked.append(request.target)
        self.pause()
        return self.answers.get(request.path, Answer(b"", status=404))

    @contextmanager
    def running(self) -> Iterator[Service]:
        with closing(LoopbackServer(self.answer)) as server:
            self.url = server.url
            yield self

    def source(self, cache: CollateralCache | None = None) -> CollateralSource:
        return CollateralSource(HttpClient(Limits(total_timeout=5)), base_url=self.url, cache=cache)

    def fetch(self) -> Collateral:
        return self.source().fetch(FMSPC, "platform", "TDX", at=NOW)


@pytest.fixture
def service() -> Iterator[Service]:
    with Service().running() as running:
        yield running


def with_answer(path: str, body: bytes | None = None, **changes: object) -> Service:
    answers = good_answers()
    old = answers[path]
    parts: dict[str, object] = {"status": old.status, "headers": old.headers, **changes}
    answers[path] = Answer(old.body if body is None else body, **parts)  # type: ignore[arg-type]
    return Service(answers)


def test_a_set_is_the_exact_text_that_was_signed(service: Service) -> None:
    assert service.fetch() == GOOD
    assert f"{TCB}?fmspc={FMSPC.hex().upper()}" in service.asked
    assert f"{PCK_CRL}?ca=platform&encoding=der" in service.asked
    assert len(service.asked) == 4


def test_sgx_has_its_own_documents_and_the_processor_ca_its_own_list(service: Service) -> None:
    with pytest.raises(Unavailable, match=r"TCB Info for FMSPC .* is not known there"):
        service.source().fetch(FMSPC, "processor", "SGX", at=NOW)
    assert f"/sgx/certification/v4/tcb?fmspc={FMSPC.hex().upper()}" in service.asked
    assert "/sgx/certification/v4/qe/identity" in service.asked
    assert f"{PCK_CRL}?ca=processor&encoding=der" in service.asked


@pytest.mark.parametrize(
    "body",
    [
        f'{{"signature":"{MEMBERS["tcb_info_signature"]}","tcbInfo":{MEMBERS["tcb_info"]}}}',
        f' {{ "tcbInfo" :\n{MEMBERS["tcb_info"]} , "signature"\t: "{MEMBERS["tcb_info_signature"].upper()}" }}\n',
        f'{{"x":{{"tcbInfo":{{}}}},"tcbInfo":{MEMBERS["tcb_info"]},"signature":"{MEMBERS["tcb_info_signature"]}"}}',
    ],
    ids=["signature first", "white space", "a member of that name elsewhere"],
)
def test_the_order_and_spacing_of_a_service_change_no_signed_byte(body: str) -> None:
    with with_answer(TCB, body.encode()).running() as service:
        assert service.fetch() == GOOD


def test_text_is_never_printed_anew() -> None:
    odd = '{"b":1.0,"a":[ 1e2,"\\u0041"], "A":"é"}'
    with with_answer(TCB, signed("tcbInfo", odd, "00" * 64)).running() as service:
        assert service.fetch().tcb_info == odd


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        (TCB, b'{"tcbInfo":{},"tcbInfo":{},"signature":"00"}', "duplicate JSON member"),
        (TCB, b'{"tcbInfo":{"a":1,"a":2},"signature":"' + b"00" * 64 + b'"}', "duplicate JSON member"),
        (TCB, b'{"tcbInfo":{}}', "missing member"),
        (TCB, b'{"signature":"' + b"00" * 64 + b'"}', "missing member"),
        (TCB, b'{"tcbInfo":[],"signature":"' + b"00" * 64 + b'"}', "not a JSON object"),
        (TCB, b'{"tcbInfo":{},"signature":"' + b"00" * 63 + b'"}', "wrong length"),
        (TCB, b'{"tcbInfo":{},"signature":"' + b"zz" * 64 + b'"}', "not hex text"),
        (TCB, b'{"tcbInfo":{},', "not JSON"),
        (TCB, b"", "not JSON"),
        (IDENTITY, b'{"tcbInfo":{},"signature":"' + b"00" * 64 + b'"}', "missing member"),
        (PCK_CRL, b"", "not a CRL"),
        (PCK_CRL, b'{"error": 1}', "not a CRL"),
        (ROOT_CRL, b"3zz", "not hex text"),
        (ROOT_CRL, b"31", "not a CRL"),
        (ROOT_CRL, b"-----BEGIN X509 CRL-----\nMIIB!\n-----END X509 CRL-----\n", "not a CRL"),
        (ROOT_CRL, b"-----BEGIN X509 CRL-----\nMIIB=M\n-----END X509 CRL-----\n", "not base64"),
        (ROOT_CRL, b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "not a CRL"),
    ],
)
def test_a_document_with_a_defect_is_malformed_and_names_its_address(path: str, body: bytes, reason: str) -> None:
    with with_answer(path, body).running() as service, pytest.raises(Malformed, match=reason) as caught:
        service.fetch()
    assert caught.value.where.startswith(f"{service.url}{path}")


@pytest.mark.parametrize("path", [TCB, IDENTITY, PCK_CRL])
@pytest.mark.parametrize(
    ("chain", "reason"), [("", "no issuer chain"), ("hello", "not PEM"), ("%FF%FE", "not text"), ("%0A%2D", "not PEM")]
)
def test_an_issuer_chain_that_is_missing_or_garbage_is_malformed(path: str, chain: str, reason: str) -> None:
    headers = dict.fromkeys(good_answers()[path].headers, chain)
    with with_answer(path, headers=headers).running() as service, pytest.raises(Malformed, match=reason):
        service.fetch()


def test_header_names_have_no_case_and_the_old_name_is_known() -> None:
    chain = quote(MEMBERS["tcb_info_issuer_chain"])
    for name in ("tcb-INFO-issuer-chain", "SGX-TCB-Info-Issuer-Chain"):
        with with_answer(TCB, headers={name: chain}).running() as service:
            assert service.fetch() == GOOD


def pem(der_hex: str) -> bytes:
    return b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(bytes.fromhex(der_hex)) + b"-----END X509 CRL-----\n"


@pytest.mark.parametrize("path", [PCK_CRL, ROOT_CRL])
@pytest.mark.parametrize("encode", [str.encode, lambda text: text.upper().encode() + b"\n", pem])
def test_a_pccs_may_answer_crls_as_hex_or_pem(path: str, encode: Callable[[str], bytes]) -> None:
    text = MEMBERS["pck_crl" if path == PCK_CRL else "root_ca_crl"]
    with with_answer(path, encode(text)).running() as service:
        assert service.fetch() == GOOD


@pytest.mark.parametrize(
    ("status", "headers", "reason", "hint"),
    [
        (404, {}, "is not known there", "another --collateral-url"),
        (429, {"Retry-After": "17"}, "too many requests", "after 17 s"),
        (429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, "too many requests", "after Wed"),
        (429, {}, "too many requests", "later"),
        (401, {}, "status 401", "needs no key"),
        (400, {"Error-Message": "bad fmspc"}, "bad fmspc", ""),
        (410, {}, "status 410", ""),
        (500, {}, "status 500", "later"),
        (503, {}, "status 503", "later"),
    ],
)
def test_a_status_that_is_not_200_says_what_to_do(status: int, headers: dict[str, str], reason: str, hint: str) -> None:
    refusal = pytest.raises(Unavailable, match=reason)
    with with_answer(TCB, b"", status=status, headers=headers).running() as service, refusal as caught:
        service.fetch()
    assert hint in caught.value.hint
    assert "FMSPC DE5E" in str(caught.value)


def test_a_portals_page_is_no_collateral() -> None:
    refusal = pytest.raises(Unavailable, match="an HTML page instead")
    with with_answer(TCB, b"<html>log in</html>").running() as service, refusal as caught:
        service.fetch()
    assert "portal" in caught.value.hint


def test_a_document_over_its_cap_is_refused() -> None:
    refusal = pytest.raises(Unavailable, match="too large")
    with with_answer(TCB, b"{" + b" " * (2 << 20)).running() as service, refusal:
        service.fetch()


def test_a_service_that_is_down_is_unavailable() -> None:
    service = Service(url=f"http://127.0.0.1:{dead_port()}")
    with pytest.raises(Unavailable, match="no connection"):
        service.fetch()


@pytest.mark.parametrize("url", ["nowhere", "ftp://x", "https://user:pass@x", "https://x/?key=1"])
def test_an_address_that_is_none_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError):
        CollateralSource(HttpClient(), base_url=url)
    with pytest.raises(UsageError):
        CollateralSource(HttpClient(), root_crl_url=url.replace("?key=1", " "))


@pytest.mark.parametrize("ending", ["/", "/sgx/certification/v4", "/tdx/certification/v4/"])
def test_an_address_may_end_as_they_are_often_given(service: Service, ending: str) -> None:
    service.url += ending
    assert service.fetch() == GOOD


def test_intel_keeps_the_root_crl_on_another_host_and_a_pccs_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def get(_: HttpClient, url: str, *, max_bytes: int) -> None:
        asked.append(url)
        assert max_bytes == Limits().collateral_part
        raise Unavailable("not asked in a test")

    monkeypatch.setattr(HttpClient, "get", get)
    for base, root_crl in (
        (None, None),
        ("https://pccs.example:8081", None),
        (None, "https://crl.example/root.der"),
    ):
        with pytest.raises(Unavailable, match="not asked"):
            CollateralSource(HttpClient(), base_url=base, root_crl_url=root_crl).fetch(FMSPC, "platform", "TDX", at=NOW)
    assert sorted(url for url in asked if "tcb" not in url and "identity" not in url and "pckcrl" not in url) == [
        INTEL_ROOT_CRL,
        "https://crl.example/root.der",
        "https://pccs.example:8081/sgx/certification/v4/rootcacrl",
    ]
    assert f"{INTEL_PCS}/tdx/certification/v4/tcb?fmspc={FMSPC.hex().upper()}" in asked


def test_instances_of_one_platform_share_one_question() -> None:
    """Also without a cache on disk; and a failure is shared, so that N instances do not wait N times."""
    everyone = threading.Barrier(4)  # the four parts of one set
    with Service(pause=lambda: everyone.wait(5)).running() as service:
        source = service.source()
        found = fetch_all(["a", "b", "c"], lambda *_: source.fetch(FMSPC, "platform", "TDX", at=NOW))
    assert found == [GOOD] * 3
    assert len(service.asked) == 4


def test_a_failure_is_shared_by_those_who_wait_for_it_and_not_remembered() -> None:
    release = threading.Event()
    with Service({}, pause=lambda: release.wait(5)).running() as service:
        source = service.source()
        threading.Timer(0.3, release.set).start()
        found = fetch_all(["a", "b", "c"], lambda *_: source.fetch(FMSPC, "platform", "TDX", at=NOW))
        assert [type(item) for item in found] == [Unavailable] * 3
        assert len(service.asked) == 4
        service.answers.update(good_answers())
        assert source.fetch(FMSPC, "platform", "TDX", at=NOW) == GOOD
