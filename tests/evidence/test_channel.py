"""What is said about the connection: exactly what was proved, and never that a session is bound."""

from __future__ import annotations

import hashlib
from functools import cache

import msgpack  # type: ignore[import-untyped]  # it ships neither stubs nor py.typed
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from small_boot import APP_ID, COMPOSE, COMPOSE_HASH, IMAGE, INSTANCE_ID, KMS, Boot, v0_attestation
from small_instance import AT, Instance, devnet_collateral, edited, judge, twins
from twinproof.comparison import compare
from twinproof.dstack.measurements import mr_aggregated, mr_system
from twinproof.evidence.bundle import bundle_to_json, parse_bundle
from twinproof.evidence.channel import ChannelBinding
from twinproof.evidence.evidence import Evidence, Origin
from twinproof.report.proof_text import proof_text
from twinproof.report.verdict_text import verdict_text
from twinproof.verdict import Status
from twinproof.verifier import Verdict
from twinproof_devnet.certificate import new_key
from twinproof_devnet.ra_tls import LeafRequest, app_ca, issue_leaf, report_data

Attached = tuple[tuple[str, bytes], ...]
UNKNOWN_DEVICE = hashlib.sha256(b"").digest()


@cache
def key(name: str) -> ec.EllipticCurvePrivateKey:
    return new_key()


def spki_hash(name: str = "tls") -> bytes:
    public = key(name).public_key()
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def certificate(name: str = "tls", attached: Attached = ()) -> bytes:
    request = LeafRequest(key(name), "app", AT - 60, AT + 60, attached=attached)
    return issue_leaf(request, app_ca(None, key("ca"), AT)).der


def ra_tls(
    *extra: tuple[str, bytes], over: str = "tls", instance: Instance | None = None, boot: Boot | None = None
) -> bytes:
    """A certificate with the older pair of extensions: a quote over the key named `over`."""
    boot = boot or Boot()
    quote = (instance or Instance()).quote(boot, report_data(key(over)))
    return certificate("tls", (("1", quote), ("2", boot.log(digests=False).encode()), *extra))


def from_certificate(der: bytes, **changes: object) -> Evidence:
    """As when the certificate of the connection is all that there is."""
    evidence = Evidence(
        source=Instance().url,
        origin=Origin.RA_TLS,
        ra_tls_certificate=der,
        tls_certificate=der,
        app_compose=COMPOSE,
        fetched_at=AT,
        collateral=devnet_collateral(),
    )
    return edited(evidence, **changes)


def stated(name: str = "tls", *, seen: bytes | None = None) -> Verdict:
    """The statement names the key `name`; `seen` is the connection's certificate."""
    return judge(edited(Instance(said={"tls_spki_sha256": spki_hash(name).hex()}).evidence(), tls_certificate=seen))


def failed(verdict: Verdict) -> dict[str, str]:
    return {check.id: check.error for check in verdict.failures}


def test_over_plain_http_or_from_a_file_there_is_no_tls_to_bind() -> None:
    assert judge(Instance().evidence()).channel_binding is ChannelBinding.NO_TLS
    assert stated().channel_binding is ChannelBinding.NO_TLS
    plain = Instance().evidence()
    assert plain.challenge is not None
    over_http = edited(plain, source="http://x", challenge=None, tls_certificate=certificate())
    assert judge(over_http).channel_binding is ChannelBinding.NO_TLS


def test_a_certificate_that_the_quote_does_not_name_is_bound_by_nothing() -> None:
    verdict = judge(edited(Instance().evidence(), tls_certificate=certificate()))
    assert verdict.accepted
    assert verdict.channel_binding is ChannelBinding.NONE
    assert verdict.check("evidence.tls_key").status is Status.NOT_CHECKED


def test_a_statement_that_names_the_key_seen_binds_its_certificate() -> None:
    verdict = stated(seen=certificate())
    assert verdict.check("evidence.tls_key").status is Status.PASS
    assert verdict.channel_binding is ChannelBinding.STATEMENT
    assert verdict.claims.tls_key == spki_hash()


def test_a_statement_that_names_another_key_than_the_one_seen_is_a_contradiction() -> None:
    verdict = stated(seen=certificate("gateway"))
    assert failed(verdict) == {"evidence.tls_key": "Contradiction"}
    assert (verdict.exit_code, verdict.channel_binding) == (3, ChannelBinding.NONE)


def test_a_connections_own_certificate_with_the_quote_over_its_key_is_ra_tls() -> None:
    verdict = judge(from_certificate(ra_tls()))
    assert failed(verdict) == {}
    assert verdict.channel_binding is ChannelBinding.RA_TLS
    assert verdict.claims.tls_key == spki_hash()


def test_a_quote_over_another_key_binds_nothing() -> None:
    verdict = judge(from_certificate(ra_tls(over="other")))
    assert failed(verdict) == {"evidence.report_data": "Forged"}
    assert verdict.check("evidence.tls_key").status is Status.NOT_CHECKED
    assert (verdict.channel_binding, verdict.claims.tls_key) == (ChannelBinding.NONE, None)


def test_another_certificate_with_the_key_in_report_data_is_bound_by_that_key() -> None:
    verdict = judge(from_certificate(ra_tls(), origin=Origin.GUEST_INFO, tls_certificate=certificate()))
    assert verdict.channel_binding is ChannelBinding.REPORT_DATA


def test_a_gateway_in_front_of_an_agent_with_an_attested_key_is_bound_by_nothing() -> None:
    verdict = judge(from_certificate(ra_tls(), origin=Origin.GUEST_INFO, tls_certificate=certificate("gateway")))
    assert verdict.accepted
    assert verdict.channel_binding is ChannelBinding.NONE
    assert "another key" in verdict.check("evidence.tls_key").reason


def test_a_bundle_that_shows_another_certificate_than_the_one_it_calls_its_own_is_a_contradiction() -> None:
    verdict = judge(from_certificate(ra_tls(), tls_certificate=certificate("gateway")))
    assert failed(verdict) == {"evidence.tls_key": "Contradiction"}


def test_what_is_not_genuine_binds_no_connection() -> None:
    broken = from_certificate(ra_tls(boot=Boot().with_payload("app-id", bytes(20))), app_compose=COMPOSE + " ")
    verdict = judge(broken)
    assert not verdict.genuine
    assert verdict.channel_binding is ChannelBinding.NONE


def test_an_envelope_that_claims_other_report_data_than_the_quote_is_caught() -> None:
    quote = Instance().quote(Boot(), report_data(key("tls")))
    honest = v0_attestation(Boot(), quote, report_data=report_data(key("tls")))
    assert judge(from_certificate(certificate("tls", (("8", honest),)))).channel_binding is ChannelBinding.RA_TLS
    lying = v0_attestation(Boot(), quote)
    assert "evidence.report_data" in failed(judge(from_certificate(certificate("tls", (("8", lying),)))))


def test_a_bundle_says_about_the_connection_what_its_collector_saw() -> None:
    evidence = from_certificate(ra_tls())
    assert judge(parse_bundle(bundle_to_json(evidence))).to_json()["channel_binding"] == "RA-TLS"


def test_the_text_says_which_binding_and_that_no_session_is_bound() -> None:
    text = " ".join(verdict_text(stated(seen=certificate()), now=AT).split())
    assert "TLS binding certificate hash in the statement:" in text
    assert "no session is bound" in text
    for binding in (ChannelBinding.STATEMENT, ChannelBinding.REPORT_DATA, ChannelBinding.RA_TLS):
        assert "the certificate that this tool saw" in binding.meaning
        assert "no session is bound" in binding.meaning


def test_the_table_has_a_row_for_it() -> None:
    verdicts = [judge(instance.evidence()) for instance in twins()]
    text = proof_text(compare(verdicts), verdicts, now=AT)
    assert "  TLS binding       none (no TLS)" in text


def test_one_ra_tls_key_in_two_places_is_a_difference() -> None:
    first, second = twins()
    boots = [Boot().with_payload("instance-id", instance.instance_id) for instance in (first, second)]
    verdicts = [
        judge(from_certificate(ra_tls(instance=instance, boot=boot)))
        for instance, boot in zip((first, second), boots, strict=True)
    ]
    assert all(verdict.genuine for verdict in verdicts)
    proof = compare(verdicts)
    assert proof.check("compare.tls_key").status is Status.FAIL
    assert proof.exit_code == 4


def app_info(**changes: object) -> bytes:
    report = Boot().report
    members: dict[str, object] = {
        "app_id": APP_ID,
        "compose_hash": COMPOSE_HASH,
        "instance_id": INSTANCE_ID,
        "device_id": UNKNOWN_DEVICE,
        "mr_system": mr_system(report, KMS),
        "mr_aggregated": mr_aggregated(report),
        "os_image_hash": IMAGE,
        "key_provider_info": KMS,
        **changes,
    }
    packed: bytes = msgpack.packb(members)
    return packed


def test_a_certificates_own_claims_agree_with_the_boot() -> None:
    verdict = judge(from_certificate(ra_tls(("3", APP_ID), ("9", app_info()))))
    check = verdict.check("evidence.ra_tls_claims")
    assert check.status is Status.PASS
    detail = dict(check.detail)
    assert detail["usage"] == "app:custom"
    assert "app id, app_info.app_id" in detail["compared"]
    assert "device_id" not in detail["compared"]


def test_a_certificate_that_names_another_app_is_a_contradiction() -> None:
    verdict = judge(from_certificate(ra_tls(("3", bytes(20)))))
    assert (failed(verdict), verdict.exit_code) == ({"evidence.ra_tls_claims": "Contradiction"}, 3)
    assert verdict.claims.software is None


@pytest.mark.parametrize(
    "changes",
    [
        {"app_id": bytes(20)},
        {"compose_hash": bytes(32)},
        {"instance_id": b""},
        {"device_id": bytes(32)},
        {"mr_system": bytes(32)},
        {"mr_aggregated": bytes(32)},
        {"os_image_hash": bytes(32)},
        {"key_provider_info": b"{}"},
        {"init_script_hashes": [bytes(32)]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_app_info_that_contradicts_the_boot_is_a_contradiction(changes: dict[str, object]) -> None:
    verdict = judge(from_certificate(ra_tls(("9", app_info(**changes)))))
    assert failed(verdict) == {"evidence.ra_tls_claims": "Contradiction"}
    assert next(iter(changes)) in verdict.check("evidence.ra_tls_claims").reason


def test_a_certificate_without_claims_is_not_checked_for_them() -> None:
    assert judge(from_certificate(ra_tls())).check("evidence.ra_tls_claims").status is Status.NOT_CHECKED
    reason = judge(Instance().evidence()).check("evidence.ra_tls_claims").reason
    assert reason == "no RA-TLS certificate in this evidence"


def test_app_info_that_cannot_be_read_is_malformed_evidence() -> None:
    verdict = judge(from_certificate(ra_tls(("9", b"\x90"))))
    assert failed(verdict) == {"evidence.carrier": "Malformed"}


def test_a_certificate_that_cannot_be_read_binds_nothing() -> None:
    verdict = stated(seen=b"not a certificate")
    assert failed(verdict) == {"evidence.tls_key": "Malformed"}
